"""The autoencoder that sees both neighbours: its linear guess against closed forms, and what it adds."""

from __future__ import annotations

import torch
from helpers.models import TINY_ALIGNED, awake, untrained, untrained_aligned

from dmcvr.model.aligned import LEAST_SHARE, SPREAD, AlignedAutoencoder, Surroundings, new_autoencoder
from dmcvr.model.autoencoder import Autoencoder, SliceCodes
from dmcvr.model.presets import TINY

CODES = torch.ones(2, 16), torch.ones(2, 16, 16, 16)


def noise(seed: int) -> torch.Tensor:
    return torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(seed))


def around() -> Surroundings:
    below, above = (noise(seed).clamp(-1, 1) for seed in (1, 2))
    return Surroundings(below, above, torch.tensor([0.25, 0.5]), torch.tensor([10.0, 8.0]), torch.ones(2))


def test_what_is_known_of_a_place() -> None:
    x = torch.rand(2, 1, 8, 8)
    some = Surroundings(x, x + 1, torch.tensor([0.0, 0.25]), torch.tensor([10.0, 20.0]), torch.ones(2))
    torch.testing.assert_close(some.middle, x + torch.tensor([0, 0.25]).view(2, 1, 1, 1))
    torch.testing.assert_close(some.place(), torch.tensor([[1, 0, 1], [1, 0.25, 2]]))
    torch.testing.assert_close(some[:1].images(), torch.cat([x[:1], x[:1] + 1, x[:1]], dim=1))
    assert (len(some), len(some[torch.tensor([1])])) == (2, 1)


def test_nothing_known_is_nothing_seen() -> None:
    nothing = Surroundings.unknown(torch.rand(2, 1, 8, 8))
    for part in (nothing.images(), nothing.place(), nothing.middle):
        assert not part.any()


def test_untrained_its_image_is_the_posterior_mean() -> None:
    """x_0 ~ N(m, s^2) and x_t = a x_0 + sigma eps: E x_0 = m + a s^2 (x_t - a m) / (a^2 s^2 + sigma^2)."""
    model, known, x, t = untrained_aligned(), around(), noise(3), torch.tensor([40, 700])
    with torch.no_grad():
        image = model.schedule.image_of_velocity(x, model.predict(x, t, *CODES, known), t)
    alpha, sigma = model.schedule.at(t, x)
    gain = alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2)
    torch.testing.assert_close(image, known.middle + gain * (x - alpha * known.middle), atol=1e-5, rtol=0)


def test_untrained_the_expected_slice_is_the_neighbours_mean() -> None:
    model, known = untrained_aligned(), around()
    found = model.mean(SliceCodes(noise(3), *CODES), known)
    torch.testing.assert_close(found, known.middle, atol=2e-3, rtol=0)  # at t = T, x_t is noise but for alpha^2 = 4e-5


def test_a_correction_counts_by_the_guess_s_error() -> None:
    """v - guess = (x_0 - E x_0) / -sigma, of SD s sigma / sqrt(a^2 s^2 + sigma^2) / sigma; 1 where nothing is known."""
    model, known, t = untrained_aligned(), around(), torch.tensor([40, 700])
    alpha, sigma = model.schedule.at(t, known.below)
    error = SPREAD * sigma / (alpha**2 * SPREAD**2 + sigma**2).sqrt()
    torch.testing.assert_close(model.correction_scale(t, known), error / sigma)
    assert (model.correction_scale(t, Surroundings.unknown(known.below)) == 1).all()


def test_without_surroundings_it_is_the_plain_one_that_it_grew_from() -> None:
    plain, grown = awake(TINY), awake(TINY_ALIGNED)
    assert isinstance(grown, AlignedAutoencoder)
    grown.grow_from(plain)
    x, t = noise(3), torch.tensor([40, 700])
    with torch.no_grad():
        bias = grown.denoiser.place.bias.zero_()  # type: ignore[union-attr, operator]
        assert not bias.any()
        torch.testing.assert_close(grown.predict(x, t, *CODES), plain.predict(x, t, *CODES))
    for name, value in plain.state_dict().items():
        own = grown.state_dict()[name]
        assert torch.equal(own[:, : value.shape[1]] if own.shape != value.shape else own, value), name


def test_labels_start_as_the_neighbours_mixture() -> None:
    """log of (1 - f) below + f above, with a least share; an untrained labeller adds nothing to it."""
    model, known = untrained_aligned(), around()
    below, above = torch.zeros(2, 4, 128, 128), torch.zeros(2, 4, 128, 128)
    below[:, 1], above[:, 2] = 1, 1
    with torch.no_grad():
        found = model.label(known, below, above)
        plain = model.label(known, below, above, torch.tensor([False, False]))
    shares = torch.tensor([[LEAST_SHARE, 0.75, 0.25, LEAST_SHARE], [LEAST_SHARE, 0.5, 0.5, LEAST_SHARE]])
    torch.testing.assert_close(plain, shares.log()[..., None, None].expand_as(plain))
    torch.testing.assert_close(found, plain)


def test_only_what_is_asked_for_is_corrected() -> None:
    model, known, even = untrained_aligned(), around(), torch.full((2, 4, 128, 128), 0.25)
    assert model.labeller is not None
    with torch.no_grad():
        model.labeller.head.bias += 3.0
        found = model.label(known, even, even, torch.tensor([False, True]))
    guess = torch.full((4, 128, 128), 0.25).log()
    torch.testing.assert_close(found[0], guess)
    torch.testing.assert_close(found[1], guess + 3)


def test_drawing_ends_on_the_neighbours_mean_where_there_is_no_noise() -> None:
    model, known = untrained_aligned(), around()
    state = model.schedule.alpha[60] * known.middle
    drawn = model.draw(SliceCodes(state, *CODES), known, 4, last=60)
    torch.testing.assert_close(drawn, known.middle, atol=1e-5, rtol=0)


def test_a_preset_makes_its_own_kind() -> None:
    assert type(new_autoencoder(TINY)) is Autoencoder
    assert type(new_autoencoder(TINY_ALIGNED)) is AlignedAutoencoder
    assert not hasattr(untrained(TINY), "labeller")
