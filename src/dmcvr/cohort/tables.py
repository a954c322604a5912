"""The tables of a cohort, and its page: what was measured, what failed, all exams at a glance.

measures.parquet and .csv are long, a row an exam and quantity; measures_wide.parquet and .csv have a row an exam, with
its flags, versions and seconds. failures.csv has a row for each exam that failed, with the sentence that says why.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.cohort.columns import Columns, Distance
from dmcvr.cohort.index import write_index
from dmcvr.cohort.index_rows import RowFiles
from dmcvr.cohort.whole import whole_file
from dmcvr.errors import InputError

if TYPE_CHECKING:
    import pyarrow

    from dmcvr.cohort.ledger import Row

#: Exams whose long rows are in memory at a time.
AT_A_TIME = 2000


#: Where a cohort has the page of an exam, below its folder.
REPORT = "exams/{exam}/report.html"


def write_tables(out: Path, rows: Iterable[Row], *, of: int | None = None, report: str = REPORT) -> None:
    """Write tables and page of the exams that have ended into `out`, each file whole; what is there is replaced.

    `rows` may stream: one is in memory at a time, of its numbers all. `of` is how many exams there are in all, if more
    will follow; `report` says where an exam's page is below `out`. Raises `InputError` where a file cannot be written
    or pyarrow is missing.
    """
    require_pyarrow()
    columns = Columns()
    with ExitStack() as stack:
        failures = csv.writer(stack.enter_context(_text(out / "failures.csv")))
        failures.writerow(("exam", "sentence", "kind"))
        files = RowFiles(out / "index" / "rows")
        for row in rows:
            columns.add(row)
            files.add(row)
            if row.state == "failed":
                failures.writerow((row.exam, row.sentence, row.kind))
        files.close()
    distance = Distance.of(columns)
    _write_long(out, columns)
    _write_wide(out, columns, distance)
    write_index(out, columns, distance, files, of=of, report=report)


def require_pyarrow() -> None:
    """Raise `InputError` where the library that writes the tables is not there."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise InputError("The cohort's tables need pyarrow: pip install 'dmcvr[cohort]'.") from error


@contextmanager
def _text(path: Path) -> Iterator[Any]:
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        yield file


def _write_long(out: Path, columns: Columns) -> None:
    """measures: exam, quantity, value, unit, low, high; what is not known has no row."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    names = list(columns.quantities)
    units = [columns.quantities[name].unit for name in names]
    schema = pa.schema(
        [("exam", pa.string()), ("quantity", pa.string()), ("value", pa.float64()), ("unit", pa.string())]
        + [(bound, pa.float64()) for bound in ("low", "high")]
    )
    numbers = {bound: [columns.numbers(name, bound) for name in names] for bound in ("value", "low", "high")}
    with ExitStack() as stack:
        parquet = stack.enter_context(
            pa.parquet.ParquetWriter(
                stack.enter_context(whole_file(out / "measures.parquet")), schema, compression="zstd"
            )
        )
        text = stack.enter_context(pa.csv.CSVWriter(stack.enter_context(whole_file(out / "measures.csv")), schema))
        for start in range(0, len(columns.exams), AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            value, low, high = (_matrix(numbers[bound], part) for bound in ("value", "low", "high"))
            row, quantity = np.nonzero(np.isfinite(value))
            table = pa.table(
                [
                    pa.array(columns.exams[part], pa.string()).take(pa.array(row)),
                    pa.array(names, pa.string()).take(pa.array(quantity)),
                    _nullable(value[row, quantity]),
                    pa.array(units, pa.string()).take(pa.array(quantity)),
                    _nullable(low[row, quantity]),
                    _nullable(high[row, quantity]),
                ],
                schema=schema,
            )
            parquet.write_table(table)
            text.write_table(table)


def _write_wide(out: Path, columns: Columns, distance: Distance) -> None:
    """measures_wide: one row for each measured exam."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    measured = np.flatnonzero(np.frombuffer(columns.measured, np.uint8))
    table = _wide(columns, distance).take(pa.array(measured))
    with whole_file(out / "measures_wide.parquet") as partial:
        pa.parquet.write_table(table, partial, compression="zstd")
    with whole_file(out / "measures_wide.csv") as partial:
        pa.csv.write_csv(table, partial)


def _wide(columns: Columns, distance: Distance) -> pyarrow.Table:
    """All exams: name, quantities with their bounds, flags, what is unusual, how it was made."""
    import pyarrow as pa

    looks: list[list[str]] = [[] for _ in columns.exams]
    for name, rows in columns.flags.items():
        for row in rows:
            looks[row].append(name)
    found: dict[str, Any] = {"exam": pa.array(columns.exams, pa.string())}
    bounded = set(columns.bounded)
    for name in columns.quantities:
        for bound in ("value", "low", "high") if name in bounded else ("value",):
            found[name if bound == "value" else f"{name}_{bound}"] = _nullable(columns.numbers(name, bound))
    found |= {
        "looks": pa.array(np.frombuffer(columns.looks, np.uint8)),
        "flags": pa.array(["; ".join(names) for names in looks], pa.string()),
        "unknown": pa.array(np.frombuffer(columns.unknown, np.uint8)),
        "robust_z": pa.array(np.round(distance.farthest, 2)),
        "farthest": _chosen(distance.names, distance.which),
        "seconds": pa.array(columns.seconds, pa.float64()),
        "bytes": pa.array(columns.bytes, pa.int64()),
        "attempts": pa.array(columns.attempts, pa.int64()),
    }
    versions = np.array(columns.versions)
    for n, key in enumerate(("dmcvr", "weights")):
        found[key] = _chosen([version[n] for version in columns.known_versions], versions)
    return pa.table(found)


def _matrix(columns: list[NDArray[np.float64]], part: slice) -> NDArray[np.float64]:
    return np.stack([column[part] for column in columns], axis=1) if columns else np.empty((0, 0))


def _nullable(values: NDArray[np.float64]) -> pyarrow.Array:
    import pyarrow as pa

    return pa.array(values, pa.float64(), from_pandas=True)  # nan is what is not known


def _chosen(names: Sequence[str | None], which: NDArray[np.integer[Any]]) -> pyarrow.Array:
    """Names by index; null for -1."""
    import pyarrow as pa

    return pa.array(names, pa.string()).take(pa.array(which, mask=which < 0))
