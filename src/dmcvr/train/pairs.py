"""Slices with their neighbours warped to their place: what a denoiser with surroundings learns from."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from dmcvr.errors import InputError
from dmcvr.geometry.plan import Plan
from dmcvr.labels.distances import shares
from dmcvr.registration.itk import paths_by_grey
from dmcvr.registration.paths import NARROW_MM
from dmcvr.train.data import CANVAS, TrainingSet
from dmcvr.train.inputs import REGISTRATION, code_version, differences

#: Neighbours of a target are up to so many slices apart.
MAX_APART = 3

#: Wider gaps than this nobody has to fill.
MAX_GAP_MM = 25.0

#: Of a sample: targets at one of the two neighbours, between them in narrow gaps, and in wide ones (far more pairs).
SHARES = (0.1, 0.4, 0.5)

#: The middle of the canvas that is kept: room for a turned and shifted view.
KEPT_PX = 176


@dataclass(frozen=True)
class PairSet:
    """R slices between two others of the same stack, which are warped to their place.

    ============  ============  ==================================================================
    target        (R,)          index of the true slice in the training set
    below         (R, S, S)     uint8: [-1.5, 3] on the canvas' middle, the lower neighbour warped
    above         (R, S, S)     uint8, the upper one
    labels_below  (R, S, S)     uint8, the lower neighbour's manual labels, warped
    labels_above  (R, S, S)     uint8, the upper one's
    fraction      (R,)          float32, 0 at the lower neighbour, 1 at the upper
    gap_mm        (R,)          float32
    slices        text          the training set that they were made of (`TrainingSet.sha256`)
    code          text          the version that registered them
    ============  ============  ==================================================================

    Some targets are an acquired neighbour itself (fraction 0 or 1): the network has to leave those alone.
    """

    target: NDArray[np.int64]
    below: NDArray[np.uint8]
    above: NDArray[np.uint8]
    labels_below: NDArray[np.uint8]
    labels_above: NDArray[np.uint8]
    fraction: NDArray[np.float32]
    gap_mm: NDArray[np.float32]
    slices: str
    code: str

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, which: NDArray[Any]) -> PairSet:
        return replace(self, **{name: array[which] for name, array in self._arrays().items()})

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(R,) whether the target is neither of the neighbours."""
        return (self.fraction > 0) & (self.fraction < 1)

    @property
    def narrow(self) -> NDArray[np.bool_]:
        """(R,) whether a clinical stack has such gaps."""
        return self.gap_mm < NARROW_MM

    @classmethod
    def of(cls, data: TrainingSet) -> PairSet:
        """Register all pairs of slices up to `MAX_APART` apart; minutes on a laptop."""
        stacks = np.unique(np.stack([data.patients, data.phases]), axis=1, return_inverse=True)[1].ravel()
        jobs = [job for stack in np.unique(stacks) for job in _jobs(np.flatnonzero(stacks == stack), data.positions)]
        tasks = [
            (
                kept(data.images[[job.lower, job.upper]]).astype(np.float32),
                kept(data.labels[[job.lower, job.upper]]),
                data.positions[[job.lower, job.upper]],
                data.positions[list(job.targets)],
            )
            for job in jobs
        ]
        with ProcessPoolExecutor() as pool:
            warped = list(track(pool.map(_warped, tasks, chunksize=8), "registering slices", total=len(tasks)))
        below, above, labels_below, labels_above = (np.concatenate([parts[n] for parts in warped]) for n in range(4))
        return cls(
            np.array([target for job in jobs for target in job.targets]),
            below,
            above,
            labels_below,
            labels_above,
            np.concatenate([_plan(task).fraction for task in tasks]).astype(np.float32),
            np.concatenate([_plan(task).gap_mm for task in tasks]).astype(np.float32),
            data.sha256,
            registration_version(),
        )

    def sample(self, count: int, generator: torch.Generator) -> PairSet:
        """Random ones by `SHARES` of their kinds; half are turned over: a stack has no first end."""
        kinds = (~self.inside, self.inside & self.narrow, self.inside & ~self.narrow)
        chance = torch.zeros(len(self))
        for kind, share in zip(kinds, SHARES, strict=True):
            chance += torch.from_numpy(kind).float() * share / max(1, kind.sum())
        n = torch.multinomial(chance, count, replacement=True, generator=generator).numpy()
        turned = (torch.rand(count, generator=generator) < 0.5).numpy()

        def either(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
            return np.where(turned.reshape(-1, *[1] * (a.ndim - 1)), b[n], a[n])

        return replace(
            self,
            target=self.target[n],
            below=either(self.below, self.above),
            above=either(self.above, self.below),
            labels_below=either(self.labels_below, self.labels_above),
            labels_above=either(self.labels_above, self.labels_below),
            fraction=either(self.fraction, 1 - self.fraction),
            gap_mm=self.gap_mm[n],
        )

    def neighbours(self) -> NDArray[np.float32]:
        """(R, 2, S, S) the lower and the upper neighbours."""
        return from_bytes(np.stack([self.below, self.above], axis=1))

    def images(self, of_targets: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """(R, 3, S, S) the target, given all targets, and the lower and the upper neighbours."""
        truth = of_targets[self.target].astype(np.float32)
        return np.concatenate([truth[:, None], self.neighbours()], axis=1)

    def labels(self, of_targets: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(R, 3, S, S) those of the target, given all targets', and the lower and the upper neighbours'."""
        return np.stack([of_targets[self.target], self.labels_below, self.labels_above], axis=1)

    def save(self, path: Path) -> None:
        partial = path.with_name(f".{path.name}.partial.npz")
        np.savez(partial, **self._arrays() | {"slices": np.array(self.slices), "code": np.array(self.code)})  # type: ignore[arg-type]
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> PairSet:
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in _ARRAYS}
                return cls(**arrays, slices=str(archive["slices"]), code=str(archive["code"]))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} is not a set of registered slices: remove it, it is made again.") from error

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _ARRAYS}


#: The fields with an entry a pair.
_ARRAYS = ("target", "below", "above", "labels_below", "labels_above", "fraction", "gap_mm")


def registered(data: TrainingSet, path: Path) -> PairSet:
    """The pairs of these slices, registered once and kept in the file, for other trainings too.

    Raises `InputError` where the file holds others, or where no slice lies between two others.
    """
    if not path.is_file():
        PairSet.of(data).save(path)
    pairs = PairSet.load(path)
    before = {"slices_sha256": pairs.slices, "code": pairs.code}
    if changed := differences(before, {"slices_sha256": data.sha256, "code": registration_version()}):
        raise InputError(
            f"The pairs in {path} were registered with other {changed} than this training has: remove the file, and "
            "they are made again."
        )
    if not pairs.inside.any():
        names = ", ".join(dict.fromkeys(data.patients.tolist()))
        raise InputError(
            f"No slice of {names} lies between two others at most {MAX_GAP_MM:g} mm apart: there is nothing to learn "
            "between slices. Choose exams with closer slices (--split)."
        )
    return pairs


def registration_version() -> str:
    """What decides how slices are registered, and with it the pairs."""
    return f"{code_version(REGISTRATION)} SimpleITK {version('simpleitk')}"


def kept(canvases: NDArray[Any]) -> NDArray[Any]:
    """The middle (..., KEPT_PX, KEPT_PX) of canvases."""
    low = (CANVAS - KEPT_PX) // 2
    return canvases[..., low : low + KEPT_PX, low : low + KEPT_PX]


def to_bytes(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[-1.5, 3] to 0 to 255."""
    return np.round(np.clip((images + 1.5) / 4.5, 0, 1) * 255).astype(np.uint8)


def from_bytes(stored: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The way back."""
    return np.asarray(stored.astype(np.float32) / 255 * 4.5 - 1.5, dtype=np.float32)


@dataclass(frozen=True)
class _Job:
    lower: int
    upper: int
    targets: tuple[int, ...]


def _jobs(stack: NDArray[np.intp], positions: NDArray[np.float64]) -> list[_Job]:
    """Pairs of one stack (indices in order of position) with the slices between them, or one of the two."""
    jobs = [_Job(int(a), int(b), (int(a if n % 2 else b),)) for n, (a, b) in enumerate(pairwise(stack))]
    for apart in range(2, MAX_APART + 1):
        for n in range(len(stack) - apart):
            lower, upper = int(stack[n]), int(stack[n + apart])
            if positions[upper] - positions[lower] <= MAX_GAP_MM:
                jobs.append(_Job(lower, upper, tuple(int(k) for k in stack[n + 1 : n + apart])))
    return jobs


#: Images and labels of two slices, where they are, and the targets between.
_Task = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]


def _plan(task: _Task) -> Plan:
    return Plan.between(task[2], task[3])


def _warped(task: _Task) -> tuple[NDArray[np.uint8], ...]:
    """Of every target: the images below and above, and their labels."""
    images, labels, _, _ = task
    between = paths_by_grey(np.clip(images, -1, 1), _plan(task))
    warped_labels = (part.argmax(axis=1).astype(np.uint8) for part in between.warp(shares(labels), order=1))
    return *(to_bytes(part) for part in between.warp(images)), *warped_labels
