"""How people number the structures: named, written out, or wrong."""

from __future__ import annotations

import pytest

from dmcvr.errors import InputError
from dmcvr.exam.structures import LABEL_MAPS, check_label_map, named, naming_of, numbering_of, structure_of, written


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("RV", 3),
        ("LV cavity", 1),
        ("Myo.", 2),
        ("left_ventricle_myocardium", 2),
        ("BG", 0),
        ("liver", None),
        ("", None),
    ],
)
def test_names(name: str, ours: int | None) -> None:
    assert structure_of(name) == ours


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("acdc", LABEL_MAPS["acdc"]),
        ("1=rv,2=myo,3=lv", {0: 0, 1: 3, 2: 2, 3: 1}),
        (" 1 = RV, 2=MYO ,3=LV", {0: 0, 1: 3, 2: 2, 3: 1}),
        ("rv=1,myo=2,lv=3", {0: 0, 1: 3, 2: 2, 3: 1}),
        ("500=lv,200=myo,600=rv,205=ignore", {0: 0, 500: 1, 200: 2, 600: 3, 205: 0}),
        ("1=lv,2=lv", {0: 0, 1: 1, 2: 1}),
        ("0=lv,1=background", {0: 1, 1: 0}),
    ],
)
def test_numberings(text: str, found: dict[int, int]) -> None:
    assert numbering_of(text) == found
    assert numbering_of(written(numbering_of(text))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Segment_1=rv", {"segment_1": 3}),
        (" Fat pad =ignore,1=lv, a=b=myo", {"fat pad": 0, "1": 1, "a=b": 2}),
        ("rv=1", {}),
        ("acdc", {}),
        ("=rv", {}),
        ("Fat=liver", {}),
    ],
)
def test_segments_by_their_names(text: str, found: dict[str, int]) -> None:
    assert naming_of(text) == found
    if found or text in ("rv=1", "acdc"):
        check_label_map(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x", "Unknown label map 'x': choose one of dmcvr, acdc, mnms, ukbb, or number the structures as in"),
        ("ACDC", "Unknown label map 'ACDC'"),
        ("", "Unknown label map ''"),
        ("1=liver", "Expected --label-map pairs .*; got '1=liver'"),
        ("1=lv,", "got ''"),
        ("1=lv=rv", "got '1=lv=rv'"),
        ("1.5=lv", "got '1.5=lv'"),
        ("lv=rv", "got 'lv=rv'"),
        ("1=lv,1=rv", "The value 1 has two meanings"),
        ("1=ignore", "names no structure of the heart"),
    ],
)
def test_what_is_no_numbering_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        numbering_of(text)


def test_a_numbering_has_a_name_where_one_fits() -> None:
    assert named({0: 0, 1: 3, 2: 2, 3: 1}, [0, 1, 2, 3]) == "acdc"
    assert named({0: 0, 1: 1, 2: 2, 4: 3}, [0, 1, 2, 4]) == "ukbb"
    assert named({0: 0, 1: 2, 2: 1, 7: 3}, [0, 1, 2]) == "1=myo,2=lv"
