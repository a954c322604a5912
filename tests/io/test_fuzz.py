"""Damaged and hostile files: every reader gives a stack or one sentence, in time, in memory, and writes nothing.

The normal run tries a few inputs a reader; `pytest -m slow -n0 -s tests/io/test_fuzz.py` tries thousands and counts.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import resource
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers import dicoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.io.contours import with_contours
from dmcvr.io.labels import with_labels
from dmcvr.io.read import find_exam, read_exam

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

FEW, MANY = 25, int(os.environ.get("DMCVR_FUZZ", "3000"))

#: Of one input. Generous: machines are busy.
MAX_SECONDS = 30.0

MAX_GROWTH_MB = 1500

Damage = list[tuple[str, float, bytes]]
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert", "drop"]), st.floats(0, 0.999), st.binary(min_size=1, max_size=8)
    ),
    min_size=1,
    max_size=6,
)
#: Damage is likelier in the first bytes: that is where headers are.
HEADER_SHARE = 0.3


def damaged(whole: bytes, damage: Damage, *, header: int) -> bytes:
    """Bytes set, dropped, inserted or the end cut off, at a share of the header or of the whole."""
    data = bytearray(whole)
    for kind, share, value in damage:
        reach = min(header, len(data)) if value[0] > 255 * HEADER_SHARE else len(data)
        at = int(share * reach)
        if kind == "set":
            data[at : at + len(value)] = value
        elif kind == "insert":
            data[at:at] = value
        elif kind == "drop":
            del data[at : at + len(value)]
        elif kind == "cut" and value[0] < 40:
            del data[at:]
    return bytes(data)


class Reader:
    """Writes one input, reads it, and keeps count of what came of it."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._start_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def __call__(self, files: dict[str, bytes], read: Callable[[Path], object]) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            began, sentence = time.monotonic(), ""
            try:
                read(folder)
            except InputError as error:
                sentence = str(error)
            self.outcomes["refused" if sentence else "read"] += 1
            assert "\n" not in sentence
            assert time.monotonic() - began < MAX_SECONDS
            left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
            assert left == set(files)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - self._start_mb
        assert grown < MAX_GROWTH_MB, f"{grown:.0f} MB more than at the start"


def nifti(*shape: int, labels: bool = False) -> bytes:
    data = np.random.default_rng(0).integers(0, 4 if labels else 900, shape).astype(np.int16)
    return nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1])).to_bytes()


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 900, (20, 18, 4)).astype(np.int16)


def itk(ending: str, *, packed: bool) -> bytes:
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 900, (4, 18, 20)).astype(np.int16))
    image.SetSpacing((1.5, 1.5, 8))
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(image, f"{folder}/x.{ending}", packed)
        return Path(folder, f"x.{ending}").read_bytes()


def sequence() -> bytes:
    """A sequence as Slicer writes it, time first."""
    header = (
        "NRRD0005\ntype: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 3 20 18 4\n"
        "space directions: none (1.5,0,0) (0,1.5,0) (0,0,8)\nkinds: list domain domain domain\nendian: little\n"
        "encoding: gzip\nspace origin: (0,0,0)\nDataNodeClassName:=vtkMRMLScalarVolumeNode\n\n"
    )
    data = np.random.default_rng(0).integers(0, 900, (3, 20, 18, 4)).astype("<i2")
    return header.encode() + gzip.compress(data.tobytes(order="F"), 1)


def two_affines() -> bytes:
    """A header that says where it lies in three ways."""
    image = nib.Nifti1Image(np.random.default_rng(0).integers(0, 900, (20, 18, 4, 3)).astype(np.int16), None)
    image.set_sform(np.diag([1.5, 1.5, 8, 1]), 1)
    image.set_qform(np.diag([-1.5, 1.5, 8, 1]), 2)
    image.header.set_xyzt_units("mm", "msec")
    return image.to_bytes()


def archive(files: dict[str, bytes], *, packed: bool) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return stream.getvalue()


NIFTI, LABELS = nifti(20, 18, 4, 2), nifti(20, 18, 4, labels=True)
INFO = b"ED: 1\nES: 2\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"


@pytest.fixture(scope="module")
def enhanced(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return dicoms.enhanced(tmp_path_factory.mktemp("fuzz") / "x.dcm", slices=3, phases=5).read_bytes()


def try_nifti(reader: Reader, damage: Damage, compressed: str) -> None:
    """The bytes before compression, after it, or of a plain file."""
    if compressed == "inside":
        files = {"x.nii.gz": gzip.compress(damaged(NIFTI, damage, header=400), 1)}
    elif compressed == "outside":
        files = {"x.nii.gz": damaged(gzip.compress(NIFTI, 1), damage, header=40)}
    else:
        files = {"x.nii": damaged(NIFTI, damage, header=400)}
    reader(files, read_exam)


def try_image(reader: Reader, damage: Damage, whole: bytes, header: int, packed: bool) -> None:
    """An image of any format, under a name that says nothing, packed or not."""
    data = damaged(whole, damage, header=header)
    reader({"x": gzip.compress(data, 1) if packed else data}, lambda folder: read_exam(folder / "x"))


def try_pair(reader: Reader, damage: Damage, whole: bytes, file: str, beside: dict[str, bytes]) -> None:
    """A header whose voxels are a file beside it."""
    files = {file: damaged(whole, damage, header=400), **beside}
    reader(files, lambda folder: read_exam(folder / file))


def try_archive(reader: Reader, damage: Damage, whole: bytes, header: int) -> None:
    reader({"x.zip": damaged(whole, damage, header=header)}, lambda folder: read_exam(folder / "x.zip"))


def try_stream(reader: Reader, damage: Damage, name: str, whole: bytes) -> None:
    """A stream with checksums: what is read of a damaged one is what was written, to the last voxel."""
    right = read_stack_of(nifti(20, 18, 4))

    def read(folder: Path) -> None:
        np.testing.assert_array_equal(read_exam(folder / name).images[0], right)

    reader({name: damaged(whole, damage, header=len(whole))}, read)


def read_stack_of(whole: bytes) -> np.ndarray:
    return np.moveaxis(np.asarray(nib.Nifti1Image.from_bytes(whole).dataobj), 2, 0).astype(np.float32)


def try_contours(reader: Reader, damage: Damage, stack: SliceStack, file: str, whole: bytes) -> None:
    reader({file: damaged(whole, damage, header=1500)}, lambda folder: with_contours(stack, folder / file))


def try_labels(reader: Reader, damage: Damage) -> None:
    files = {"x.nii": nifti(20, 18, 4), "l.nii": damaged(LABELS, damage, header=400)}
    reader(files, lambda folder: with_labels(read_exam(folder / "x.nii"), folder / "l.nii", "acdc"))


def try_info(reader: Reader, damage: Damage, text: str) -> None:
    info = damaged(INFO, damage, header=30) + text.encode("utf-8", errors="replace")
    frame = nifti(20, 18, 4)
    reader({"p/Info.cfg": info, "p/p_frame01.nii": frame, "p/p_frame02.nii": frame}, lambda f: read_exam(f / "p"))


def try_table(reader: Reader, ed: str, es: str, damage: Damage | None) -> None:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["External code", "ED", "ES", "Sex", "Height", "Weight"])
    writer.writerow(["A", ed, es, es, ed, es])
    content = table.getvalue().encode("utf-8", errors="replace")
    if damage:
        content = damaged(content, damage, header=40)
    reader({"info.csv": content, "A/A_sa.nii": NIFTI}, lambda folder: read_exam(folder / "A"))


def try_dicom_bytes(reader: Reader, whole: bytes, damage: Damage) -> None:
    reader({"x.dcm": damaged(whole, damage, header=3000)}, lambda folder: read_exam(folder, layout="dicom"))


#: Attributes that decide, and texts that no scanner writes.
KEYWORDS = [
    "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "SeriesNumber", "SeriesInstanceUID",
    "SOPInstanceUID", "PatientID", "PatientSize", "PatientSex", "SeriesDescription", "InstanceNumber", "Modality",
    "PhotometricInterpretation", "SamplesPerPixel", "PixelRepresentation", "StudyInstanceUID", "ImageType",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["../../../tmp/x", "/etc/passwd", "1e400", "nan", "-1", "0", "65535", "999999999999", "\\", "[red]"]
    ),
)


def try_dicom_tags(reader: Reader, whole: bytes, changes: dict[str, object]) -> None:
    with pydicom.config.disable_value_validation():
        dataset = pydicom.dcmread(io.BytesIO(whole))
        for keyword, value in changes.items():
            try:
                setattr(dataset, keyword, value)
                file = io.BytesIO()
                dataset.save_as(file)
            except Exception:  # pydicom cannot write this value: as it was
                dataset = pydicom.dcmread(io.BytesIO(whole))
        file = io.BytesIO()
        dataset.save_as(file)
    reader({"x.dcm": file.getvalue()}, lambda folder: find_exam(folder, layout="dicom").read())


#: What places a picture in time and space, and values that scanners, anonymisers and fools write.
PLACING = [
    "TriggerTime", "InstanceNumber", "AcquisitionTime", "ContentTime", "TemporalPositionIdentifier", "NominalInterval",
    "HeartRate", "AcquisitionNumber", "SeriesNumber", "SeriesInstanceUID", "SOPInstanceUID", "SliceThickness",
    "SliceLocation", "SpacingBetweenSlices", "ReconstructionDiameter", "FrameOfReferenceUID", "InversionTime",
    "SeriesDescription", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "ImageType",
]  # fmt: skip
PLACES = st.one_of(
    st.none(),
    st.sampled_from([0, 1, -1, 20, 400, 5000, 1e5, 1e300, "", "x", "083000.5", "1.2.3", "LOCALIZER", "lge", "P"]),
    st.lists(st.sampled_from([0, 1, -1, 0.1, 0.7, -0.7, 1.5, 10, 150, 1e6]), min_size=1, max_size=6),
    st.floats(-1000, 1000),
    st.integers(-5, 50),
)


def try_dicom_places(reader: Reader, files: list[bytes], changes: list[tuple[str, list[bool], object]]) -> None:
    """Elements of time and place set in some files of a classic cine."""
    written = {}
    with pydicom.config.disable_value_validation():
        for n, whole in enumerate(files):
            dataset = pydicom.dcmread(io.BytesIO(whole))
            for keyword, where, value in changes:
                if where[n % len(where)]:
                    try:
                        setattr(dataset, keyword, value)
                        dataset.save_as(io.BytesIO())
                    except Exception:  # pydicom cannot write this value: as it was
                        dataset = pydicom.dcmread(io.BytesIO(whole))
            file = io.BytesIO()
            dataset.save_as(file)
            written[f"{n}.dcm"] = file.getvalue()
    reader(written, lambda folder: find_exam(folder, layout="dicom").read())


def run(name: str, count: int, attempt: Callable[..., None], **strategies: st.SearchStrategy[object]) -> None:
    reader = Reader()

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=count == FEW,
        suppress_health_check=list(HealthCheck),
    )
    @given(**strategies)
    def search(**values: object) -> None:
        attempt(reader, **values)

    search()
    print(f"{name}: {dict(reader.outcomes)}")
    assert reader.outcomes.total() >= count // 2


COUNTS = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
def test_nifti(count: int) -> None:
    run("NIfTI", count, try_nifti, damage=DAMAGE, compressed=st.sampled_from(["inside", "outside", "none"]))


IMAGES = {
    "NIfTI in three ways": (two_affines(), 400),
    "NIfTI-2": (nib.Nifti2Image(noise(), np.diag([1.5, 1.5, 8, 1])).to_bytes(), 560),
    "NRRD": (itk("nrrd", packed=False), 400),
    "NRRD packed": (itk("nrrd", packed=True), 400),
    "NRRD sequence": (sequence(), 400),
    "MetaImage": (itk("mha", packed=False), 400),
    "MetaImage packed": (itk("mha", packed=True), 400),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("count", COUNTS)
def test_images(count: int, name: str) -> None:
    whole, header = IMAGES[name]
    values = {"whole": st.just(whole), "header": st.just(header), "packed": st.booleans()}
    run(name, count, try_image, damage=DAMAGE, **values)


@pytest.mark.parametrize("name", ["x.hdr", "a.hdr", "x.mhd", "x.nhdr"])
@pytest.mark.parametrize("count", COUNTS)
def test_pairs(count: int, name: str, tmp_path: Path) -> None:
    data = noise()
    if name.endswith("hdr") and name[0] in "xa" and "nhdr" not in name:
        kind = nib.Nifti1Pair if name == "x.hdr" else nib.AnalyzeImage
        nib.save(kind(data, np.diag([1.5, 1.5, 8, 1])), tmp_path / f"{name[0]}.img")
    else:
        image = sitk.GetImageFromArray(data.T.copy())
        image.SetSpacing((1.5, 1.5, 8))
        sitk.WriteImage(image, str(tmp_path / name))
    beside = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != name}
    values = {"whole": st.just((tmp_path / name).read_bytes()), "file": st.just(name), "beside": st.just(beside)}
    run(f"pair {name}", count, try_pair, damage=DAMAGE, **values)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("count", COUNTS)
def test_archives(count: int, packed: bool) -> None:
    whole = archive(
        {"p/Info.cfg": INFO, "p/p_frame01.nii": nifti(20, 18, 4), "p/p_frame02.nii": nifti(20, 18, 4)}, packed=packed
    )
    run(f"zip, packed {packed}", count, try_archive, damage=DAMAGE, whole=st.just(whole), header=st.just(200))


STREAMS = {
    "gzip": gzip.compress(nifti(20, 18, 4), 1),
    "zip": archive({"x.nii": nifti(20, 18, 4)}, packed=True),
    "zip, stored": archive({"x.nii": nifti(20, 18, 4)}, packed=False),
}


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("count", COUNTS)
def test_damage_is_never_accepted(count: int, kind: str) -> None:
    reader = Reader()

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=count == FEW,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(damage=DAMAGE)
    def search(damage: Damage) -> None:
        try_stream(reader, damage, "x", STREAMS[kind])

    search()
    print(f"{kind}, what is read is what was written: {dict(reader.outcomes)}")


@pytest.fixture(scope="module")
def cine(tmp_path_factory: pytest.TempPathFactory) -> SliceStack:
    folder = tmp_path_factory.mktemp("cine")
    dicoms.cine(folder)
    return read_exam(folder)


@pytest.mark.parametrize("name", ["x.cvi42wsx", "IM-0001-0001-icontour-manual.txt"])
@pytest.mark.parametrize("count", COUNTS)
def test_contours(count: int, name: str, cine: SliceStack) -> None:
    assert cine.pictures is not None
    points = [(4.25, 4.5), (12, 4), (12.5, 11), (5, 12)]
    number = cine.pictures[0][0].number
    if name.endswith("txt"):
        name = name.replace("-0001-i", f"-{number:04d}-i")
        whole = "".join(f"{x:.2f} {y:.2f}\n" for x, y in points).encode()
    else:
        listed = "".join(
            f"<List:item><Point:x>{4 * x:g}</Point:x><Point:y>{4 * y:g}</Point:y></List:item>" for x, y in points
        )
        whole = (
            '<?xml version="1.0" encoding="UTF-8"?><W xmlns:Hash="http://www.circlecvi.com/Hash/" xmlns:List="l" '
            f'xmlns:Point="p"><Hash:item Hash:key="ImageStates"><Hash:item Hash:key="{cine.pictures[0][0].uid}">'
            '<Hash:item Hash:key="Contours"><Hash:item Hash:key="saendocardialContour"><Hash:item Hash:key="Points">'
            f'{listed}</Hash:item><Hash:item Hash:key="SubpixelResolution">4</Hash:item></Hash:item></Hash:item>'
            "</Hash:item></Hash:item></W>"
        ).encode()
    values = {"stack": st.just(cine), "file": st.just(name), "whole": st.just(whole)}
    run(f"contours {name}", count, try_contours, damage=DAMAGE, **values)


@pytest.mark.parametrize("count", COUNTS)
def test_labels(count: int) -> None:
    run("labels", count, try_labels, damage=DAMAGE)


@pytest.mark.parametrize("count", COUNTS)
def test_info(count: int) -> None:
    run("Info.cfg", count, try_info, damage=DAMAGE, text=st.one_of(st.text(max_size=60), TEXTS.map("ED: {}".format)))


@pytest.mark.parametrize("count", COUNTS)
def test_table(count: int) -> None:
    run("M&Ms table", count, try_table, ed=TEXTS, es=TEXTS, damage=st.none() | DAMAGE)


@pytest.mark.parametrize("count", COUNTS)
def test_dicom_bytes(count: int, enhanced: bytes) -> None:
    run("DICOM bytes", count, try_dicom_bytes, whole=st.just(enhanced), damage=DAMAGE)


@pytest.mark.parametrize("count", COUNTS)
def test_dicom_tags(count: int, enhanced: bytes) -> None:
    values = st.one_of(TEXTS, st.integers(-(2**40), 2**40), st.floats(), st.none())
    changes = st.dictionaries(st.sampled_from(KEYWORDS), values, min_size=1, max_size=4)
    run("DICOM tags", count, try_dicom_tags, whole=st.just(enhanced), changes=changes)


@pytest.mark.parametrize("count", COUNTS)
def test_dicom_places(count: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("places")
    files = dicoms.cine(folder, series="1.2.3.4", places_mm=(0, 10, 20), phases=5)
    change = st.tuples(st.sampled_from(PLACING), st.lists(st.booleans(), min_size=1, max_size=7), PLACES)
    changes = st.lists(change, min_size=1, max_size=6)
    run("DICOM places", count, try_dicom_places, files=st.just([f.read_bytes() for f in files]), changes=changes)


@pytest.mark.parametrize("count", COUNTS)
def test_bare_dicom_bytes(count: int, enhanced: bytes) -> None:
    run("bare DICOM bytes", count, try_dicom_bytes, whole=st.just(enhanced[132:]), damage=DAMAGE)


def test_bombs_are_refused_before_they_unpack(tmp_path: Path) -> None:
    """A gigabyte of zeros behind a header: an absurd offset, an absurd size, an honest size that is not there."""
    header = bytearray(nifti(20, 18, 4)[:352])
    zeros = gzip.compress(b"\0" * 2**24, 1)
    bomb = zeros * 64  # members join: a gigabyte
    for name, at, value in (("offset", 108, np.float32(9e8).tobytes()), ("size", 42, np.int16([4000] * 3).tobytes())):
        changed = bytes(header[:at]) + value + bytes(header[at + len(value) :])
        (tmp_path / f"{name}.nii.gz").write_bytes(gzip.compress(changed) + bomb)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(InputError, match="claims"):
            read_exam(tmp_path / f"{name}.nii.gz")
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100
    short = bytes(header[:42]) + np.int16([600] * 3).tobytes() + bytes(header[48:])
    (tmp_path / "short.nii.gz").write_bytes(gzip.compress(short))
    with pytest.raises(InputError, match="shorter than its header says"):
        read_exam(tmp_path / "short.nii.gz")
