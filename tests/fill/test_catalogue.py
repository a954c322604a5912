"""Every name that people choose from makes its method."""

from __future__ import annotations

from typing import get_args

import pytest
from helpers.models import TINY_ALIGNED, untrained

from dmcvr.fill.aligned import Aligned
from dmcvr.fill.catalogue import PLAIN, make_method
from dmcvr.fill.engine import Engine
from dmcvr.fill.published import Published
from dmcvr.options import MethodName


@pytest.fixture(scope="module")
def plain() -> Engine:
    return Engine.of(untrained())


@pytest.fixture(scope="module")
def aligned() -> Engine:
    return Engine.of(untrained(TINY_ALIGNED))


def test_the_names_are_those_of_the_options() -> None:
    assert {*PLAIN, "dmcvr", "published", "deeprecon"} == set(get_args(MethodName))


def test_each_name_makes_its_own(plain: Engine, aligned: Engine) -> None:
    for name, kind in PLAIN.items():
        assert type(make_method(name, plain)) is kind
    assert type(make_method("published", plain)) is Published
    assert type(make_method("published", aligned)) is Published
    assert type(make_method("dmcvr", aligned)) is Aligned
    assert type(make_method("dmcvr", plain)) is Published  # as these weights were trained for


def test_options_reach_the_method(aligned: Engine) -> None:
    method = make_method("dmcvr", aligned, align="grey", labeller="none")
    assert isinstance(method, Aligned)
    assert (method.align, method.labeller) == ("grey", "none")
    with pytest.raises(TypeError, match="align"):
        make_method("linear", aligned, align="grey")
