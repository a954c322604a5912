"""As a BIDS App: a dataset's hearts into a dataset of derivatives, participant by participant; then the group's tables.

Participants may be done by many processes at once, as BIDS Apps are run: none writes what another does, but for
dataset_description.json, which all write alike. What is done already is left.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmcvr.cohort.ledger import Kind, Row
from dmcvr.cohort.summary import summarise
from dmcvr.cohort.tables import write_tables
from dmcvr.cohort.whole import write_whole
from dmcvr.errors import InputError, NoHeartError
from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.io.bids import sessions, short_axes
from dmcvr.io.image import nifti_stem
from dmcvr.labels.colours import COLOURS, css
from dmcvr.options import Options
from dmcvr.result import OBSERVED

if TYPE_CHECKING:
    from dmcvr.fill.engine import Engine
    from dmcvr.reconstruction import Reconstruction

BIDS_VERSION = "1.10.0"

#: Ends the name of the file that is written last: an exam that has it is whole.
LAST = "_desc-dmcvr_summary.json"

#: Where failures are kept, in the derivatives.
LOGS = "logs"

#: Where the page of an exam is, beside the subjects' folders as other BIDS Apps have theirs.
REPORT = "{exam}.html"

#: What is no file of BIDS, for its validator.
IGNORED = (
    "*.html",
    "*.csv",
    "*.parquet",
    "*_measures.*",
    "*_run.json",
    "*_summary.json",
    "*_meshes/",
    "*_labels/",
    "index/",
    f"{LOGS}/",
)


@dataclass(frozen=True)
class Exam:
    """One short-axis cine of the dataset, or what a session is called that has none (`source` is None then).

    ======  ========================================================
    name    the file's, without its ending: unique in the dataset
    folder  where its results go, below the derivatives
    source  the file
    ======  ========================================================
    """

    name: str
    folder: Path
    source: Path | None

    def path(self, out: Path, description: str, ending: str) -> Path:
        """Where a result goes: sub-01_acq-sax_desc-<description>_<ending>."""
        stem = self.name.rpartition("_")[0] or self.name
        return out / self.folder / f"{stem}_desc-{description}_{ending}"

    def last(self, out: Path) -> Path:
        """The file that is written last."""
        return out / self.folder / f"{self.name}{LAST}"


def check_dataset(root: Path) -> None:
    """Raise `InputError` where a folder is no BIDS dataset: it has no dataset_description.json, or no subjects."""
    path = root / "dataset_description.json"
    advice = "or insist with --skip-bids-validation"
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}): give a BIDS dataset, {advice}.") from error
    missing = [key for key in ("Name", "BIDSVersion") if not isinstance(found, dict) or key not in found]
    if missing:
        raise InputError(f"{path} does not say {' and '.join(missing)}: a BIDS dataset does; add it, {advice}.")


def find_exams(root: Path, participants: Sequence[str] = (), only: Sequence[str] = ()) -> Iterator[Exam]:
    """Every short-axis cine of these participants and sessions (labels with or without sub- and ses-; none: all).

    Raises `InputError` for a participant that is not there, and where there is no subject at all.
    """
    wanted = [f"sub-{label.removeprefix('sub-')}" for label in participants]
    subjects = [root / name for name in wanted] or sorted(path for path in root.glob("sub-*") if path.is_dir())
    for subject in subjects:
        if not subject.is_dir():
            raise InputError(f"There is no participant {subject.name} in {root}: check --participant-label.")
    if not subjects:
        raise InputError(f"{root} holds no folder like sub-01: give a BIDS dataset.")
    kept = {f"ses-{label.removeprefix('ses-')}" for label in only}
    for subject in subjects:
        for session in sessions(subject):
            if kept and session.name not in kept:
                continue
            files = short_axes(session)
            for file in files:
                yield Exam(nifti_stem(file), file.parent.relative_to(root), file)
            if not files:
                yield Exam("_".join(session.relative_to(root).parts), session.relative_to(root), None)


def do_participants(
    exams: Iterator[Exam],
    root: Path,
    out: Path,
    options: Options,
    *,
    formats: dict[str, Any],
    said: Callable[[str], None],
) -> tuple[int, int]:
    """Reconstruct exams one after the other with one engine; how many are done, and how many failed.

    `formats` are those of `Reconstruction.write`; `said` is called with a line for each exam. Raises `InputError` where
    nothing can be written.
    """
    _describe(root, out)
    engine: Engine | None = None
    done = failed = 0
    for exam in exams:
        log = out / LOGS / f"{exam.name}.json"
        if exam.last(out).is_file():
            said(f"{exam.name}: done before")
            done += 1
            continue
        begun = time.perf_counter()
        try:
            if exam.source is None:
                raise InputError("There is no short-axis cine: expected a file such as sub-01_acq-sax_cine.nii.gz.")
            engine = engine or _engine(options)
            heart = _reconstructed(exam.source, options, engine)
        except Exception as error:  # of this exam; the others go on
            sentence, kind = _said(error)
            _log(log, {"exam": exam.name, "sentence": sentence, "kind": kind, "seconds": time.perf_counter() - begun})
            said(f"{exam.name}: {sentence}")
            failed += 1
            continue
        summary = _write(exam, heart, out, formats)
        write_whole(exam.last(out), json.dumps(summary) + "\n")
        log.unlink(missing_ok=True)
        said(f"{exam.name}: done")
        done += 1
    return done, failed


def do_group(out: Path) -> int:
    """Write the tables and the page of all that is done in the derivatives; how many exams. Raises `InputError`."""
    if not (out / "dataset_description.json").is_file():
        raise InputError(f"{out} holds no derivatives of dmcvr: run the participants first.")
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in read_rows(out):
            count += 1
            yield row

    write_tables(out, counted(), report=REPORT)
    return count


def read_rows(out: Path) -> Iterator[Row]:
    """What became of each exam, by name: of those done the summary, of those that failed the sentence."""
    for path in sorted(out.glob(f"sub-*/**/*{LAST}"), key=lambda path: path.name):
        found = _record(path)
        exam = path.name.removesuffix(LAST)
        yield Row(exam, exam, "done", 1, float(found["seconds"]), int(found["bytes"]), found, "", "")
    for path in sorted((out / LOGS).glob("sub-*.json")):
        found = _record(path)
        yield Row(
            found["exam"], found["exam"], "failed", 1, found["seconds"], 0, None, found["sentence"], found["kind"]
        )


def _record(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}): remove it, and do that exam again."
        ) from error
    return found


def _engine(options: Options) -> Engine:
    from dmcvr.fill.engine import Engine

    return Engine.load(
        options.weights_name,
        segmenter=options.segmenter,
        generator=options.generator_name,
        device=options.device,
        steps=options.steps,
        image=options.image,
    )


def _reconstructed(source: Path, options: Options, engine: Engine) -> Reconstruction:
    from dmcvr.reconstruction import reconstruct

    of_exam = replace(options, weights=None, segmenter=None, device="auto", steps=None, image="sharp")
    return reconstruct(source, of_exam, engine=engine)


def _said(error: Exception) -> tuple[str, Kind]:
    """What is said of an exam that failed, and the kind of its failure."""
    if isinstance(error, InputError):
        return str(error), "no heart" if isinstance(error, NoHeartError) else "input"
    return f"A fault of dmcvr's own ({type(error).__name__}: {error}): please report it.", "fault"


def _log(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(record, indent=2) + "\n")


def _write(exam: Exam, heart: Reconstruction, out: Path, formats: dict[str, Any]) -> dict[str, Any]:
    """Write an exam's files, named as BIDS names derivatives; returns its summary. Raises `InputError`."""
    try:
        (out / exam.folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out / exam.folder, prefix=".making-") as name:
            made = Path(name)
            heart.write(made, case=exam.name, **formats)
            summary = summarise(heart, made)
            size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
            _place(exam, made, out)
    except OSError as error:
        raise InputError(f"The results cannot be written to {out} ({error.strerror}): make room.") from error
    return summary | {"bytes": size}


def _place(exam: Exam, made: Path, out: Path) -> None:
    """The files of a result's folder to where BIDS has them. Raises `OSError`."""
    suffix = exam.name.rpartition("_")[2]
    for source, description, ending in (
        ("image.nii.gz", "dmcvr", f"{suffix}.nii.gz"),
        ("labels.nii.gz", "dmcvr", "dseg.nii.gz"),
        ("labels.seg.nrrd", "dmcvr", "dseg.seg.nrrd"),
        ("observed.nii.gz", "observed", "dseg.nii.gz"),
        ("acquired.nii.gz", "acquired", f"{suffix}.nii.gz"),
        ("measures.json", "dmcvr", "measures.json"),
        ("run.json", "dmcvr", "run.json"),
        ("labels", "dmcvr", "labels"),
        ("meshes", "dmcvr", "meshes"),
    ):
        target = exam.path(out, description, ending)
        if target.is_dir():
            shutil.rmtree(target)
        if (made / source).exists():
            (made / source).replace(target)
    if (made / "report.html").is_file():
        (made / "report.html").replace(out / REPORT.format(exam=exam.name))
    write_whole(exam.path(out, "dmcvr", "measures.tsv"), _tabs((made / "measures.csv").read_text(encoding="utf-8")))
    structures = [(label, name, css(COLOURS[label])) for label, name in LABEL_NAMES.items()]
    write_whole(exam.path(out, "dmcvr", "dseg.tsv"), _table(("index", "name", "color"), structures))
    origins = [(value, name) for name, value in OBSERVED.items()]
    write_whole(exam.path(out, "observed", "dseg.tsv"), _table(("index", "name"), origins))
    about = {
        "Description": "3D heart reconstructed from short-axis slices; research software, not a medical device.",
        "Sources": [f"bids:raw:{(exam.folder / exam.name).as_posix()}.nii.gz"],
    }
    for ending in (suffix, "dseg"):
        write_whole(exam.path(out, "dmcvr", f"{ending}.json"), json.dumps(about, indent=2) + "\n")


def _tabs(text: str) -> str:
    """A CSV as BIDS has tables: tabs, and n/a where nothing is known."""
    header, *rows = csv.reader(io.StringIO(text))
    return _table(header, rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["\t".join(str(cell) or "n/a" for cell in row) for row in (header, *rows)]
    return "\n".join(lines) + "\n"


def _describe(root: Path, out: Path) -> None:
    """What makes a folder a dataset of derivatives; all processes write the same."""
    description = {
        "Name": "dmcvr: 3D hearts from short-axis slices",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "dmcvr", "Version": version("dmcvr")}],
        "DatasetLinks": {"raw": Path(os.path.relpath(root, out)).as_posix()},
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {out} cannot be written ({error.strerror}): choose another.") from error
    write_whole(out / "dataset_description.json", json.dumps(description, indent=2) + "\n")
    write_whole(out / ".bidsignore", "\n".join(IGNORED) + "\n")
