"""DeepRecon's networks, beside the slow and obvious way."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.models import TRAINING

from dmcvr.errors import InputError
from dmcvr.model.checkpoint import load_generator, save_weights
from dmcvr.model.deeprecon import DeepRecon, Discriminator, Generator, ModulatedConv
from dmcvr.model.presets import COMPACT, TINY


def test_modulating_what_goes_in_is_modulating_the_weights() -> None:
    """StyleGAN2's Eq. 1 to 3, a slice at a time."""
    torch.manual_seed(0)
    layer = ModulatedConv(6, 5, 3, code_dimension=4)
    torch.nn.init.normal_(layer.bias)
    x, code = torch.randn(3, 6, 8, 8), torch.randn(3, 4)
    style = layer.style(code)
    for n, found in enumerate(layer(x, code)):
        weight = layer.conv.weight / math.sqrt(6 * 9) * style[n, None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        torch.testing.assert_close(found, F.conv2d(x[n : n + 1], weight, layer.bias, padding=1)[0])


@pytest.mark.parametrize("preset", [TINY, COMPACT], ids=["tiny", "compact"])
def test_one_code_for_each_convolution_makes_a_slice_with_its_labels(preset: type[TINY]) -> None:
    config = preset.generator
    generator = Generator(config)
    assert config.size == preset.size
    assert config.codes == len(generator.convs)
    codes = generator.mean_code().repeat(2, 1, 1)
    codes[1, -1] += 1
    with torch.no_grad():
        images, logits = generator(codes)
    assert (images.shape, logits.shape) == ((2, 1, 128, 128), (2, 4, 128, 128))
    assert not torch.equal(images[0], images[1])
    torch.testing.assert_close(generator.mean_code(), generator.mean_code())


def test_fine_codes_leave_the_coarse_levels_alone() -> None:
    generator = Generator(TINY.generator)
    codes = generator.mean_code()
    other = codes.clone()
    other[:, -2:] += 3
    with torch.no_grad():
        change = generator(other)[0] - generator(codes)[0]
    coarse = F.avg_pool2d(change, 64)  # what the finest level adds is no coarse picture, unless by its mean
    assert change.abs().max() > 0.1
    assert coarse.std() < change.std()


def test_pixels_side_by_side_make_no_chequered_pattern() -> None:
    """However different the finest detail is in neighbouring pixels, what repeats every two pixels is filtered out."""
    generator = Generator(COMPACT.generator)
    codes = generator.mean_code()
    with torch.no_grad():
        before = generator(codes)[0]
        generator.detail.bias[:4] = torch.tensor([1.0, -1.0, -1.0, 1.0])  # one pixel up, the next down
        found = generator(codes)[0]
    torch.testing.assert_close(found[..., 1:-1, 1:-1], before[..., 1:-1, 1:-1], rtol=0, atol=1e-5)


def test_a_judgement_sees_the_labels() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(TINY.generator)
    images, shares = torch.randn(2, 1, 128, 128), torch.rand(2, 4, 128, 128)
    with torch.no_grad():
        found = discriminator(images, shares)
        assert found.shape == (2,)
        assert not torch.equal(found, discriminator(images, 1 - shares))


def test_the_generator_alone_is_kept(tmp_path: Path) -> None:
    generator = DeepRecon(TINY.generator).generator.eval()
    save_weights(generator, tmp_path / "g.safetensors", preset=TINY, training=TRAINING, dtype=torch.float32)
    loaded, info = load_generator(tmp_path / "g.safetensors")
    assert info.kind == "generator"
    assert info.preset == TINY
    with torch.no_grad():
        torch.testing.assert_close(loaded(loaded.mean_code()), generator(generator.mean_code()))
    with pytest.raises(InputError, match="holds an autoencoder; expected a generator: train it with dmcvr train deep"):
        load_generator("compact")
