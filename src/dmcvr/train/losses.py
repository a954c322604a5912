"""How far labels are from the true ones: what the networks that label learn by."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dmcvr.model.morphology import CLASSES


def segmentation_loss() -> Callable[[Tensor, Tensor], Tensor]:
    """Focal (gamma 2) + Dice over the four classes, Dice over the batch; logits (B, 4, H, W), labels (B, H, W).

    Dice slice by slice would teach by heart which slices of the training set have which structure.
    """
    from monai.losses import DiceLoss, FocalLoss

    dice = DiceLoss(to_onehot_y=True, softmax=True, batch=True, include_background=False)
    focal = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        logits, labels = logits.float(), labels[:, None]
        return dice(logits, labels) + 5 * focal(logits, labels)

    return loss


def partial_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy + Dice over the batch; logits (M, 4, H, W), labels (M, H, W), known (M, 3).

    Where a structure was not looked for, its probability counts as background, and its Dice does not count (Shi et al.
    2021, Med. Image Anal. 70, Sect. 3.2: the marginal loss).
    """
    log_p = logits.float().log_softmax(dim=1)
    hidden = torch.cat([torch.zeros_like(known[:, :1]), ~known], dim=1)[:, :, None, None]
    background = torch.where(hidden, log_p, -torch.inf)
    background[:, 0] = log_p[:, 0]
    merged = torch.cat([background.logsumexp(dim=1, keepdim=True), log_p[:, 1:]], dim=1)
    entropy = F.nll_loss(merged, labels)

    p, truth = log_p[:, 1:].exp(), F.one_hot(labels, CLASSES)[..., 1:].movedim(-1, 1).to(log_p.dtype)
    counts = known[:, :, None, None].to(log_p.dtype)
    both = (p * truth * counts).sum(dim=(0, 2, 3))
    either = ((p + truth) * counts).sum(dim=(0, 2, 3))
    return entropy + (1 - (2 * both + 1) / (either + 1)).mean()


def presence_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Whether each slice has each structure: logits (M, 3), labels (M, H, W), known (M, 3)."""
    there = torch.stack([(labels == c).flatten(1).any(dim=1) for c in range(1, CLASSES)], dim=1)
    entropy = F.binary_cross_entropy_with_logits(logits.float(), there.float(), reduction="none")
    return (entropy * known).sum() / known.sum().clamp(min=1)


def known_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy + Dice over the batch; logits (B, 4, H, W), labels (B, H, W), where a number that is no label says
    that nobody knows: nothing is learnt there."""
    known = labels < CLASSES
    truth = labels * known
    log_p = logits.float().log_softmax(dim=1)
    entropy = (F.nll_loss(log_p, truth, reduction="none") * known).sum() / known.sum().clamp(min=1)
    p, truth = log_p[:, 1:].exp(), F.one_hot(truth, CLASSES)[..., 1:].movedim(-1, 1).to(log_p.dtype)
    counts = known[:, None].to(log_p.dtype)
    both, either = (p * truth * counts).sum(dim=(0, 2, 3)), ((p + truth) * counts).sum(dim=(0, 2, 3))
    return entropy + (1 - (2 * both + 1) / (either + 1)).mean()
