"""`dmcvr train orienter`: which of the eight ways to turn and mirror a view is the one it is shown in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dmcvr.geometry.orient import USUAL_WAY_DEG, VIEW_MM, VIEW_PIXELS, right_to_left_deg
from dmcvr.train.data import Augmentation, TrainingSet, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.processes import gathered, share

#: Fields of view differ, and edges must not tell.
AUGMENTATION = Augmentation(
    rotation_deg=15,
    scale=0.2,
    shift_mm=20,
    contrast=0.3,
    gamma=0.5,
    noise=0.08,
    bias=0.4,
    elastic_mm=4,
    view_mm=VIEW_MM,
    field=0.55,
)

#: A slice beyond the heart cannot be sure.
SMOOTHING = 0.05


def as_shown(data: TrainingSet) -> TrainingSet:
    """The same slices, every exam turned by right angles until its RV lies, from the LV, where it usually does.

    Scanners draw the same plane with the patient's feet below or with the back below. Of ACDC's patients one in six is
    stored a quarter turn from the others: heart, ribs, liver and spine.
    """
    images, labels = data.images.copy(), data.labels.copy()
    names = np.char.add(np.char.add(data.patients, " "), data.phases)
    for name in np.unique(names):
        exam = names == name
        angle = right_to_left_deg(labels[exam])
        if angle is not None:
            quarters = -round((angle - USUAL_WAY_DEG) / 90)
            images[exam], labels[exam] = (np.rot90(part[exam], quarters, (1, 2)) for part in (images, labels))
    return replace(data, images=images, labels=labels)


def eight_ways(views: Tensor) -> Tensor:
    """(B, 1, S, S) to (B, 8, 1, S, S): as they are first, then turned and mirrored."""
    turned = [torch.rot90(views, k, (2, 3)) for k in range(4)]
    return torch.stack([*turned, *(view.transpose(2, 3) for view in turned)], dim=1)


def way_logits(model: nn.Module, views: Tensor) -> Tensor:
    """(B, 1, S, S) views to (B, 8) logits, in the order of `eight_ways`."""
    logits: Tensor = model(eight_ways(views).flatten(0, 1))
    return logits.view(len(views), 8)


def orienter_objective(data: TrainingSet, *, batch: int, device: str) -> Objective:
    """Random views of random slices, each in all eight ways."""
    images = torch.from_numpy(data.images)

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(images), (batch,), generator=generator)
        view, _ = random_view(images[chosen][:, None], None, generator, AUGMENTATION, VIEW_PIXELS)
        logits = gathered(way_logits(model, view[share(batch)].to(device)))
        right = torch.zeros(batch, dtype=torch.long, device=logits.device)
        loss = F.cross_entropy(logits, right, label_smoothing=SMOOTHING)
        return loss, {"loss": loss.item(), "right": float((logits.argmax(dim=1) == 0).float().mean())}

    return objective
