"""The main job: a short-axis stack in, a 3D heart out (He et al., MICCAI 2023, arXiv 2308.09223).

Load the exam; find the heart, crop and normalise its slices; slide them into one breath-hold; fill the gaps between
them; put everything back into the world; measure it, and say what looks wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dmcvr.anatomy.complete import Anatomy
from dmcvr.anatomy.coverage import Coverage
from dmcvr.clinical.cycle import MIN_PHASES, beat_ms
from dmcvr.clinical.measures import choose_ed_es, dense_volumes, measure_wall, measures, slice_summation
from dmcvr.clinical.valves import valve_planes
from dmcvr.errors import InputError, NoHeartError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.structures import LABEL_MAPS, Numbering, numbering_of, written
from dmcvr.exam.view import View
from dmcvr.exam.volume import Volume, slice_affines
from dmcvr.fill.catalogue import PLAIN, make_method, stages_of
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired, Dense
from dmcvr.fill.slid import Slid
from dmcvr.geometry.greys import prepare_upright, views_as, without_blank_slices
from dmcvr.geometry.locate import Located, Region, unmirrored
from dmcvr.geometry.orient import from_scanner
from dmcvr.geometry.plan import Plan
from dmcvr.geometry.region import crop_labels, labels_at_slices, output_grid, uncrop, uncrop_labels, uncrop_scores
from dmcvr.io.contours import is_contours, with_contours
from dmcvr.io.exam import Exam
from dmcvr.io.folder import whole_folder
from dmcvr.io.labels import is_placed, with_labels, with_placed_labels
from dmcvr.io.read import find_exam
from dmcvr.io.result import write_result
from dmcvr.labels.components import keep_one_heart
from dmcvr.labels.distances import shares
from dmcvr.labels.heart import HeartSeen
from dmcvr.model.weights import is_bundled
from dmcvr.options import (
    KEPT,
    LABEL_FORMATS,
    MESH_FORMATS,
    NAMED_PHASES,
    SPACING_LIMITS_MM,
    Options,
    ViewsUse,
    chosen_formats,
    wanted_phases,
)
from dmcvr.quality.doubt import doubt
from dmcvr.quality.flags import Flag, dense_flags, nearest_slices
from dmcvr.quality.intervals import intervals
from dmcvr.quality.record import agreement, engine_record, exam_record, views_record
from dmcvr.quality.signs import Looked
from dmcvr.quality.spread import Opening, Spread
from dmcvr.quality.trust import Trust, flags_of_slices, look
from dmcvr.report.notebook import notebook_html
from dmcvr.report.page import write_report
from dmcvr.result import OBSERVED, Result
from dmcvr.stages import Stages
from dmcvr.surface.borders import Borders
from dmcvr.surface.files import write_meshes
from dmcvr.surface.fit import Fitted, fit_template, fitted_strain
from dmcvr.threads import together

#: Phases that are reconstructed side by side, each on its share of the cores: what networks leave idle, the other's
#: splines and surfaces fill.
ABREAST = 2


@dataclass(frozen=True)
class Reconstruction(Result):
    """A `Result` that shows and writes itself: image, labels, the acquired slices, measures, and how it was made.

    =======  =================================================================================================
    borders  P phases: where the structures' borders run between voxels, for the surfaces
    fitted   the template on every phase, the same vertices in all; None where a phase lacks the LV or the RV
    =======  =================================================================================================
    """

    borders: tuple[Borders, ...]
    fitted: Fitted | None

    def save(
        self,
        folder: str | Path,
        *,
        label_formats: Sequence[str] = LABEL_FORMATS,
        mesh_formats: Sequence[str] = ("ply",),
        case: str | None = None,
    ) -> Path:
        """Write images, labels, meshes, records and the report into `folder`, which appears whole or not at all.

        Labels as "nifti" and "nrrd" (3D Slicer's segmentation); meshes as "ply", "stl", "vtp" (VTK) and "glb"
        (one file, a 4D heart beats in it); of either, "none" or an empty list. `case` is what measures.csv calls the
        exam, by default the folder's name. Raises `InputError` for another format, and where the folder holds something
        else or cannot be written.
        """
        label_formats = chosen_formats("label", label_formats, LABEL_FORMATS)
        mesh_formats = chosen_formats("mesh", mesh_formats, MESH_FORMATS)
        with whole_folder(Path(folder)) as partial:
            case = case or Path(folder).absolute().name
            self.write(partial, label_formats=label_formats, mesh_formats=mesh_formats, case=case)
        return Path(folder)

    def write(
        self,
        folder: Path,
        *,
        label_formats: Sequence[str] = LABEL_FORMATS,
        mesh_formats: Sequence[str] = ("ply",),
        keep: Sequence[str] = KEPT,
        case: str | None = None,
    ) -> None:
        """The same files, of `keep`, into an empty folder that is there. Meshes and the report are made here or not."""
        beat = beat_ms(self.acquired.times_ms if self.acquired else None) or 1000

        def files() -> None:
            write_result(self, folder, label_formats=label_formats, keep=keep, case=case)

        def meshes() -> None:
            write_meshes(
                folder / "meshes",
                self.borders,
                self.phases,
                fitted=self.fitted,
                formats=mesh_formats,
                beat_s=beat / 1000,
                mirrored=self.mirrored,
            )

        def report() -> None:
            write_report(self, folder / "report.html")

        wanted = {"report": report, "meshes": meshes}  # the longest first
        together(*(job for name, job in wanted.items() if name in keep), files)

    def _repr_html_(self) -> str:
        """How a notebook shows it: a middle slice, a long-axis cut before and after, and the measures."""
        return notebook_html(self)


def reconstruct(
    source: SliceStack | Exam | str | Path,
    options: Options | None = None,
    *,
    engine: Engine | None = None,
    stages: Stages | None = None,
    views: Sequence[View] | ViewsUse | None = None,
    **changes: Any,
) -> Reconstruction:
    """Reconstruct a short-axis exam on a dense isotropic grid.

    =======  =============================================================================================
    source   a `SliceStack`, a NIfTI file, a folder of DICOM, a patient's folder of a known dataset, or an `Exam` that
             was found in one of them
    options  how; see `dmcvr.options.Options`
    engine   a loaded model, to use again for many exams: it brings its own weights, image, steps and device
    stages   collects timings and shows progress
    views    long-axis pictures, of each plane one for each phase, which tell where the slices lie, and, of a heart that
             is completed, where its valves, its apex and its borders between the slices are: used in place of those
             that the exam has itself; or whether to use those ("auto", "off"), as the option `long_axis` says
    changes  any of the options by name, as in `reconstruct(path, phase="ED", method="linear")`
    =======  =============================================================================================

    Raises `InputError`, with a sentence that says what to do, for anything that cannot be used, `NoHeartError` (one of
    those) where the slices show no heart and `allow_empty` is not set, and `TypeError` for a keyword that is no option.
    """
    if isinstance(views, str):
        views, changes = None, {"long_axis": views, **changes}
    options = replace(options or Options(), **changes)
    options.check()
    _check_engine(options, engine)
    stages = stages or Stages()

    with stages("load"):
        exam = _exam(source, options)
        stack = load(exam, options)
        if views is None:
            stack, views = _own_views(exam, stack, options)
        marks = tuple(None if name is None else stack.phase_index(name) for name in (options.ed, options.es))
        engine = engine or Engine.load(
            options.weights_name,
            segmenter=options.segmenter,
            generator=options.generator_name,
            device=options.device,
            steps=options.steps,
            image=options.image,
        )
        engine.check_draws(options.draws)
    stages.expect(_ahead(stack, options, engine))
    with stages("locate"):
        stack, region = prepare_upright(stack, engine.segment, engine.model.preset.size, engine.upright, engine.scale)
        views = views_as(stack, views)
        if options.unmirror:
            views = [view.carried(stack.reflection) for view in views] if region.located.mirrored else views
            stack, region = unmirrored(stack, region)
    abreast = _abreast(engine, options)

    def find(phase: int) -> Acquired:
        return _acquired(stack, region, phase, engine, stages)

    acquired = tuple(stages.phases(find, range(len(stack.phases)), abreast=abreast))
    at_slices = np.stack([phase.labels for phase in acquired])
    doubts = _no_heart(stack, region, at_slices, options)
    looked = None
    if options.intervals:
        with stages("measure"):
            looked = look(stack, region, acquired, engine)
    slid = Slid(stack, region, acquired)
    del acquired  # all phases' probabilities: from here on those of the slid slices count
    if options.align_slices == "auto":
        with stages("slide"):
            slid = slid.slide(views)
    filled = _phases_to_fill(stack, at_slices, region, options, marks)
    anatomy = Anatomy.of(slid.labels, stack.positions_mm, region.located.frame.pixel_mm)
    completed = options.complete == "auto"
    if completed and views and engine.scale is None:  # MRI, which the views' segmenter was trained on
        with stages("views"):
            anatomy = anatomy.with_views(views, stack.phases, slid.slices, engine.segment_views)
    grid = DenseGrid.of(stack, region, options.spacing_mm, anatomy.reach_mm if completed else None)
    method = make_method(options.method, engine)
    image, labels = grid.empty(len(filled), np.float32), grid.empty(len(filled), np.uint8)
    observed = grid.empty(len(filled), np.uint8)
    uncertainty = grid.empty(len(filled), np.uint8) if options.intervals else None
    drawn = tuple(grid.empty(len(filled), np.float32) for _ in range(2)) if options.draws else None

    def fill(n: int) -> tuple[dict[str, Any], Borders]:
        """Phase `filled[n]` into the volumes; how well its acquired slices are kept, and where its borders run."""
        index = filled[n]
        phase = slid.acquired[index]
        with stages("fill") if options.method in PLAIN else nullcontext():  # ours times its own steps
            dense = method(phase, grid.plan, stages)
        observed.data[n] = grid.rests_on(stack)
        if completed:
            with stages("complete"):
                whole = anatomy.complete(dense.scores, grid.heights, index)
                dense = replace(dense, scores=whole.scores)
                observed.data[n][grid.restore_mask(whole.completed, region)] = OBSERVED["completed"]
        with stages("resample"):
            image.data[n], labels.data[n], scores = restore(dense, region, grid)
            if uncertainty is not None:
                uncertainty.data[n] = grid.doubtful(dense, stack, region)
            image.data[n][..., ~grid.pictured(stack)] = region.scale.low
            borders = Borders.of(labels.data[n], grid.affine, scores)
        if drawn is not None:
            with stages("draws"):
                drawn[0].data[n], drawn[1].data[n] = spread_of_draws(phase, options, engine, grid, region)
                for part, black in zip(drawn, (region.scale.low, 0), strict=True):
                    part.data[n][..., ~grid.pictured(stack)] = black
        return agreement(phase.images, dense.round_trip), borders

    residuals, borders = zip(*stages.phases(fill, range(len(filled)), abreast=abreast), strict=True)
    with stages("measure"):
        covered = Coverage.of(anatomy, completed=completed)
        base_seen = anatomy.base_seen(filled)
        found = assess(stack, slid, grid, at_slices, labels, filled, marks, engine, covered, base_seen=base_seen)
        trust = None
        if looked is not None:
            trust = how_sure(stack, looked, slid, anatomy, filled, found, engine, options)
        segmented, stack = stack.phases, stack.select_phases(filled)
        fitted = _fit(borders, stack, region.located, found.measures, base_seen=base_seen)
    run = {
        **options.record(),
        "image": engine.drawing.image if options.method not in PLAIN else None,
        "labels": "given" if stack.labels is not None else "segmented",
        "label_map": _label_map(exam, options),
        "output": {
            "shape": list(grid.shape),
            "spacing_mm": grid.spacing_mm,
            "affine_ras_mm": grid.affine.tolist(),
        },
        "views": views_record(views, stack, slid.holds),
        "breath_holds": None if slid.holds is None else slid.holds.record(),
        **({} if anatomy.seen is None else {"views_seen": anatomy.seen.record()}),
        "phases_segmented": list(segmented),
        "acquired_slices_residual": dict(zip(stack.phases, residuals, strict=True)),
        **engine_record(engine),
        **exam_record(stack, region.located, [*doubts, *found.measures["ed_es_warnings"]]),
        "seconds": {name: round(seconds, 3) for name, seconds in stages.seconds.items()},
        "quality": None if trust is None else trust.record(),
        "flags": [flag.record() for flag in found.flags],
    }
    if stack.labels is None:
        stack = replace(stack, labels=labels_at_slices(stack, at_slices[filled], region.located.frame))
    return Reconstruction(
        image,
        labels,
        stack,
        found.measures,
        run,
        borders=borders,
        fitted=fitted,
        observed=observed,
        uncertainty=uncertainty,
        drawn=None if drawn is None else (drawn[0], drawn[1]),
        views=tuple(view for view in views if view.phase in stack.phases),
    )


def _abreast(engine: Engine, options: Options) -> int:
    """How many phases are done side by side: by networks on the CPU; other libraries' methods fill the cores, or do not
    like company."""
    networks = options.method not in PLAIN and options.method != "deeprecon"
    return ABREAST if networks and engine.device.type == "cpu" else 1


def load(source: SliceStack | Exam | str | Path, options: Options) -> SliceStack:
    """The phases that are segmented, with the labels that are given, without blank slices; raises `InputError`."""
    exam = _exam(source, options)
    stack = with_patient(exam.read() if isinstance(exam, Exam) else exam, options)
    phases = _phases_to_segment(stack, options)
    if options.labels_in is None:
        return without_blank_slices(stack.select_phases(phases))
    if is_contours(Path(options.labels_in)):
        return without_blank_slices(with_contours(stack.select_phases(phases), Path(options.labels_in)))
    if is_placed(Path(options.labels_in)):
        whole = without_blank_slices(stack)
        return with_placed_labels(whole, Path(options.labels_in), options.label_map, phases=phases)
    numbering = _numbering(exam, options)
    stack = with_labels(stack, Path(options.labels_in), numbering, phases=phases)
    if options.label_map is None:
        why = "as the exam's layout numbers them" if isinstance(exam, Exam) and exam.numbering else "as dmcvr does"
        said = f"The given labels were taken to be numbered {_spoken(numbering)}, {why}: --label-map says otherwise."
        stack = replace(stack, warnings=(*stack.warnings, said))
    return without_blank_slices(stack)


def _own_views(exam: SliceStack | Exam, stack: SliceStack, options: Options) -> tuple[SliceStack, tuple[View, ...]]:
    """The exam's own long-axis views, where they are asked for, and the stack with a warning for each that is none."""
    if not isinstance(exam, Exam) or options.long_axis == "off":
        return stack, ()
    notes: list[str] = []
    views = exam.views(stack, notes)
    return replace(stack, warnings=(*stack.warnings, *notes)), views


def _ahead(stack: SliceStack, options: Options, engine: Engine) -> list[str]:
    """The stages from loading to the measures, as often as they are to come."""
    wanted, phases = wanted_phases(options.phase), len(stack.phases)
    segmented = phases if stack.labels is None else 0
    filled = phases if wanted is None else min(phases, len(wanted))
    whole = [*stages_of(options.method, engine), *(["complete"] if options.complete == "auto" else []), "resample"]
    whole += ["draws"] if options.draws else []
    slide = ["slide"] if options.align_slices == "auto" else []
    looks = ["measure"] if options.intervals else []
    return ["locate", *["segment"] * segmented, *looks, *slide, *whole * filled, "measure"]


def _phases_to_segment(stack: SliceStack, options: Options) -> list[int]:
    """Indices of the phases that are asked for; all, where ED or ES has to be found among them."""
    wanted = wanted_phases(options.phase)
    if wanted is None:
        return list(range(len(stack.phases)))
    given = {"ED": options.ed, "ES": options.es}
    names = [name if name in stack.phases else given.get(name) or name for name in wanted]
    sought = [name for name in names if name in NAMED_PHASES and name not in stack.phases]
    if not sought or len(stack.phases) < MIN_PHASES:
        return stack.phase_indices(names)
    stack.phase_indices([name for name in names if name not in sought])
    return list(range(len(stack.phases)))


def _phases_to_fill(
    stack: SliceStack,
    at_slices: NDArray[np.uint8],
    region: Region,
    options: Options,
    marks: tuple[int | None, ...],
) -> list[int]:
    """Indices of the segmented phases that are reconstructed: all, or those that turn out to be ED and ES."""
    wanted = wanted_phases(options.phase) or ()
    if not set(NAMED_PHASES) & set(wanted):
        return list(range(len(stack.phases)))
    pixel_mm = region.located.frame.pixel_mm
    summed = slice_summation(at_slices, stack.positions_mm, (pixel_mm, pixel_mm))
    cycle, _ = choose_ed_es(summed, stack.phases, ed=marks[0], es=marks[1])
    found = {} if cycle is None else {"ED": stack.phases[cycle.ed], "ES": stack.phases[cycle.es]}
    return stack.phase_indices([name if name in stack.phases else found.get(name, name) for name in wanted])


def with_patient(stack: SliceStack, options: Options) -> SliceStack:
    """The exam with what the options say of the patient; where that contradicts the exam, a warning says so."""
    said = {name: getattr(options, name) for name in ("sex", "height_cm", "weight_kg")}
    given = {name: value for name, value in said.items() if value is not None}
    other = [name.split("_")[0] for name, value in given.items() if getattr(stack.patient, name) not in (None, value)]
    text = f"The patient's {', '.join(other)} {'is' if len(other) == 1 else 'are'} as the options say, not the exam."
    warnings = (*stack.warnings, text) if other else stack.warnings
    return replace(stack, patient=replace(stack.patient, **given), warnings=warnings)


def _exam(source: SliceStack | Exam | str | Path, options: Options) -> SliceStack | Exam:
    """What lies at a path, understood; what is given otherwise."""
    if isinstance(source, SliceStack | Exam):
        return source
    return find_exam(Path(source), layout=options.layout, series=options.series)


def _numbering(exam: SliceStack | Exam, options: Options) -> str | Numbering:
    """How the given labels are numbered: as said, else as the exam's layout has it, else as ours."""
    layout = exam.numbering if isinstance(exam, Exam) else None
    return options.label_map or layout or "dmcvr"


def _label_map(exam: SliceStack | Exam, options: Options) -> str | None:
    """As run.json tells how the given labels were understood."""
    if options.labels_in is None:
        return None
    if is_placed(Path(options.labels_in)):
        return options.label_map or "dmcvr"
    return _spoken(_numbering(exam, options))


def _spoken(numbering: str | Numbering) -> str:
    """A numbering for people and records: written out, a named one with its name."""
    if not isinstance(numbering, str):
        return written(numbering)
    return f"{numbering} ({written(numbering_of(numbering))})" if numbering in LABEL_MAPS else numbering


def _no_heart(stack: SliceStack, region: Region, labels: NDArray[np.uint8], options: Options) -> list[str]:
    """Warnings, where an exam without a heart is allowed; else raises `NoHeartError`. Labels that are given are one."""
    seen = HeartSeen.of(labels, stack.positions_mm)
    if stack.labels is not None or (region.located.found and seen.missing is None):
        return []
    missing = seen.missing or "what was found is too small"
    if not options.allow_empty:
        raise NoHeartError(
            f"No heart is seen in these slices: {missing}; give a short-axis stack of the heart, or insist on a result "
            "with --allow-empty."
        )
    return [f"No heart is seen in these slices: {missing}. What is written is none."]


@dataclass(frozen=True)
class DenseGrid:
    """The dense grid: where its voxels are, and which acquired slices lie around each of its slices.

    ==========  =========  ==============================================================
    affine      (4, 4)     voxel (i, j, k, 1) to RAS+ mm
    shape       (I, J, K)
    affines     (K, 4, 4)  pixel (i, j, 0, 1) of each slice to RAS+ mm
    plan                   the neighbours of each slice
    normal      (3,)       unit vector along which the slices are stacked
    spacing_mm  scalar     isotropic
    ==========  =========  ==============================================================
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    affines: NDArray[np.float64]
    plan: Plan
    normal: NDArray[np.float64]
    spacing_mm: float

    @classmethod
    def of(
        cls,
        stack: SliceStack,
        region: Region,
        spacing_mm: float | None,
        reach_mm: tuple[float, float] | None = None,
    ) -> DenseGrid:
        """Around the region, along the whole stack and as far as the heart reaches; default: voxels like the pixels."""
        spacing = float(np.clip(np.mean(stack.pixel_mm), *SPACING_LIMITS_MM)) if spacing_mm is None else spacing_mm
        affine, shape = output_grid(stack, region.located.frame, spacing, reach_mm)
        affines = slice_affines(affine, shape[2])
        plan = Plan.between(stack.positions_mm, affines[:, :3, 3] @ stack.normal)
        return cls(affine, shape, affines, plan, stack.normal, spacing)

    @property
    def heights(self) -> NDArray[np.float64]:
        """(K,) positions of its slices along the normal, in mm."""
        return np.asarray(self.affines[:, :3, 3] @ self.normal)

    def pictured(self, stack: SliceStack) -> NDArray[np.bool_]:
        """(K,) which of its slices lie in the slabs that acquired slices stand for."""
        start, stop = stack.extent_mm
        return (self.heights >= start - self.spacing_mm / 2) & (self.heights <= stop + self.spacing_mm / 2)

    def rests_on(self, stack: SliceStack) -> NDArray[np.uint8]:
        """(K,) of `OBSERVED`: what each slice rests on, before anything is completed."""
        away = np.abs(self.heights[:, None] - stack.positions_mm).min(axis=1)
        first, last = stack.positions_mm[[0, -1]]
        names = np.select(
            [away <= self.spacing_mm / 2 + 1e-6, (self.heights > first) & (self.heights < last)],
            [OBSERVED["acquired"], OBSERVED["interpolated"]],
            OBSERVED["not seen"],
        )
        return names.astype(np.uint8)

    def restore_mask(self, mask: NDArray[np.bool_], region: Region) -> NDArray[np.bool_]:
        """(K, S, S) pixels of the region's slices to voxels (I, J, K)."""
        share = uncrop(
            mask.astype(np.float32), region.located.frame, self.affines, self.shape[:2], self.normal, order=1
        )
        return np.moveaxis(share >= 0.5, 0, 2)

    def doubtful(self, dense: Dense, stack: SliceStack, region: Region) -> NDArray[np.uint8]:
        """(I, J, K) the probability that a voxel's label is another, in percent."""
        frame = region.located.frame
        away = np.abs(self.heights[:, None] - stack.positions_mm).min(axis=1)
        found = doubt(dense.scores, away, frame.pixel_mm)
        found = uncrop(found, frame, self.affines, self.shape[:2], self.normal, order=1)
        return np.moveaxis(np.rint(100 * np.clip(found, 0, 1)).astype(np.uint8), 0, 2)

    def empty(self, phases: int, dtype: DTypeLike) -> Volume:
        """A volume of so many phases on this grid, to be filled."""
        return Volume(np.empty((phases, *self.shape), dtype), self.affine)


def restore(
    dense: Dense, region: Region, grid: DenseGrid
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """One phase as it was filled, in the world: image (I, J, K) in the exam's grey values, labels (I, J, K), and the
    scores (4, I, J, K) that they were chosen from."""
    frame, shape = region.located.frame, grid.shape[:2]
    unit = uncrop(dense.images, frame, grid.affines, shape, grid.normal)
    scores = uncrop_scores(dense.scores, frame, grid.affines, shape, grid.normal)
    labels = keep_one_heart(scores.argmax(axis=0).astype(np.uint8))
    image = region.scale.restore(np.clip(unit, -1, 1))
    return np.moveaxis(image, 0, 2), np.moveaxis(labels, 0, 2), np.moveaxis(scores, 1, 3)


@dataclass(frozen=True)
class Assessment:
    """The measures (as measures.json) and the quality flags (as in run.json)."""

    measures: dict[str, Any]
    flags: list[Flag]


def assess(
    stack: SliceStack,
    slid: Slid,
    grid: DenseGrid,
    at_slices: NDArray[np.uint8],
    labels: Volume,
    filled: list[int],
    marks: tuple[int | None, ...],
    engine: Engine,
    covered: Coverage,
    *,
    base_seen: bool,
) -> Assessment:
    """Measure the dense labels of the phases that were filled, and the acquired slices' own (P, N, S, S) of all.

    `marks` are ED and ES where given; `base_seen` says whether the left ventricle's base is more than an estimate.
    """
    located = slid.region.located
    frame = located.frame
    numbers = measures(
        dense_volumes(labels),
        slice_summation(at_slices, stack.positions_mm, (frame.pixel_mm, frame.pixel_mm)),
        stack.phases,
        stack.patient,
        times_ms=stack.times_ms,
        ed=marks[0],
        es=marks[1],
        filled=filled,
    )
    stack, slid = stack.select_phases(filled), slid.select_phases(filled)
    ed, es = (numbers[name] if numbers[name] in stack.phases else None for name in ("ed_phase", "es_phase"))
    numbers["wall_thickness"] = _wall(labels, stack, located, ed)
    numbers["valve_planes"] = valve_planes(labels, stack.phases, ed, es, base_seen=base_seen)
    return Assessment(numbers, [*flags_of_slices(slid, engine, covered), *_flags_of_dense(slid, grid, labels, numbers)])


def _flags_of_dense(slid: Slid, grid: DenseGrid, labels: Volume, numbers: dict[str, Any]) -> list[Flag]:
    stack, dense, heights = slid.stack, np.moveaxis(labels.data, 3, 1), grid.heights
    affines, frame = grid.affines[nearest_slices(heights, stack.positions_mm)], slid.region.located.frame
    planes = [uncrop_labels(shares(phase), frame, affines, dense.shape[2:], stack.normal) for phase in slid.labels]
    return dense_flags(
        np.stack(planes), dense, positions_mm=stack.positions_mm, dense_positions_mm=heights, measures=numbers
    )


def spread_of_draws(
    phase: Acquired, options: Options, engine: Engine, grid: DenseGrid, region: Region
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (I, J, K) of one phase's images, in the exam's grey values, from other noise each."""
    images = []
    for seed in range(options.draws):
        mixing = replace(engine.drawing.mixing, stochastic="fresh", seed=seed)
        method = make_method(options.method, replace(engine, drawing=replace(engine.drawing, mixing=mixing)))
        frame = region.located.frame
        unit = uncrop(method(phase, grid.plan).images, frame, grid.affines, grid.shape[:2], grid.normal)
        images.append(np.moveaxis(region.scale.restore(np.clip(unit, -1, 1)), 0, 2))
    return np.mean(images, axis=0, dtype=np.float32), np.std(images, axis=0, ddof=1, dtype=np.float32)


def how_sure(
    stack: SliceStack,
    looked: Looked,
    slid: Slid,
    anatomy: Anatomy,
    filled: Sequence[int],
    found: Assessment,
    engine: Engine,
    options: Options,
) -> Trust:
    """The verdict, by slices as the segmenter sees them; and the measures' intervals into them."""
    phases = tuple(stack.phases[n] for n in filled)
    openings = [Opening(slid.acquired[n].labels, slid.acquired[n].found, anatomy.ends[n]) for n in filled]
    sd_mm = None if slid.holds is None else np.sqrt(np.square(slid.holds.sd_mm).mean(axis=1))
    pixel_mm = slid.region.located.frame.pixel_mm
    spread = Spread.of(openings, slid.stack.positions_mm, pixel_mm, sd_mm)
    found.measures["intervals"] = intervals(spread, found.measures, phases, level=options.level)
    known = is_bundled(engine.info) and is_bundled(engine.segmenter_info)
    return Trust.of(looked, found.flags, given=stack.labels is not None, known=known)


def _wall(labels: Volume, stack: SliceStack, located: Located, ed_phase: str | None) -> dict[str, Any] | None:
    """Thickness at ED; of an exam with one phase, at that; None where neither is known or there is no heart."""
    if not located.found or (ed_phase is None and len(stack.phases) > 1):
        return None
    name = ed_phase or stack.phases[0]
    oriented = (
        "Anterior and inferior as the scanner's frame gives them, septal by the RV."
        if from_scanner(stack.normal)
        else "The header knows no scanner frame: septal is where the RV lies, and of the two walls beside it the one "
        "that the picture shows upper is taken to be anterior."
    )
    return measure_wall(labels, stack.phases.index(name), name, -located.frame.v, oriented)


def _fit(
    borders: Sequence[Borders], stack: SliceStack, located: Located, numbers: dict[str, Any], *, base_seen: bool
) -> Fitted | None:
    """The template on every phase, and strain from it into the measures: against ED, where there is one to compare."""
    ed_phase = numbers["ed_phase"] if numbers["ed_phase"] in stack.phases else None
    reference = 0 if ed_phase is None else stack.phases.index(ed_phase)
    fitted = fit_template(borders, reference=reference, anterior=-located.frame.v) if located.found else None
    known = fitted is not None and ed_phase is not None
    numbers["strain"] = None
    if fitted is not None and known:
        numbers["strain"] = fitted_strain(fitted, stack.phases, base_seen=base_seen)
    return fitted


def _acquired(stack: SliceStack, region: Region, phase: int, engine: Engine, stages: Stages) -> Acquired:
    """One phase's slices on the region's grid, with the labels that are given, else the segmenter's."""
    images = region.images[phase]
    if stack.labels is not None:
        given = crop_labels(stack, stack.labels[phase : phase + 1], region.located.frame)[0]
        return Acquired(images, given, labels_given=True)
    with stages("segment"):
        return Acquired.segmented(images, stack.positions_mm, engine.segment_stack, region.located.frame.pixel_mm)


def _check_engine(options: Options, engine: Engine | None) -> None:
    """Raise `InputError` where an engine is given beside an option that it would silently overrule."""
    if engine is None:
        return
    defaults = {f.name: f.default for f in fields(Options)}
    for name in ("weights", "segmenter", "image", "steps", "device"):
        if getattr(options, name) != defaults[name]:
            raise InputError(
                f"The engine has its own {name}: leave out {name}=, or leave out engine= and let it be loaded."
            )
