"""What a reconstruction can be told, and what excludes what: no torch, no files but the one that is named."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from dmcvr.errors import InputError
from dmcvr.options import LABEL_FORMATS, MESH_FORMATS, Options, chosen_formats, wanted_phases


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"method": "magic"}, "Unknown method 'magic': choose one of dmcvr, published, deeprecon, registration, shape"),
        ({"image": "blurry"}, "Unknown image 'blurry': choose one of sharp, mean"),
        ({"align_slices": "on"}, "Unknown align slices 'on': choose one of off, auto"),
        ({"long_axis": "on"}, "Unknown long axis 'on': choose one of auto, off"),
        ({"device": "tpu"}, "Unknown device 'tpu': choose one of auto, cpu, cuda"),
        ({"label_map": "x"}, "Unknown label map 'x'"),
        ({"label_map": "1=liver"}, "Expected --label-map pairs"),
        ({"label_map": "acdc"}, "says how --labels-in numbers the structures: give both, or neither"),
        ({"layout": "dicm"}, "Unknown layout 'dicm'"),
        ({"image": "mean", "method": "linear"}, "The method linear draws no mean: use --image sharp"),
        ({"image": "mean", "method": "published"}, "The method published draws no mean"),
        ({"image": "warped", "method": "shape"}, "The method shape draws no warped"),
        ({"image": "warped", "draws": 4}, "With --image warped nothing is drawn"),
        *(
            ({"phase": text}, "Expected --phase as all, ED,ES, 3,7 or 0-9")
            for text in ("", "1,,2", "5-3", "all,2", "3-x")
        ),
        ({"label_map": "Fat=liver"}, "Expected --label-map pairs"),
        ({"sex": "m"}, "Unknown sex 'm': choose one of F, M"),
        ({"height_cm": 1.78}, "Expected --height-cm of 30 to 250 cm; got 1.78: check the unit"),
        ({"weight_kg": 70_000.0}, "Expected --weight-kg of 1 to 400 kg; got 70000"),
        ({"weight_kg": float("nan")}, "Expected --weight-kg"),
        ({"level": 0.99}, "Expected a --level of 0.5 to 0.95; got 0.99"),
        ({"draws": 1}, "Expected --draws of 2 or more, or 0 for none; got 1"),
        ({"draws": 4, "method": "linear"}, "The method linear draws from no noise"),
        ({"steps": 0}, "Expected --steps of 1 or more; got 0"),
        ({"spacing_mm": 0.01}, "Expected a spacing of 0.4 to 10 mm; got 0.01"),
        ({"spacing_mm": float("nan")}, "Expected a spacing"),
        ({"labels_in": Path("nowhere.nii.gz")}, r"no file or folder nowhere.nii.gz with labels \(--labels-in\)"),
        ({"ed": "3", "es": "3"}, "cannot both be phase 3: change --ed or --es"),
    ],
)
def test_what_cannot_be_is_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Options(**given).check()


def test_the_defaults_and_the_limits_themselves_can_be() -> None:
    Options().check()
    Options(image="mean").check()
    for spacing in (0.4, 10.0):
        Options(spacing_mm=spacing, ed="3", es="4", steps=1).check()


def test_the_record_names_no_path_and_no_person() -> None:
    record = Options(sex="F", height_cm=170.0, weight_kg=60.0, labels_in=Path("SECRET.nii.gz")).record()
    assert not {"sex", "height_cm", "weight_kg", "labels_in"} & set(record)
    assert {"phase", "method", "label_map"} <= set(record)


def test_options_are_a_value_without_a_seed() -> None:
    with pytest.raises(FrozenInstanceError):
        Options().steps = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="seed"):
        Options(seed=0)  # type: ignore[call-arg]


def test_each_method_has_its_own_weights() -> None:
    assert [Options(method=m).weights_name for m in ("dmcvr", "published", "linear")] == [
        "aligned",
        "compact",
        "aligned",
    ]
    assert Options(method="published", weights="mine.safetensors").weights_name == "mine.safetensors"
    names = [(o.weights_name, o.generator_name) for o in (Options(), Options(method="deeprecon"))]
    assert names == [("aligned", None), ("aligned", "deeprecon")]
    mine = Options(method="deeprecon", weights="mine.safetensors")
    assert (mine.weights_name, mine.generator_name) == ("aligned", "mine.safetensors")


def test_the_record_has_no_path() -> None:
    record = Options(labels_in=Path("DOE_JOHN.nii"), weights="DOE/w.safetensors", phase="ED").record()
    assert record["phase"] == "ED"
    assert "DOE" not in str(record)
    assert not {"labels_in", "weights"} & set(record)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("ply,stl", ("ply", "stl")),
        (("glb", "ply", "glb"), ("glb", "ply")),
        ("none", ()),
        (["none"], ()),
        ("", ()),
        ((), ()),
    ],
)
def test_formats(given: str | list[str], found: tuple[str, ...]) -> None:
    assert chosen_formats("mesh", given, MESH_FORMATS) == found


def test_phases_by_name_number_and_range() -> None:
    assert wanted_phases("all") is None
    assert wanted_phases("ED, ES,ED") == ("ED", "ES")
    assert wanted_phases("3,7,0-2,1") == ("3", "7", "0", "1", "2")
    assert wanted_phases("end-systole") == ("end-systole",)  # a phase may be called anything


def test_formats_that_are_not_written() -> None:
    with pytest.raises(InputError, match="Unknown mesh format 'obj': choose one of ply, stl, vtp, glb, none"):
        chosen_formats("mesh", "ply,obj", MESH_FORMATS)
    with pytest.raises(InputError, match="Expected label formats, or none alone; got nrrd, none"):
        chosen_formats("label", "nrrd,none", LABEL_FORMATS)


def test_options_import_no_torch() -> None:
    code = "import sys, dmcvr.options; assert not {'torch', 'numpy', 'nibabel'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
