"""Long and wide tables say what the ledger does, are written whole, and stream."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas
import pytest
from helpers.cohorts import done, failed, made_up, summary

from dmcvr.cohort.tables import write_tables
from dmcvr.errors import InputError

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'dmcvr[cohort]'")


def test_a_row_an_exam_and_quantity(tmp_path: Path) -> None:
    rows = list(made_up(250))
    write_tables(tmp_path, iter(rows))
    long, text = pandas.read_parquet(tmp_path / "measures.parquet"), pandas.read_csv(tmp_path / "measures.csv")
    measured = [row for row in rows if row.summary is not None]
    expected = [
        (row.exam, name, entry["value"], entry["unit"])
        for row in measured
        for name, entry in (row.summary or {})["measures"].items()
    ]
    for table in (long, text):
        assert list(table.columns) == ["exam", "quantity", "value", "unit", "low", "high"]
        found = table[["exam", "quantity", "value", "unit"]].itertuples(index=False, name=None)
        assert list(found) == expected


def test_a_row_an_exam(tmp_path: Path) -> None:
    rows = list(made_up(250))
    write_tables(tmp_path, rows)
    wide, text = (
        pandas.read_parquet(tmp_path / "measures_wide.parquet"),
        pandas.read_csv(tmp_path / "measures_wide.csv"),
    )
    measured = {row.exam: row.summary for row in rows if row.summary is not None}
    assert list(wide.exam) == list(text.exam) == list(measured)
    for entry in wide.itertuples():
        found = measured[entry.exam]
        looks = [flag["name"] for flag in found["flags"]]
        assert entry.looks == len(looks)
        assert sorted(entry.flags.split("; ") if entry.flags else []) == sorted(looks)
        assert entry.lv_ef_percent == found["measures"]["lv_ef_percent"]["value"]
    assert set(wide.dmcvr) == {"1.0"}
    assert set(wide.weights) == {"abc"}
    assert (wide.seconds == 12.5).all()
    worst = wide.loc[wide.robust_z.idxmax()]
    values = wide[worst.farthest]
    middle = values.median()
    assert worst.robust_z == pytest.approx(
        abs(worst[worst.farthest] - middle) / (1.4826 * (values - middle).abs().median()), abs=0.01
    )


def test_intervals_are_written_where_there_are_some(tmp_path: Path) -> None:
    found = summary(lv_ef_percent=50.0, lv_mass_g=None)
    found["measures"]["lv_ef_percent"] |= {"low": 45.0, "high": 55.0}
    write_tables(tmp_path, [done("a", found)])
    wide, long = (pandas.read_parquet(tmp_path / f"{name}.parquet") for name in ("measures_wide", "measures"))
    assert (wide.lv_ef_percent_low[0], wide.lv_ef_percent_high[0]) == (45, 55)
    assert "lv_mass_g_low" not in wide
    assert wide.lv_mass_g.isna().all()
    assert long[["exam", "quantity", "value", "low", "high"]].values.tolist() == [["a", "lv_ef_percent", 50, 45, 55]]


def test_failures_have_their_sentence(tmp_path: Path) -> None:
    sentence = 'The folder "a, b" holds\nno images: give another.'
    write_tables(tmp_path, [failed("x", sentence), done("y", summary(lv_ef_percent=50.0))])
    with (tmp_path / "failures.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["exam", "sentence", "kind"], ["x", sentence, "no heart"]]


def test_no_exam_yet_gives_empty_tables(tmp_path: Path) -> None:
    write_tables(tmp_path, [])
    assert len(pandas.read_parquet(tmp_path / "measures.parquet")) == 0
    assert len(pandas.read_csv(tmp_path / "measures_wide.csv")) == 0
    assert "Cohort of 0 exams" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_source_and_a_path_are_in_no_file(tmp_path: Path) -> None:
    row = done("pseudonym", summary(lv_ef_percent=50.0))
    object.__setattr__(row, "source", "DOE_JOHN")
    write_tables(tmp_path, [row])
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"DOE_JOHN" not in path.read_bytes(), path


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tables(tmp_path, [done("a", summary(lv_ef_percent=50.0))])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"failures\.csv cannot be written \(No space left on device\)"):
        write_tables(tmp_path, [done("b", summary(lv_ef_percent=50.0))])
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_rows_are_taken_one_by_one(tmp_path: Path) -> None:
    """While a row is asked for, no other's record is held but the last one's."""
    import gc
    import weakref

    alive: list[weakref.ref[Found]] = []

    class Found(dict):  # type: ignore[type-arg]
        pass

    most = 0

    def stream() -> object:
        nonlocal most
        for n in range(400):
            found = Found(summary(lv_ef_percent=float(n)))
            alive.append(weakref.ref(found))
            yield done(f"exam{n}", found)
            del found
            gc.collect(0)
            most = max(most, sum(ref() is not None for ref in alive))

    write_tables(tmp_path, stream())  # type: ignore[arg-type]
    assert most <= 2
