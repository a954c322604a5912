"""What was taken and what was left, in a sentence."""

from __future__ import annotations

from dmcvr.exam.source import LONG_AXIS, LONG_AXIS_CINE, SCOUT, SHORT_AXIS_CINE, Piece, Size, Source


def test_a_summary_counts_and_names() -> None:
    cine = Piece(name="series 5", kind=SHORT_AXIS_CINE, slices=10, phases=30, taken=True)
    view = Piece(name="series 6", kind=LONG_AXIS, slices=1, phases=1)
    source = Source(layout="dicom", pieces=(cine, view), ignored={"not DICOM": 2, "duplicates": 1})
    assert source.summary() == (
        "Layout dicom: took series 5 (short axis cine, 10 slices x 30 phases); left out "
        "series 6 (long axis, 1 slice x 1 phase), 2 files (not DICOM), 1 file (duplicates)."
    )
    assert source.record()["summary"] == source.summary()
    assert source.record()["pieces"][0]["taken"] is True


def test_many_pieces_of_a_kind_are_counted() -> None:
    scouts = tuple(Piece(name=f"series {n}", kind=SCOUT, slices=3, phases=1) for n in range(4))
    assert Source(layout="dicom", pieces=scouts).summary() == (
        "Layout dicom: took nothing; left out 4 pieces (scout, 12 slices)."
    )
    assert Source(layout="nifti").summary() == "Layout nifti: took nothing."


def test_one_sentence_says_what_would_be_reconstructed() -> None:
    views = [Piece(name=f"series {n}", kind=LONG_AXIS_CINE, slices=1, phases=25) for n in range(5)]
    whole = Source(layout="dicom", pieces=tuple(views), size=Size(slices=6, phases=25, apart_mm=17.712))
    assert whole.verdict() == "6 slices, 17.7 mm apart, 25 phases, 5 long-axis views: would be reconstructed."
    single = Source(layout="nifti", size=Size(slices=1, phases=1, apart_mm=None))
    assert single.verdict() == "1 slice, 1 phase: would not be reconstructed, a 3D heart needs two slices or more."
