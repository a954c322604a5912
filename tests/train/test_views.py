"""The segmenter of long-axis views learns from views that are cut, spoilt and turned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.views import ClosedHeart
from train.conftest import NAMES, discs, tiny

from dmcvr.errors import InputError
from dmcvr.geometry.long_axis import SIDE, Upright, normalised
from dmcvr.model.checkpoint import load_orienter, load_view_segmenter
from dmcvr.model.view_segmenter import with_prior
from dmcvr.model.weights import describe
from dmcvr.train import cuts
from dmcvr.train.cuts import CANVAS, TO_LEARN, TO_LOOK_AT, UNKNOWN, CutSet, cut, data_of
from dmcvr.train.data import TrainingSet
from dmcvr.train.inputs import CUTTING, code_version
from dmcvr.train.losses import known_loss
from dmcvr.train.run import train
from dmcvr.train.views import ViewDraws


def cut_set(slices: str = "", count: int = 6) -> CutSet:
    """Views of a heart in closed form; a third of them with an unknown part, as patients' have."""
    heart = ClosedHeart.random()
    middle, right = np.array([0.0, 0.0, 40.0]), np.array([-1.0, 0.0, 0.0])
    maps = []
    for angle in np.linspace(0, 150, count):
        view = Upright.of(heart.view(angle).affine, np.eye(3)[2], middle, right, side=CANVAS)
        assert view is not None
        x, y, z = (p[..., None].astype(np.float32) for p in view.points())
        maps.append(heart.shape.labels(x, y, z)[..., 0])
    labels = np.stack(maps)
    known = labels.copy()
    known[::3, :, :40] = UNKNOWN
    images = normalised(labels.astype(np.float32)).astype(np.float16)
    return CutSet(images, known, labels, slices, code_version(CUTTING))


def test_draws_are_whole_views_with_priors_that_are_not_right() -> None:
    draws = ViewDraws(cut_set(), batch=12)
    views = draws.draw(torch.Generator().manual_seed(0))
    assert views.images.shape == views.labels.shape == views.priors.shape == (12, SIDE, SIDE)
    assert views.images.abs().max() <= 1
    assert set(views.labels.unique().tolist()) <= {0, 1, 2, 3, UNKNOWN}
    assert set(views.priors.unique().tolist()) <= {0, 1, 2, 3}
    same = (views.priors == views.labels).flatten(1).all(dim=1)
    assert not same.all()
    again = draws.draw(torch.Generator().manual_seed(0))
    torch.testing.assert_close(again.images, views.images)
    still = draws.still()
    known = still.labels < UNKNOWN
    torch.testing.assert_close(still.labels[known], still.priors[known])
    seen = with_prior(still.images, still.priors)
    assert seen.shape == (6, 4, SIDE, SIDE)
    torch.testing.assert_close(seen[:, 1:].sum(dim=1) > 0, still.priors > 0)


def test_nothing_is_learnt_where_nobody_knows() -> None:
    labels = torch.tensor([[[1, 0], [UNKNOWN, UNKNOWN]]])
    logits = torch.zeros(1, 4, 2, 2, requires_grad=True)
    known_loss(logits, labels).backward()
    assert logits.grad is not None
    assert (logits.grad[..., 1, :] == 0).all()
    assert (logits.grad[..., 0, :] != 0).any()
    sure = 40.0 * torch.nn.functional.one_hot(labels.clamp(max=3), 4).movedim(-1, 1).float()
    assert known_loss(sure, labels).item() == pytest.approx(0, abs=1e-5)


def test_it_is_trained_watched_and_told_apart(packed: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "v", TrainingSet.load(packed)
    out.mkdir()
    cut_set(data.of(NAMES[:2]).sha256).save(out / "views.npz")
    cut_set(data.of(NAMES[2:]).sha256, 3).save(out / "held_out_views.npz")
    path = train("views", tiny(packed, out, max_steps=2))
    info = describe(path)
    assert (info.kind, info.training["stage"]) == ("views", "views")
    network, _ = load_view_segmenter(path)
    with torch.no_grad():
        assert network(torch.zeros(1, 4, 64, 64)).shape == (1, 4, 64, 64)
    assert '"dice_lv_cavity_phantoms_prior": 1.0' in (out / "log.jsonl").read_text()
    assert (out / "samples.png").is_file()
    with pytest.raises(InputError, match="holds a segmenter of long-axis views; expected an orienter"):
        load_orienter(path)


def test_views_of_others_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "views.npz"
    replace(cut_set("others"), code="old").save(file)
    with pytest.raises(InputError, match="were cut with other slices and code than this training has: remove the file"):
        cut(discs(), file, phantoms=TO_LEARN)
    file.write_bytes(b"none")
    with pytest.raises(InputError, match="is not a set of cut views"):
        cut(discs(), file, phantoms=TO_LEARN)


def test_phantoms_to_look_at_are_none_of_those_to_learn_from() -> None:
    assert not set(TO_LEARN) & set(TO_LOOK_AT)


@pytest.mark.slow
def test_cuts_show_hearts_and_priors_are_nearly_right() -> None:
    data = discs()
    stack = data_of(data, np.arange(5))
    assert stack.whole
    for job, exact in (((cuts._of_phantom, TO_LOOK_AT[0]), True), ((cuts._of_stack, stack), False)):
        found = cuts._run(job)
        assert len(found) > 3
        for image, labels, prior in found:
            assert image.shape == labels.shape == prior.shape == (CANVAS, CANVAS)
            assert np.ptp(image) == 2
            assert (labels == UNKNOWN).any() != exact
            lv = [np.isin(part, (1, 2)) & (labels != UNKNOWN) for part in (labels, prior)]
            if lv[0].sum() > 800:
                assert 2 * (lv[0] & lv[1]).sum() / (lv[0].sum() + lv[1].sum()) > 0.6
