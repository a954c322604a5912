"""A cohort is made in one way, and its key stays with who has it."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from dmcvr.cohort.find import Found
from dmcvr.cohort.settings import Settings, agree_on, check_out, chosen_keep, pseudonym, read_key
from dmcvr.errors import InputError
from dmcvr.options import Options


def test_the_same_settings_go_on_and_others_are_refused(tmp_path: Path) -> None:
    record = Settings().record(tmp_path, None)
    assert str(tmp_path) not in json.dumps(record)
    agree_on(tmp_path, record)
    agree_on(tmp_path, Settings(threads=2).record(tmp_path, None))
    for settings, said in (
        (Settings(options=Options(spacing_mm=2)), r"another spacing_mm \(None, and now 2\)"),
        (Settings(keep=("labels",)), "another keep"),
        (Settings(options=Options(weights="compact")), "another weights_sha256: give the same, or choose another"),
    ):
        with pytest.raises(InputError, match=f"The cohort in {tmp_path} was begun with {said}"):
            agree_on(tmp_path, settings.record(tmp_path, None))
    with pytest.raises(InputError, match="another pseudonymised"):
        agree_on(tmp_path, Settings().record(tmp_path, b"x" * 16))


def test_exams_that_were_moved_go_on_when_a_person_says_so(tmp_path: Path) -> None:
    agree_on(tmp_path, Settings().record(tmp_path / "a", None))
    moved = Settings().record(tmp_path / "b", None)
    with pytest.raises(InputError, match="another input: choose another folder with -o; if the same exams were only"):
        agree_on(tmp_path, moved)
    record = json.loads((tmp_path / "cohort.json").read_text())
    del record["input"]
    (tmp_path / "cohort.json").write_text(json.dumps(record))
    agree_on(tmp_path, moved)


def test_a_folder_of_something_else_is_no_output(tmp_path: Path) -> None:
    check_out(tmp_path / "new")
    check_out(tmp_path)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not empty, and holds no cohort"):
        check_out(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        check_out(tmp_path / "thesis.txt")
    (tmp_path / "cohort.json").write_text("{}")
    check_out(tmp_path)


def test_what_nobody_sees_is_not_drawn() -> None:
    lean = ("labels", "measures")
    assert [Settings(keep=keep).image for keep in (lean, (*lean, "report"), ("image",))] == ["warped", "sharp", "sharp"]
    for other in (Options(weights="compact"), Options(method="linear"), Options(draws=4)):
        assert Settings(options=other, keep=lean).image == "sharp"


def test_what_is_kept() -> None:
    assert chosen_keep("labels,measures") == ("labels", "measures")
    assert chosen_keep("measures,labels,labels") == ("labels", "measures")
    with pytest.raises(InputError, match="Unknown kept format 'pictures'"):
        chosen_keep("pictures")
    with pytest.raises(InputError, match="Expected something to keep"):
        chosen_keep("")


def test_a_pseudonym_is_a_keyed_hash(tmp_path: Path) -> None:
    key = b"0123456789abcdef"
    digest = hmac.new(key, b"patient001", hashlib.sha256).hexdigest()
    bits = f"{int(digest[:20], 16):080b}"
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    assert pseudonym("patient001", key) == "".join(letters[int(bits[n : n + 5], 2)] for n in range(0, 80, 5))
    (tmp_path / "key").write_bytes(key + b"\n")
    assert read_key(tmp_path / "key") == key
    (tmp_path / "short").write_text("secret")
    with pytest.raises(InputError, match="has 6 bytes, expected 16 or more"):
        read_key(tmp_path / "short")
    with pytest.raises(InputError, match="cannot be read"):
        read_key(tmp_path / "none")


def test_labels_of_each_exam(tmp_path: Path) -> None:
    settings = Settings(options=Options(labels_in=tmp_path / "{exam}_gt.nii.gz"))
    exam = Found(Path("/in/site/patient001.nii.gz"), "site/patient001.nii.gz", "site+patient001")
    assert settings.of(exam).labels_in == tmp_path / "patient001_gt.nii.gz"
    assert Settings().of(exam) == Options()
