"""A real cine (Sunnybrook: 12 slices x 20 phases, GE) as other scanners, archives and anonymisers would have left it.

Each mutation takes the cine's data sets and gives those to write; `slice` and `phase` are what is true of each.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.uid import generate_uid
from scipy import ndimage

from dmcvr.io.dicom.headers import lenient

SLICES, PHASES = 12, 20


@dataclass(eq=False)
class Picture:
    """One file: its data set, what it truly shows, and the name that it is written under."""

    dataset: FileDataset
    slice: int
    phase: int
    name: str
    take: int = 0


Cine = list[Picture]


#: Elements that a reader may look at.
WANTED = {
    tag_for_keyword(keyword)
    for keyword in [
        "SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesNumber",
        "SeriesDescription", "ProtocolName", "StudyInstanceUID", "PatientID", "FrameOfReferenceUID", "Rows", "Columns",
        "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
        "PixelRepresentation", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness",
        "SpacingBetweenSlices", "SliceLocation", "TriggerTime", "NominalInterval", "HeartRate", "AcquisitionTime",
        "AcquisitionNumber", "ContentTime", "InstanceNumber", "EchoTime", "ReconstructionDiameter", "PixelData",
        "AccessionNumber", "StudyDate",
    ]
}  # fmt: skip


def read_cine(folder: Path) -> Cine:
    """The cine by place (along the stack's normal as the reader sorts it) and trigger time."""
    with lenient():
        found = [(path.name, pydicom.dcmread(path)) for path in sorted(folder.glob("*.dcm"))]
        for _, dataset in found:
            dataset.decode()
    axes = np.array(found[0][1].ImageOrientationPatient, dtype=float)
    normal = np.cross(axes[:3], axes[3:]) * [-1, -1, 1]
    normal *= np.sign(normal[np.abs(normal).argmax()])
    height = [float(np.array(d.ImagePositionPatient, dtype=float) * [-1, -1, 1] @ normal) for _, d in found]
    places = sorted(set(np.round(height, 1)))
    assert len(places) == SLICES
    cine = []
    for n, place in enumerate(places):
        members = [item for item, h in zip(found, height, strict=True) if round(h, 1) == place]
        members.sort(key=lambda item: float(item[1].TriggerTime))
        cine += [Picture(dataset, n, p, name) for p, (name, dataset) in enumerate(members)]
    return cine


def write_cine(cine: Cine, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with lenient():
        for picture in cine:
            picture.dataset.save_as(folder / picture.name)
    return folder


def copied(cine: Cine) -> Cine:
    """Headers of their own; pixels are shared until they are set."""
    return [Picture(_copied(p.dataset), p.slice, p.phase, p.name, p.take) for p in cine]


def _copied(dataset: FileDataset) -> FileDataset:
    elements = {element.tag: copy.copy(element) for element in dataset}
    return FileDataset("", elements, file_meta=copy.copy(dataset.file_meta), preamble=dataset.preamble)


def pixels(picture: Picture) -> np.ndarray:
    d = picture.dataset
    return np.frombuffer(d.PixelData, dtype=np.int16).reshape(d.Rows, d.Columns).copy()


def set_pixels(picture: Picture, values: np.ndarray) -> None:
    values = np.ascontiguousarray(np.rint(values), dtype=np.int16)
    picture.dataset.Rows, picture.dataset.Columns = values.shape
    picture.dataset.PixelData = values.tobytes()


def each(cine: Cine, change: Callable[[Picture], None], where: Callable[[Picture], bool] = lambda p: True) -> Cine:
    for picture in cine:
        if where(picture):
            change(picture)
    return cine


def cropped(cine: Cine, size: int) -> Cine:
    """The middle of each picture under what of its header is read, to be written and read in less time."""
    for picture in cine:
        for tag in set(picture.dataset.keys()) - WANTED:
            del picture.dataset[tag]
        d, image = picture.dataset, pixels(picture)
        start = (np.array(image.shape) - size) // 2
        axes, corner = (np.array(v, dtype=float) for v in (d.ImageOrientationPatient, d.ImagePositionPatient))
        spacing = np.array(d.PixelSpacing, dtype=float)
        corner = corner + start[1] * spacing[1] * axes[:3] + start[0] * spacing[0] * axes[3:]
        d.ImagePositionPatient = [f"{v:.4f}" for v in corner]
        set_pixels(picture, image[start[0] : start[0] + size, start[1] : start[1] + size])
    return cine


def put(**values: Any) -> Callable[[Picture], None]:
    """Sets attributes; a function is called with the picture, None deletes."""

    def change(picture: Picture) -> None:
        for name, value in values.items():
            found = value(picture) if callable(value) else value
            if found is None:
                if name in picture.dataset:
                    delattr(picture.dataset, name)
            else:
                setattr(picture.dataset, name, found)

    return change


def trigger(picture: Picture) -> float:
    return float(picture.dataset.TriggerTime)


def of(*slices: int) -> Callable[[Picture], bool]:
    return lambda picture: picture.slice in slices


def again(cine: Cine, where: Callable[[Picture], bool], change: Callable[[Picture], None], *, phases: int = 20) -> Cine:
    """Another take of some slices, its grey values 7 higher, changed further."""
    later = copied([p for p in cine if where(p) and p.phase < phases])
    for picture in later:
        picture.take = 1
        picture.name = f"b{picture.name}"
        set_pixels(picture, pixels(picture) + 7)
        picture.dataset.SOPInstanceUID = generate_uid(prefix=None)
        change(picture)
    return cine + later


def number_after(picture: Picture) -> int:
    return int(picture.dataset.InstanceNumber) + 240


def later_time(picture: Picture) -> str:
    """A minute later, as DICOM writes it."""
    text = str(picture.dataset.AcquisitionTime)
    return f"{text[:2]}{int(text[2:4]) + 1:02d}{text[4:]}"


def later_written(picture: Picture) -> str:
    text = str(picture.dataset.ContentTime)
    return f"{text[:2]}{int(text[2:4]) + 1:02d}{text[4:]}"


def rotated(axes: np.ndarray, degrees: float) -> np.ndarray:
    """(6,) image axes turned about their rows."""
    row, column = axes[:3], axes[3:]
    normal = np.cross(row, column)
    angle = np.radians(degrees)
    return np.concatenate([row, np.cos(angle) * column + np.sin(angle) * normal])


def tilt(picture: Picture, degrees: float) -> None:
    """Planned anew: turned about the row through the picture's middle; the picture itself is as it was."""
    d = picture.dataset
    axes = np.array(d.ImageOrientationPatient, dtype=float)
    spacing = np.array(d.PixelSpacing, dtype=float)
    middle = np.array(d.ImagePositionPatient, dtype=float)
    half = np.array([(d.Columns - 1) / 2 * spacing[1], (d.Rows - 1) / 2 * spacing[0]])
    middle = middle + half[0] * axes[:3] + half[1] * axes[3:]
    turned = rotated(axes, degrees)
    corner = middle - half[0] * turned[:3] - half[1] * turned[3:]
    d.ImageOrientationPatient = [f"{v:.7f}" for v in turned]
    d.ImagePositionPatient = [f"{v:.4f}" for v in corner]


def resized(picture: Picture, factor: float, *, keep_matrix: bool = False) -> None:
    """Pixels `factor` times as large; the same field of view, or with `keep_matrix` a part or more of it."""
    d = picture.dataset
    image, spacing = pixels(picture).astype(float), np.array(d.PixelSpacing, dtype=float)
    axes, corner = (np.array(v, dtype=float) for v in (d.ImageOrientationPatient, d.ImagePositionPatient))
    size = np.array(image.shape) if keep_matrix else np.round(np.array(image.shape) / factor).astype(int)
    start = ((np.array(image.shape) - 1) - (size - 1) * factor) / 2
    if factor > 1:
        image = ndimage.gaussian_filter(image, (factor - 1) / 2)
    drawn = ndimage.affine_transform(image, [factor, factor], start, output_shape=tuple(size), order=3)
    corner = corner + start[1] * spacing[1] * axes[:3] + start[0] * spacing[0] * axes[3:]
    d.PixelSpacing = [f"{v:.6f}" for v in spacing * factor]
    d.ImagePositionPatient = [f"{v:.4f}" for v in corner]
    set_pixels(picture, drawn)


def turned(picture: Picture) -> None:
    """Stored with rows for columns: the same places, another order of pixels."""
    d = picture.dataset
    axes = np.array(d.ImageOrientationPatient, dtype=float)
    d.ImageOrientationPatient = [*axes[3:], *axes[:3]]
    d.PixelSpacing = list(d.PixelSpacing)[::-1]
    set_pixels(picture, pixels(picture).T)


def with_phases(cine: Cine, count: int, where: Callable[[Picture], bool]) -> Cine:
    """So many phases of a heartbeat in some slices, each the nearest of the twenty."""
    found = [p for p in cine if not where(p)]
    for n in sorted({p.slice for p in cine if where(p)}):
        members = sorted((p for p in cine if p.slice == n), key=lambda p: p.phase)
        beat = float(members[0].dataset.NominalInterval)
        for k in range(count):
            source = members[round(k * PHASES / count) % PHASES]
            picture = copied([source])[0]
            picture.name = f"{n:02d}-{k:02d}.dcm"
            put(
                SOPInstanceUID=generate_uid(prefix=None),
                TriggerTime=f"{18 + k * beat / count:.3f}",
                InstanceNumber=1 + n * 100 + k,
            )(picture)
            found.append(picture)
    return found


def series_of(cine: Cine, key: Callable[[Picture], Any], number: Callable[[Picture], int | None]) -> Cine:
    """A series UID for each value of `key`, and the number of its series."""
    uids: dict[Any, str] = {}
    for picture in cine:
        put(SeriesInstanceUID=uids.setdefault(key(picture), generate_uid(prefix=None)), SeriesNumber=number)(picture)
    return cine


def beats(cine: Cine, *, anew: bool) -> Cine:
    """Every slice over two heartbeats; trigger times run on, or begin anew."""
    first = {n: min((p for p in cine if p.slice == n), key=lambda p: p.phase) for n in range(SLICES)}

    def second(picture: Picture) -> None:
        d, one = picture.dataset, first[picture.slice].dataset
        d.InstanceNumber = int(d.InstanceNumber) + 1000
        if not anew:
            d.TriggerTime = f"{trigger(picture) + float(one.NominalInterval):.3f}"
        d.ContentTime = f"{83000 + picture.slice * 100 + 1 + 0.0375 * picture.phase:013.6f}"

    both = again(cine, lambda p: True, second)
    each(
        both,
        put(ContentTime=lambda p: f"{83000 + p.slice * 100 + 0.25 + 0.0375 * p.phase:013.6f}"),
        lambda p: p.take == 0,
    )
    return both


def rough(picture: Picture, step: float) -> str:
    return f"{step * np.floor(trigger(picture) / step):.3f}"


Mutation = Callable[[Cine], Cine]

#: Headers of time: 12 x 20 pictures are to be found in each.
TIMES: dict[str, Mutation] = {
    "as it is": lambda c: c,
    "trigger time 0 everywhere": lambda c: each(c, put(TriggerTime=0)),
    "trigger time constant in a slice": lambda c: each(c, put(TriggerTime=lambda p: 10 * p.slice)),
    "trigger time 0 in three slices": lambda c: each(c, put(TriggerTime=0), of(2, 3, 7)),
    "no trigger time in one slice": lambda c: each(c, put(TriggerTime=None), of(5)),
    "trigger times tied in the first five phases": lambda c: each(c, put(TriggerTime=0), lambda p: p.phase < 5),
    "trigger times tied in pairs": lambda c: each(c, put(TriggerTime=lambda p: rough(p, 80))),
    "trigger times from the scan's start": lambda c: each(
        c, put(TriggerTime=lambda p: f"{trigger(p) + 12000 * p.slice:.3f}")
    ),
    "trigger times in seconds": lambda c: each(c, put(TriggerTime=lambda p: f"{trigger(p) / 1000:.6f}")),
    "trigger times in microseconds": lambda c: each(c, put(TriggerTime=lambda p: f"{trigger(p) * 1000:.1f}")),
    "the last phases without trigger time": lambda c: each(c, put(TriggerTime=None), lambda p: p.phase > 16),
    "no trigger time": lambda c: each(c, put(TriggerTime=None)),
    "no trigger time, no instance number": lambda c: each(c, put(TriggerTime=None, InstanceNumber=None)),
    "no trigger time, every instance number 1": lambda c: each(
        c, put(TriggerTime=None, InstanceNumber=1, TemporalPositionIdentifier=lambda p: p.phase + 1)
    ),
    "a temporal index alone": lambda c: each(
        c,
        put(
            TriggerTime=None,
            InstanceNumber=None,
            ContentTime=None,
            TemporalPositionIdentifier=lambda p: p.phase + 1,
        ),
    ),
    "content times alone": lambda c: each(
        c,
        lambda p: (
            put(TriggerTime=None, InstanceNumber=None, ContentTime=f"{93000 + 0.04 * p.phase:013.6f}")(p),
            setattr(p, "name", f"{generate_uid(prefix=None)[-12:]}.dcm"),
        )[0],
    ),
    "instance numbers from the middle of the beat": lambda c: each(
        c, put(InstanceNumber=lambda p: 1 + p.slice * 20 + (p.phase + 10) % 20)
    ),
    "one instance UID for all": lambda c: each(c, put(SOPInstanceUID="1.2.3")),
    "instance numbers at random, no trigger time": lambda c: each(
        c, put(TriggerTime=None, InstanceNumber=lambda p: 1 + (p.phase * 7) % 20 + p.slice * 20)
    ),
}

#: The takes that are to be used: the later, or the first where the later is not whole.
TAKES: dict[str, tuple[Mutation, int]] = {
    "every file there twice": (lambda c: c + _again_as_it_is(c), 0),
    "a slice twice, trigger times equal": (
        lambda c: again(c, of(4), put(InstanceNumber=number_after, AcquisitionTime=later_time)),
        1,
    ),
    "a slice twice at another heart rate": (
        lambda c: again(c, of(4), put(InstanceNumber=number_after, TriggerTime=lambda p: f"{trigger(p) * 1.04:.3f}")),
        1,
    ),
    "a slice twice, no trigger times": (
        lambda c: each(
            again(c, of(4), put(InstanceNumber=number_after, AcquisitionTime=later_time)), put(TriggerTime=None)
        ),
        1,
    ),
    "a slice twice, numbered alike": (lambda c: again(c, of(4), put(AcquisitionTime=later_time)), 1),
    "a slice twice, numbered alike, content times alone": (
        lambda c: each(again(c, of(4), put(ContentTime=later_written)), put(AcquisitionTime=None)),
        1,
    ),
    "a slice twice, neither trigger time nor number": (
        lambda c: each(
            again(c, of(4), put(AcquisitionTime=later_time, ContentTime=later_written)),
            put(TriggerTime=None, InstanceNumber=None),
        ),
        1,
    ),
    "a slice twice, the later cut short": (
        lambda c: again(c, of(4), put(InstanceNumber=number_after, AcquisitionTime=later_time), phases=12),
        0,
    ),
    "two slices twice": (
        lambda c: again(c, of(4, 9), put(InstanceNumber=number_after, AcquisitionTime=later_time)),
        1,
    ),
    "a slice again as a series": (
        lambda c: again(c, of(4), put(SeriesInstanceUID="1.2.3.4", SeriesNumber=301, InstanceNumber=number_after)),
        1,
    ),
    "two heartbeats, trigger times run on": (lambda c: beats(c, anew=False), 1),
    "two heartbeats, trigger times begin anew": (lambda c: beats(c, anew=True), 1),
}


def _again_as_it_is(cine: Cine) -> Cine:
    """Exported twice: the same pictures under new UIDs and names."""
    twice = copied(cine)
    for picture in twice:
        picture.name = f"b{picture.name}"
        picture.dataset.SOPInstanceUID = generate_uid(prefix=None)
    return twice


def tilted(cine: Cine, slices: Iterable[int], degrees: float) -> Cine:
    return each(cine, lambda p: tilt(p, degrees), of(*slices))


#: Slices that were made or planned otherwise, and how many are to be kept.
PLANS: dict[str, tuple[Mutation, int]] = {
    "six slices tilted by 1.5 degrees": (lambda c: tilted(c, range(6, 12), 1.5), 12),
    "six slices tilted by 3 degrees, a series of their own": (
        lambda c: series_of(tilted(c, range(6, 12), 3), lambda p: p.slice > 5, lambda p: 300 + (p.slice > 5)),
        12,
    ),
    "every second slice tilted by 2 degrees": (lambda c: tilted(c, range(0, 12, 2), -2), 12),
    "two slices tilted by 12 degrees": (lambda c: tilted(c, (0, 5), 12), 10),
    "three slices of another matrix": (lambda c: each(c, lambda p: resized(p, 256 / 192), of(0, 1, 2)), 12),
    "three slices of finer pixels": (lambda c: each(c, lambda p: resized(p, 0.75), of(3, 4, 8)), 12),
    "three slices of another pixel size, one matrix": (
        lambda c: each(c, lambda p: resized(p, 0.8, keep_matrix=True), of(0, 5, 11)),
        12,
    ),
    "three slices stored with rows for columns": (lambda c: each(c, turned, of(1, 4, 8)), 12),
    "three slices of 15 phases": (lambda c: with_phases(c, 15, of(2, 6, 7)), 12),
    "five slices of 30 phases": (lambda c: with_phases(c, 30, of(0, 1, 2, 3, 4)), 12),
    "a slice of 10 phases": (lambda c: with_phases(c, 10, of(5)), 12),
    "a slice without its first two phases": (lambda c: [p for p in c if p.slice != 5 or p.phase > 1], 12),
    "a slice cut off after 10 of 20 phases": (lambda c: [p for p in c if p.slice != 5 or p.phase < 10], 11),
    "each slice a series": (lambda c: series_of(c, lambda p: p.slice, lambda p: 5 + p.slice), 12),
    "every picture a series": (lambda c: series_of(c, id, lambda p: 1 + p.slice * 20 + p.phase), 12),
    "every picture a series of one number": (lambda c: series_of(c, id, lambda p: 300), 12),
    "every picture a series without a number": (lambda c: series_of(c, id, lambda p: None), 12),
}


def second_stack(cine: Cine, *, slices: Iterable[int] = range(SLICES), apart: bool = False, shift: float = 0) -> Cine:
    """The heart scanned over again, in one series or a series a slice."""

    def change(picture: Picture) -> None:
        d = picture.dataset
        axes = np.array(d.ImageOrientationPatient, dtype=float)
        place = np.array(d.ImagePositionPatient, dtype=float) + shift * np.cross(axes[:3], axes[3:])
        d.ImagePositionPatient = [f"{v:.4f}" for v in place]
        put(AcquisitionTime=later_time, SeriesInstanceUID="1.2.3.9", SeriesNumber=400)(picture)

    both = again(cine, of(*slices), change)
    if apart:
        series_of(both, lambda p: (p.take, p.slice), lambda p: 10 + p.slice + 30 * p.take)
    return both


def still(cine: Cine, description: str, number: int) -> Cine:
    """With a stack of still pictures of another technique beside it."""

    def change(picture: Picture) -> None:
        put(
            SeriesInstanceUID="1.2.3.8",
            SeriesNumber=number,
            SeriesDescription=description,
            InstanceNumber=lambda p: p.slice + 1,
        )(picture)

    return again(cine, lambda p: True, change, phases=1)


#: Two stacks: the slices of the one to take by itself, the series of the other, and the slices of that.
STACKS: dict[str, tuple[Mutation, int, str, int]] = {
    "rest and stress": (second_stack, 12, "300", 12),
    "rest and stress, a series a slice": (lambda c: second_stack(c, apart=True), 12, "10", 12),
    "stress without two slices": (lambda c: second_stack(c, slices=range(2, 12)), 12, "400", 10),
    "stress without one slice, a series a slice": (
        lambda c: second_stack(c, slices=range(1, 12), apart=True),
        12,
        "45",
        11,
    ),
    "the late stack 3 mm further": (lambda c: second_stack(c, shift=3), 12, "300", 12),
    "the late stack half a spacing further": (lambda c: second_stack(c, shift=5), 12, "300", 12),
    "both in one series of other numbers": (
        lambda c: each(second_stack(c), put(SeriesInstanceUID="1.2.3.4")),
        12,
        "300",
        12,
    ),
}


def named(text: str) -> Mutation:
    return lambda c: each(c, put(SeriesDescription=text))


#: Descriptions of a short-axis cine: it is one, whatever they say.
WORDS: dict[str, Mutation] = {
    "CINE EJE CORTO DE VI": named("CINE EJE CORTO DE VI"),
    "beside a still STIR stack": lambda c: still(named("CINE EJE CORTO DE VI")(c), "STIR eje corto", 301),
    "a protocol's name for the whole study": lambda c: still(
        each(c, put(SeriesDescription="sa", ProtocolName="Cardiac viability and perfusion")), "lge sa", 301
    ),
    "Tag 1: Kurzachse": named("Tag 1: Kurzachse cine"),
    "plan petit axe": named("CINE plan petit axe loc"),
    "late": named("cine SA late in the day"),
    "LGE": named("LGE"),
    "flow, tagging, molli": named("PC flow tagging MOLLI T1map"),
    "localizer": named("localizer survey scout"),
}


def flat(cine: Cine) -> Cine:
    """All slices at one image position, as careless tools leave it; the slice location runs on."""
    corner = list(cine[0].dataset.ImagePositionPatient)
    return each(cine, put(ImagePositionPatient=corner, SliceLocation=lambda p: 10.0 * p.slice))


def with_vendor(cine: Cine) -> Cine:
    """Siemens' own element with the true position, and a wrong public one."""

    def change(picture: Picture) -> None:
        d = picture.dataset
        d.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(
            0x15, "FD", [float(v) for v in d.ImagePositionPatient]
        )

    corner = list(cine[0].dataset.ImagePositionPatient)
    return each(each(cine, change), put(ImagePositionPatient=corner, SliceLocation=None))


def shrunk(cine: Cine, factor: float) -> Cine:
    """Places nearer to one another by a factor: centimetres for millimetres, or the like."""

    def change(picture: Picture) -> None:
        d = picture.dataset
        axes = np.array(d.ImageOrientationPatient, dtype=float)
        normal = np.cross(axes[:3], axes[3:])
        place = np.array(d.ImagePositionPatient, dtype=float)
        d.ImagePositionPatient = [f"{v:.4f}" for v in place - (place @ normal) * (1 - factor) * normal]

    return each(cine, change)


def pixel(size: float | str, **values: Any) -> Mutation:
    return lambda c: each(c, put(PixelSpacing=[size, size], **{"ReconstructionDiameter": None, **values}))


def field(picture: Picture) -> float:
    return 1.367188 * picture.dataset.Columns


#: Geometry that no heart fits, and the slices to find where another element tells them; None: refused.
GEOMETRY: dict[str, tuple[Mutation, int | None]] = {
    "pixels of 13.7 mm, the field of view tells": (pixel(13.67188, ReconstructionDiameter=field), 12),
    "pixels of 0.0137 mm, the field of view tells": (pixel(0.01367188, ReconstructionDiameter=field), 12),
    "pixels of 13.7 mm, nothing tells": (pixel(13.67188), None),
    "pixels of 0.14 mm, nothing tells": (pixel(0.1367188), None),
    "one image position, slice locations": (flat, 12),
    "one image position, the vendor's own element": (with_vendor, 12),
    "slices 0.1 mm apart, nothing tells": (
        lambda c: each(shrunk(c, 0.01), put(SliceLocation=None)),
        None,
    ),
    "slices 100 mm apart": (lambda c: each(shrunk(c, 10), put(SliceLocation=None)), None),
    "slices 200 mm thick": (lambda c: each(c, put(SliceThickness=200)), 12),
    "slices 50 mm thick, spacing 10": (lambda c: each(c, put(SliceThickness=50)), 12),
    "slices 0 mm thick": (lambda c: each(c, put(SliceThickness=0)), 12),
}


def without_meta(cine: Cine, folder: Path, *, implicit: bool, first: int = 0, big: bool = False) -> Path:
    """Written as bare data sets: no preamble, no meta header; elements before `first` are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    with lenient():
        for picture in copied(cine):
            bare = Dataset({element.tag: element for element in picture.dataset if element.tag >= first})
            with (folder / picture.name).open("wb") as file:
                stream = DicomIO(file)
                stream.is_implicit_VR, stream.is_little_endian = implicit, not big
                if big:
                    bare.PixelData = np.frombuffer(bare.PixelData, dtype="<i2").astype(">i2").tobytes()
                write_dataset(stream, bare)
    return folder
