"""What an evaluation is asked: contenders' names and options, and settings that have no meaning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from dmcvr.errors import InputError
from dmcvr.evaluate.contenders import Contenders
from dmcvr.evaluate.protocols import ALIGNED, PROTOCOLS
from dmcvr.evaluate.settings import SOURCES, ProtocolName, settings
from dmcvr.fill.aligned import Aligned
from dmcvr.fill.engine import Engine
from dmcvr.fill.published import Published
from dmcvr.fill.registration import Registration
from dmcvr.model.weights import describe, find


def test_names_and_options(engine: Engine) -> None:
    mine = "dmcvr:steps=3:x_T=lerp:batch=2:align=grey:labeller=none:as=mine"
    names = ("linear", "dmcvr", "dmcvr:labels=manual", mine, "shape:labels=manual", "dmcvr:image=mean", "published")
    contenders = Contenders(names, engine=engine).all
    assert [c.plain for c in contenders] == [True, False, False, False, True, False, False]
    assert [c.manual for c in contenders] == [False, False, True, False, True, False, False]
    assert contenders[1].method is contenders[2].method
    slid = Contenders(("shape", "shape:slide=auto", "shape:slide=views:labels=manual"), engine=engine).all
    assert [c.slide for c in slid] == ["off", "auto", "views"]
    assert slid[0].method is slid[1].method
    ours = contenders[3].method
    assert contenders[3].name == "mine"
    assert isinstance(ours, Aligned)
    assert (ours.engine.drawing.steps, ours.engine.batch, ours.engine.drawing.mixing.stochastic) == (3, 2, "lerp")
    assert (ours.align, ours.labeller) == ("grey", "none")
    mean, published = contenders[5].method, contenders[6].method
    assert isinstance(mean, Aligned)
    assert mean.engine.drawing.image == "mean"
    assert isinstance(published, Published)
    assert contenders[6].weights == describe(find("compact")).sha256 != contenders[1].weights
    assert contenders[0].weights is None
    registered = Contenders((f"{ALIGNED}:detail=0.94",), engine=engine).all[0].method
    assert isinstance(registered, Registration)
    assert (registered.align, registered.carry, registered.detail) == ("labels", "warp", 0.94)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("liner",), "Unknown method 'liner'"),
        (("",), "Unknown method ''"),
        (("dmcvr:x_T=cubic",), r"Expected x_T=slerp\|lerp\|fresh"),
        (("dmcvr:speed=1",), "dmcvr takes labels, as, slide, complete, weights"),
        (("dmcvr:steps=many",), "whole number for steps"),
        (("dmcvr:steps=0",), "whole number for steps"),
        (("dmcvr:temperature=nan",), "number of 0 or more for temperature"),
        (("dmcvr:weights=",), "Unknown option 'weights='"),
        (("linear:steps=3",), "linear takes labels, as"),
        (("published:image=mean",), "Unknown option 'image=mean'"),
        (("shape:carry=warp",), "Unknown option 'carry=warp'"),
        (("shape:slide=on",), r"Expected slide=off\|auto\|views"),
        (("linear", "linear"), "different methods"),
        (("linear", "shape:as=linear"), "different methods"),
    ],
)
def test_bad_names(engine: Engine, names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Contenders(names, engine=engine)


@pytest.mark.parametrize(
    ("protocol", "options", "sentence"),
    [
        ("truth", {}, "Unknown protocol 'truth'"),
        ("held-out", {}, "held-out needs patients with manual labels"),
        ("cine", {}, "cine needs a 4D exam"),
        ("held-out", {"data": "nowhere"}, "There is no folder nowhere"),
        ("held-out", {"data": ".", "keep_every": 1}, "keep-every of 2 or more"),
        ("held-out", {"data": ".", "methods": ("liner",)}, "Unknown method"),
        ("held-out", {"data": ".", "patients": "all"}, "Unknown patients 'all'"),
        ("held-out", {"data": ".", "exams": 3}, "held-out does not use --exams"),
        ("held-out", {"data": ".", "weights": "nothing"}, "no weights at nothing"),
        ("held-out", {"data": ".", "steps": 0}, "steps of 1 or more"),
        ("clinical", {"data": ".", "keep_every": 3}, "clinical does not use --keep-every"),
        ("segmentation", {"data": ".", "methods": ("linear",)}, "segmentation does not use --methods"),
        ("phantom", {"data": "."}, "phantom does not use --data"),
        ("phantom", {"exams": 0}, "at least one exam"),
        ("phantom", {"patients": "validation"}, "phantom does not use --patients"),
        ("phantom", {"split": "s.json"}, "phantom does not use --split"),
        ("long-axis", {"data": ".", "exams": 3}, "long-axis with --data does not use --exams"),
        ("cine", {"data": ".", "patients": "validation"}, "cine does not use --patients"),
        ("held-out", {"data": ".", "patients": "everyone"}, "got held-out of its own methods"),
        ("held-out", {"data": ".", "patients": "everyone", "methods": ("linear",)}, "got held-out of linear"),
        (
            "held-out",
            {"data": ".", "patients": "everyone", "methods": ("dmcvr:labels=manual", "shape:labels=manual")},
            "got held-out of dmcvr:labels=manual",
        ),
        ("held-out", {"data": ".", "methods": ("shape:slide=auto",)}, "slide=auto is measured by phantom, long-axis"),
        ("long-axis", {"methods": ("shape:slide=views",)}, "slide=views is measured by phantom; got long-axis"),
        ("segmentation", {"data": ".", "patients": "everyone"}, "--patients everyone takes plain methods"),
    ],
)
def test_nonsense_is_refused(protocol: str, options: dict[str, Any], sentence: str) -> None:
    for key in ("data", "split"):
        if key in options:
            options = options | {key: Path(options[key])}
    with pytest.raises(InputError, match=sentence):
        settings(protocol, **options)


def test_every_protocol_has_a_source() -> None:
    assert set(PROTOCOLS) == set(SOURCES) == set(get_args(ProtocolName))


def test_a_bad_question_never_imports_torch() -> None:
    """Options are checked by the command before anything heavy is imported."""
    code = (
        "import sys\nfrom dmcvr.cli.main import main\n"
        "try:\n    main(['evaluate', 'phantom', '--keep-every', '3'])\n"
        "except SystemExit as end:\n    assert end.code == 2\n"
        "assert not {'torch', 'pandas', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "does not use --keep-every" in done.stderr
