"""trust: whether a bad result is known to be bad: expected Dice, verdict and flags, on exams made bad on purpose.

Every exam is taken as it is and with each fault of `dmcvr.evaluate.spoil`. What the segmenter finds is compared with
the manual labels, which move with the slices (Dice over all phases; what lies outside of the region that was looked at
is missed), and with the Dice that was foretold from what the segmenter sees. An exam in which no heart is seen is
refused by `dmcvr reconstruct`: its verdict is "no heart", and what is foretold is what someone is told who insists.
Flags are those of the acquired slices; the dense heart's (volumes and outlines in 3D against slices, mass over the
heartbeat) are not judged here. A row is one exam with one fault.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dmcvr.anatomy.complete import Anatomy
from dmcvr.anatomy.coverage import Coverage
from dmcvr.errors import InputError
from dmcvr.evaluate.case import Bench, Case, Findings, Row
from dmcvr.evaluate.contenders import Contender
from dmcvr.evaluate.spoil import FAULTS, VARIANTS
from dmcvr.evaluate.tables import Table
from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.fill.slid import Slid
from dmcvr.geometry.greys import prepare_upright
from dmcvr.geometry.locate import Region
from dmcvr.geometry.region import crop_labels
from dmcvr.labels.heart import HeartSeen
from dmcvr.quality.expected import FAILED
from dmcvr.quality.trust import FAILING, Trust, flags_of_slices, look

#: The exam as it is.
CLEAN = "none"

#: The verdict where there is no result.
NO_HEART = "no heart"


def trust(case: Case, bench: Bench) -> Findings:
    """A row for each fault that the exam can have."""
    rows = []
    for fault in (CLEAN, *FAULTS):
        stack = spoiled(case, fault)
        if stack is not None:
            rows.append({**case.about, "fault": fault, **_judged(stack, case, bench.engine)})
    return Findings(rows)


def spoiled(case: Case, fault: str) -> SliceStack | None:
    """The case with a fault, always the same; None where it cannot have it."""
    if fault == CLEAN:
        return case.stack
    rng = np.random.default_rng([ord(letter) for letter in case.name + fault])
    try:
        return {**FAULTS, **VARIANTS}[fault](case.stack, rng)
    except InputError:
        return None


def seen(stack: SliceStack, engine: Engine) -> tuple[SliceStack, Region, tuple[Acquired, ...]]:
    """The exam without its labels, its region and what the segmenter finds."""
    size = engine.model.preset.size
    bare, region = prepare_upright(stack.without_labels(), engine.segment, size, engine.upright, engine.scale)
    pixel_mm = region.located.frame.pixel_mm
    found = tuple(
        Acquired.segmented(images, bare.positions_mm, engine.segment_stack, pixel_mm) for images in region.images
    )
    return bare, region, found


def refused(bare: SliceStack, region: Region, found: tuple[Acquired, ...]) -> bool:
    """Whether no heart is seen, so that there is no result."""
    labels = np.stack([phase.labels for phase in found])
    return not region.located.found or HeartSeen.of(labels, bare.positions_mm).missing is not None


def true_dice(
    stack: SliceStack, region: Region, found: tuple[Acquired, ...], judged: tuple[int, ...]
) -> dict[str, float]:
    """By structure, over all phases; 0 where there is none to find and something was found, or the reverse."""
    assert stack.labels is not None
    frame = region.located.frame
    labels, manual = np.stack([phase.labels for phase in found]), crop_labels(stack, stack.labels, frame)
    pixels = float(np.prod(stack.pixel_mm)) / frame.pixel_mm**2
    scores = {}
    for c in judged:
        mask, whole = labels == c, np.count_nonzero(stack.labels == c) * pixels
        both = np.count_nonzero(mask) + whole
        scores[LABEL_NAMES[c]] = float(2 * np.count_nonzero(mask & (manual == c)) / both) if both else 0.0
    return scores


def _judged(stack: SliceStack, case: Case, engine: Engine) -> Row:
    bare, region, found = seen(stack, engine)
    row: Row = {f"dice_{name}": v for name, v in true_dice(stack, region, found, case.judged).items()}
    looked = look(bare, region, found, engine)
    if refused(bare, region, found):
        foretold = _foretold_of(Trust.of(looked, [], given=False, known=True))
        return row | foretold | {"verdict": NO_HEART, "flags": ""}
    slid = Slid(bare, region, found).slide()
    anatomy = Anatomy.of(slid.labels, bare.positions_mm, region.located.frame.pixel_mm)
    flags = flags_of_slices(slid, engine, Coverage.of(anatomy, completed=True))
    trusted = Trust.of(looked, flags, given=False, known=True)
    looks = [flag.name for flag in flags if flag.level == "look"]
    return row | _foretold_of(trusted) | {"verdict": trusted.verdict, "flags": "|".join(looks)}


def _foretold_of(trusted: Trust) -> Row:
    expected = trusted.expected or {}
    return {f"expected_{name}": e.dice for name, e in expected.items()} | {
        f"failing_{name}": e.failing for name, e in expected.items()
    }


def trust_tables(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
    """Foretold against true Dice; failures found; verdicts and flags by fault."""
    del contenders
    tables = [
        Table("The Dice foretold, and failures found", "figures", _foretold(rows)),
        Table("Verdicts by fault", "figures", _verdicts(rows)),
        Table("Flags by fault: share of exams", "figures", _flags(rows)),
    ]
    return [table for table in tables if len(table.numbers)]


def _foretold(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for name in LABEL_NAMES.values():
        if f"dice_{name}" not in rows:
            continue
        members = rows.dropna(subset=[f"dice_{name}"])
        true, expected = members[f"dice_{name}"].to_numpy(), members[f"expected_{name}"].to_numpy()
        bad = true < FAILED
        caught = ((members[f"failing_{name}"] > FAILING) | (members["verdict"] == NO_HEART)).to_numpy()
        line: dict[str, Any] = {"structure": name, "exams": len(members), "failures": int(bad.sum())}
        line["correlation"] = float(np.corrcoef(true, expected)[0, 1]) if len(true) > 2 else np.nan
        line["mean error"] = float(np.abs(true - expected).mean())
        line["failures found"] = float(caught[bad].mean()) if bad.any() else np.nan
        line["false alarms"] = float(caught[~bad].mean()) if (~bad).any() else np.nan
        lines.append(line)
    if all(f"dice_{name}" in rows for name in LABEL_NAMES.values()):
        worst = rows[[f"dice_{name}" for name in LABEL_NAMES.values()]].min(axis=1).to_numpy()
        caught = rows["verdict"].isin(["do not use", NO_HEART]).to_numpy()
        warned = caught | (rows["verdict"] == "look").to_numpy()
        bad = worst < FAILED
        for name, said in (("any: do not use", caught), ("any: look, or do not use", warned)):
            line = {"structure": name, "exams": len(rows), "failures": int(bad.sum())}
            line["failures found"] = float(said[bad].mean()) if bad.any() else np.nan
            line["false alarms"] = float(said[~bad].mean()) if (~bad).any() else np.nan
            lines.append(line)
    return pd.DataFrame(lines)


def _verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for fault, members in rows.groupby("fault", sort=False):
        line: dict[str, Any] = {"fault": fault, "exams": len(members)}
        for name in LABEL_NAMES.values():
            if f"dice_{name}" in rows:
                line[f"Dice {name}"] = float(members[f"dice_{name}"].mean())
        line |= {v: float((members["verdict"] == v).mean()) for v in ("usable", "look", "do not use", NO_HEART)}
        lines.append(line)
    return pd.DataFrame(lines)


def _flags(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["verdict"] != NO_HEART]
    names = sorted({name for text in rows["flags"] for name in text.split("|") if name})
    lines = []
    for fault, members in rows.groupby("fault", sort=False):
        shares = {n: float(np.mean([n in text.split("|") for text in members["flags"]])) for n in names}
        lines.append({"fault": fault, "exams": len(members), **shares})
    return pd.DataFrame(lines)
