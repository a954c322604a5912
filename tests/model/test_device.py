"""Where the networks run."""

from __future__ import annotations

import pytest
import torch

from dmcvr.errors import InputError
from dmcvr.model.device import choose_device, fast_precision, finest


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="no CUDA device"):
        choose_device("cuda")
    with pytest.raises(InputError, match="Unknown device 'tpu'"):
        choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


def test_apple_s_device_is_chosen_by_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match="no Apple GPU"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == torch.device("mps")
    assert choose_device("auto") == torch.device("cpu")
    assert fast_precision(torch.device("mps")) == finest(torch.device("mps")) == torch.float32
    assert finest(torch.device("cuda")) == torch.float64


@pytest.mark.parametrize(("native", "wanted"), [(True, torch.bfloat16), (False, torch.float32)])
def test_half_precision_only_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, native: bool, wanted: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert fast_precision(torch.device("cpu")) == wanted
