"""Flags on hearts whose faults are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from helpers.hearts import cone

from dmcvr.anatomy.coverage import Coverage
from dmcvr.clinical.measures import PhaseVolumes, measures
from dmcvr.exam.stack import Patient
from dmcvr.geometry.locate import Located
from dmcvr.geometry.region import Frame
from dmcvr.quality.flags import (
    Flag,
    anatomy,
    at_the_edge,
    cut_off,
    fractions_differ,
    implausible_between,
    lying,
    mass_drifts,
    misaligned,
    nearest_slices,
    out_of_distribution,
    slices_differ,
    unsure,
    volumes_differ,
    without_base,
)
from dmcvr.quality.training_range import TrainingRange


def ring(n: int = 8, size: int = 40, radius: float = 12.0) -> np.ndarray:
    """(1, N, A, B) labels: a cone of LV, base first."""
    grid = np.stack(np.meshgrid(np.arange(size) - 20, np.arange(size) - 20, indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid, axis=-1)
    return np.stack(
        [
            np.where(distance < r - 3, 1, np.where(distance < r, 2, 0)).astype(np.uint8)
            for r in radius * np.sqrt(1 - (np.arange(n) / n) ** 2)
        ]
    )[None]


def test_cut_off() -> None:
    whole = np.concatenate([np.zeros((1, 1, 40, 40), np.uint8), ring()], axis=1)
    assert cut_off(whole).level == "fine"
    assert "apex" in cut_off(whole[:, :6]).text
    assert cut_off(whole, ["Slice 3 of 12 was left out: tilted."]).level == "look"
    assert "The scan may cover more" in cut_off(whole[:, :6], ["Slice 7 was left out: tilted."]).text
    assert cut_off(whole[:, ::-1][:, 3:]).level == "look"
    assert "base" in cut_off(ring()).text
    assert cut_off(np.zeros((1, 5, 4, 4), np.uint8)).level == "unknown"


def test_a_stack_without_its_base() -> None:
    """Where it begins the LV grows, and what is left is wide and short; either way round, and at either spacing."""
    whole = cone(10, radius=14.0)
    apart = np.arange(10) * 8.0
    assert without_base(whole, apart, 1.5).level == "fine"
    short = whole[:, 5:]
    for part in (short, short[:, ::-1]):
        found = without_base(part, apart[:5] / 2, 1.5)
        assert found.level == "look"
        assert "20 mm long" in found.text
    begins_above = np.concatenate([np.zeros_like(short[:, :1]), short], axis=1)
    assert without_base(begins_above, apart[:6] / 2, 1.5).level == "fine"
    assert without_base(np.zeros_like(whole), apart, 1.5).level == "unknown"


def test_an_open_cavity_is_told_with_what_lies_beyond() -> None:
    whole = np.concatenate([np.zeros((1, 1, 40, 40), np.uint8), ring()], axis=1)
    open_end = Coverage(open_mm=20, cavity_ml=3, muscle_ml=6, completed=True)
    found = cut_off(whole, covered=open_end)
    assert found.level == "look"
    assert "a cavity 20 mm wide; beyond it lie about 3 mL of cavity and 6 mL of myocardium, completed" in found.text
    assert "as an estimate" in found.text
    assert "Volumes are too small" in cut_off(whole, covered=replace(open_end, completed=False)).text
    small = cut_off(whole, covered=replace(open_end, open_mm=4))
    assert (small.level, "About 9 mL of the apex" in small.text) == ("fine", True)
    assert "up to about 12 mL" in cut_off(ring(), covered=Coverage(base_ml=12)).text


def test_a_heart_at_the_edge_of_the_picture() -> None:
    labels = cone()
    everywhere = np.ones(labels.shape[1:], bool)
    assert at_the_edge(labels, everywhere, 4.5).level == "fine"
    cut = everywhere.copy()
    cut[1:3, :6] = False  # the RV lies there
    found = at_the_edge(np.where(cut[None], labels, 0).astype(np.uint8), cut, 4.5)
    assert found.level == "look"
    assert "in slice 2, 3 (RV cavity): volumes are too small" in found.text
    assert at_the_edge(labels, everywhere, 0.5).level == "look"  # two pixels away are 1 mm
    for axis, shift in ((2, -12), (3, 12)):  # out of the square that is looked at
        moved = np.roll(labels, shift, axis=axis)
        assert at_the_edge(moved, everywhere, 4.5).level == "look"
    assert at_the_edge(np.zeros_like(labels), everywhere, 4.5).level == "unknown"


def test_anatomy() -> None:
    labels = cone()
    assert anatomy(labels).text == "The myocardium encloses the LV cavity (100 % of its border)."
    exchanged = np.array([0, 3, 2, 1], np.uint8)[labels]
    assert "only 41 % of the LV cavity's border" in anatomy(exchanged).text  # what of the RV meets the septum
    assert anatomy(exchanged).level == "look"
    left = np.where(labels == 3, 0, labels).astype(np.uint8)
    assert anatomy(left).text == "Nothing is labelled as RV cavity: that volume is 0, not measured."
    atrium = np.concatenate([np.where(labels == 3, 3, 0).astype(np.uint8)[:, :2], labels], axis=1)
    assert "% of the RV cavity lies in slices without left ventricle" in anatomy(atrium).text


def test_one_number_measured_twice() -> None:
    def measured(masses: tuple[float, ...], slices: float, phases: tuple[str, ...] = ("ED", "ES")) -> dict[str, object]:
        dense = tuple(PhaseVolumes(ml, g / 1.05, 0.0) for ml, g in zip((100.0, 50.0, 60.0), masses, strict=False))
        summed = (PhaseVolumes(100.0, 0.0, 0.0), PhaseVolumes(slices, 0.0, 0.0), PhaseVolumes(60.0, 0.0, 0.0))
        return measures(dense, summed[: len(dense)], phases, Patient())

    steady = measured((100, 105), 52)
    assert mass_drifts(steady).level == fractions_differ(steady).level == "fine"
    drifting = measured((193, 220), 46)
    assert mass_drifts(drifting).text.startswith(
        "LV mass is 193 to 220 g over the phases (13 %): 193 g at ED, 220 g at ES. Muscle keeps its mass"
    )
    assert fractions_differ(drifting).text == "LV 50 % in 3D against 54 % by slices (4.0 points)."
    assert mass_drifts(drifting).level == fractions_differ(drifting).level == "look"
    falling = measured((169, 145), 53.5)
    assert mass_drifts(falling).level == fractions_differ(falling).level == "look"
    cine = measured((150, 145, 169), 50, ("0", "1", "2"))  # in a phase that is neither ED nor ES
    assert mass_drifts(cine).level == "look"
    alone = measured((150,), 50, ("ED",))
    assert mass_drifts(alone).level == fractions_differ(alone).level == "unknown"


def test_misaligned() -> None:
    labels = ring()
    positions = np.arange(8) * 10.0
    assert misaligned(labels, positions, 1.5).level == "fine"
    tilted = np.stack([np.roll(slice_, n, axis=0) for n, slice_ in enumerate(labels[0])])[None]
    assert misaligned(tilted, positions, 1.5).level == "fine"  # a leaning heart is no jump
    jumped = labels.copy()
    jumped[0, 3] = np.roll(jumped[0, 3], 6, axis=1)
    found = misaligned(jumped, positions, 1.5)
    assert found.level == "look"
    assert "Slice 4 lies 9.0 mm" in found.text
    assert misaligned(labels[:, :2], positions[:2], 1.5).level == "unknown"


def lying_as(normal: np.ndarray, *, v: np.ndarray, **changes: object) -> Flag:
    """A heart's picture with its right to the patient's left and behind, `v` down."""
    u = np.cross(v, normal)
    frame = Frame(np.zeros(3), u, v, 128, 1.5)
    values: dict[str, object] = {"confidence": 0.9, "found": True, "mirrored": False, "margin": 3.0, "rv_left": True}
    return lying(Located(frame, **values | changes), normal)  # type: ignore[arg-type]


def test_how_the_heart_lies() -> None:
    normal, down = np.array([0.66, -0.66, 0.36]), np.array([0.0, -0.48, -0.88])
    normal, placeholder = normal / np.linalg.norm(normal), np.array([0.0, 0, 1])
    down -= (down @ normal) * normal
    assert lying_as(normal, v=down).level == "fine"
    for changes, said in (
        ({"margin": 0.1}, "another way nearly as much"),
        ({"rv_left": False}, "not seen on the left"),
        ({"mirrored": None}, "Base and apex cannot be told apart"),
        ({"mirrored": True}, "wrong order"),
        ({"v": -down}, "as in no patient"),
    ):
        found = lying_as(normal, **{"v": down, **changes})  # type: ignore[arg-type]
        assert (found.level, said in found.text) == ("look", True)
    behind = np.array([0.0, -1, 0])
    assert "mirrors the heart" in lying_as(placeholder, v=behind, mirrored=True).text
    assert lying_as(placeholder, v=behind, mirrored=True).level == "fine"  # no scanner said so
    assert "this one does not" in lying_as(placeholder, v=behind, unmirrored=True).text
    assert lying_as(placeholder, v=-behind).level == "fine"
    assert lying_as(normal, v=down, found=False).level == "unknown"


def test_slices_that_were_slid() -> None:
    labels, positions, moved = ring(), np.arange(8) * 10.0, np.zeros(8)
    assert "slid" not in misaligned(labels, positions, 1.5, moved).text
    moved[2] = 3.0
    near = misaligned(labels, positions, 1.5, moved)
    assert near.level == "fine"
    assert "slid by up to 3.0 mm (slice 3) into one breath-hold. No slice now lies more than" in near.text
    assert misaligned(labels, positions, 1.5, 3 * moved).level == "look"  # far enough to be looked at


def test_confidence() -> None:
    assert [unsure(value).level for value in (0.95, 0.6, None)] == ["fine", "look", "unknown"]


def test_volumes_differ() -> None:
    def numbers(ml: float) -> dict[str, object]:
        return {"phases": {"ED": {"lv_cavity_ml": ml, "lv_myocardium_ml": 100.0, "rv_cavity_ml": 0.0}}}

    assert volumes_differ({"dense_volume": numbers(150), "slice_summation": numbers(145)}).level == "fine"
    found = volumes_differ({"dense_volume": numbers(150), "slice_summation": numbers(110)})
    assert found.level == "look"
    assert "LV cavity in phase ED, 150 mL in 3D against 110 mL" in found.text


def test_outlines_and_shape_between() -> None:
    labels = ring()
    assert slices_differ(labels, labels).level == "fine"
    assert slices_differ(np.roll(labels, 5, axis=2), labels).level == "look"
    dense = np.repeat(labels, 4, axis=1)
    heights, slices = np.arange(32) * 2.5, np.arange(8) * 10.0
    assert implausible_between(dense, heights, slices).level == "fine"
    dense[0, 14] = 0
    assert "between slices 4 and 5" in implausible_between(dense, heights, slices).text


def test_out_of_distribution() -> None:
    known = TrainingRange(7, {"spacing_mm": (5.0, 10.0)})
    assert out_of_distribution({"spacing_mm": 10.2}, known).level == "fine"  # a little slack
    found = out_of_distribution({"spacing_mm": 25.0}, known)
    assert found.level == "look"
    assert found.text == "Outside the range of the 7 training exams: slice distance 25.0 mm (5.0 to 10.0)."
    assert out_of_distribution({"spacing_mm": 25.0}, None).level == "unknown"


def test_the_nearest_dense_slice() -> None:
    dense, slices = np.array([0.0, 1.5, 3.0, 4.5]), np.array([0.2, 2.9, 9.0])
    np.testing.assert_array_equal(nearest_slices(dense, slices), [0, 2, 3])


def test_a_title_says_what_was_found() -> None:
    apart = out_of_distribution({"spacing_mm": 17.7}, TrainingRange(75, {"spacing_mm": (5.0, 10.0)}))
    assert apart.title == "Unlike the training data: slices 17.7 mm apart"
    covered = Coverage(open_mm=20, cavity_ml=3, muscle_ml=6, completed=False)
    whole = np.concatenate([np.zeros((1, 1, 40, 40), np.uint8), ring()], axis=1)
    assert cut_off(whole).title == "Covered from base to apex"
    found = cut_off(whole, covered=covered).title
    assert found == "Open at the apex: a cavity 20 mm wide in the last slice, about 9 mL missing"
    assert cut_off(whole, covered=replace(covered, completed=True)).title.endswith("about 9 mL completed")
    both = cut_off(ring()[:, :6], covered=replace(covered, base_ml=12)).title
    assert both.endswith("missing; open at the base: up to 12 mL missing")
    assert unsure(0.5).title == "The segmenter is unsure (0.50)"
    assert set(unsure(0.9).record()) == {"name", "level", "text", "title"}
