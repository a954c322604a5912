"""`dmcvr evaluate`: a protocol over its cases; rows, tables, plots and the worst slices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dmcvr.errors import InputError
from dmcvr.evaluate.case import Bench, Picture, Row
from dmcvr.evaluate.cases import Cases, content_of, find_cases
from dmcvr.evaluate.contenders import Contender, Contenders
from dmcvr.evaluate.page import write_evaluation
from dmcvr.evaluate.plots import contact_sheet
from dmcvr.evaluate.protocols import PROTOCOLS, Protocol
from dmcvr.evaluate.settings import KEEP_EVERY, LEAVING_OUT, Settings, settings
from dmcvr.evaluate.store import Parts, code_sha256, fingerprint, versions
from dmcvr.evaluate.tables import Table
from dmcvr.fill.engine import Engine
from dmcvr.io.folder import whole_folder
from dmcvr.stages import Stages
from dmcvr.train.split import BUNDLED_SPLIT, Split


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    `rows` has a row a patient, phase, slice and method; `tables` sum them up; `run` says how it was made.
    """

    protocol: Protocol
    rows: pd.DataFrame
    tables: list[Table]
    run: dict[str, Any]

    def markdown(self, *, whole: bool = True) -> str:
        """The definition and all tables; or all but the further ones."""
        tables = [table for table in self.tables if whole or not table.further]
        return "\n\n".join(([self.protocol.definition] if whole else []) + [table.markdown() for table in tables])


def evaluate(
    protocol: str,
    data: Path | None = None,
    *,
    methods: Sequence[str] | None = None,
    stages: Stages | None = None,
    **others: Any,
) -> Evaluation:
    """Run a protocol; the keywords are the fields of `dmcvr.evaluate.settings.Settings`.

    Raises `InputError` for anything that cannot be used, before any work is done.
    """
    return run(settings(protocol, data, methods=methods, **others), stages=stages)


def run(chosen: Settings, *, stages: Stages | None = None) -> Evaluation:
    """Run a protocol as these (checked) settings say.

    Finished cases of an interrupted run are taken up where everything that a result depends on is the same.
    """
    protocol, output = PROTOCOLS[chosen.protocol], chosen.output
    stages = stages or Stages()
    cases = find_cases(chosen)
    engine = Engine.load(chosen.weights, segmenter=chosen.segmenter, device=chosen.device, steps=chosen.steps)
    contenders = Contenders(chosen.contenders or protocol.methods, engine=engine).all
    untouched = chosen.patients == "everyone"
    bench = Bench(engine, contenders, chosen.keep_every or KEEP_EVERY, untouched=untouched)
    record = _record(chosen, cases, engine, contenders)
    parts = Parts(output, record["fingerprint"])
    rows: list[Row] = []
    pictures: list[Picture] = []
    with stages(chosen.protocol, len(cases.load)) as advance:
        for number, load in enumerate(cases.load.values()):
            findings = parts.load(number)
            if findings is None:
                findings = protocol.measure(load(), bench)
                parts.save(number, findings)
            rows += findings.rows
            pictures += findings.pictures
            advance()
    if not rows:
        raise InputError(
            f"No exam under {chosen.data} has what {chosen.protocol} needs: enough slices or phases, or both ED and ES."
        )
    frame = pd.DataFrame(rows)
    evaluation = Evaluation(protocol, frame, protocol.tabulate(frame, contenders), record)
    if output is not None:
        _write(evaluation, pictures, output)
        parts.remove()
    return evaluation


def _record(chosen: Settings, cases: Cases, engine: Engine, contenders: tuple[Contender, ...]) -> dict[str, Any]:
    """All that the result depends on, and its fingerprint."""
    record: dict[str, Any] = {
        "protocol": chosen.protocol,
        "methods": list(chosen.contenders or PROTOCOLS[chosen.protocol].methods),
        "patients": list(cases.load),
    }
    if chosen.source == "patients":
        record["of_the_split"] = chosen.patients or "development"
        record["left_out"] = [f"{name}: {why}" for name, why in cases.left_out.items()]
        record["split_sha256"] = Split.read(chosen.split or BUNDLED_SPLIT).sha256
    if chosen.protocol in LEAVING_OUT:
        record["keep_every"] = chosen.keep_every or KEEP_EVERY
    own = engine.info.sha256 if engine.info else None
    record |= {
        "steps": engine.drawing.steps,
        "weights_sha256": own,
        "segmenter_sha256": engine.segmenter_info.sha256 if engine.segmenter_info else None,
        "other_weights": [f"{c.name}: {c.weights}" for c in contenders if c.weights not in (None, own)],
        "versions": [f"{name} {number}" for name, number in versions().items()],
        "code_sha256": code_sha256(),
        "device": str(engine.device),
        "precision": str(engine.precision).removeprefix("torch."),
        "contents_sha256": fingerprint({name: content_of(load()) for name, load in cases.load.items()}),
    }
    return record | {"fingerprint": fingerprint(record)}


def _write(evaluation: Evaluation, pictures: list[Picture], output: Path) -> None:
    with whole_folder(output) as partial:
        evaluation.rows.to_csv(partial / "rows.csv", index=False)
        (partial / "summary.json").write_text(summary(evaluation), encoding="utf-8")
        (partial / "run.json").write_text(json.dumps(evaluation.run, indent=2) + "\n", encoding="utf-8")
        (partial / "report.md").write_text(evaluation.markdown() + "\n", encoding="utf-8")
        evaluation.protocol.plot(partial / "plot.png", evaluation.rows)
        if pictures:
            contact_sheet(partial / "worst.png", pictures)
        write_evaluation(partial, evaluation.protocol.definition, evaluation.tables, evaluation.run)


def summary(evaluation: Evaluation) -> str:
    """JSON of the run's record and the tables' unrounded numbers, a line for each line of a table."""
    record = json.dumps(evaluation.run, indent=1)
    tables = []
    for table in evaluation.tables:
        parts = table.record()
        rows = ",\n  ".join(json.dumps(row) for row in parts.pop("rows"))
        tables.append(json.dumps(parts)[:-1] + f', "rows": [\n  {rows}\n ]}}')
    return f'{{"run": {record},\n"tables": [\n ' + ",\n ".join(tables) + "\n]}\n"
