"""The exam as it is filled: in one breath-hold, its slices slid to where the heart of the reference lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dmcvr.anatomy.seen import Slices
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View
from dmcvr.fill.method import Acquired
from dmcvr.geometry.breath_hold import BreathHolds
from dmcvr.geometry.locate import Region
from dmcvr.geometry.region import crop_images
from dmcvr.registration.tracks import find_breath_holds


@dataclass(frozen=True)
class Slid:
    """An exam's slices, all where one breath-hold has them; the frame and the grey scale stay those of the region.

    ========  =================================================================
    stack     pixels as acquired, each slice moved in its plane
    region    its slices on the networks' grid
    acquired  the same with their labels, one for each phase
    holds     what was found and moved; None where nothing was asked for
    ========  =================================================================
    """

    stack: SliceStack
    region: Region
    acquired: tuple[Acquired, ...]
    holds: BreathHolds | None = None

    @property
    def labels(self) -> NDArray[np.uint8]:
        """(P, N, S, S)."""
        return np.stack([phase.labels for phase in self.acquired])

    @property
    def slices(self) -> Slices:
        """What long-axis views are compared with."""
        frame = self.region.located.frame
        return Slices(self.labels, np.asarray(self.stack.positions_mm), frame, self.stack.normal)

    def slide(self, views: Sequence[View] = ()) -> Slid:
        """In one breath-hold, as far as all phases and long-axis views tell.

        Pixels are resampled once, from the slices themselves; labels go with them, whoever's they are.
        """
        holds = find_breath_holds(self.stack, self.region, self.labels, views)
        if not holds.moved:
            return replace(self, holds=holds)
        stack, located = holds.slide(self.stack), self.region.located
        images = self.region.scale.normalise(crop_images(stack, located.frame))
        pixel_mm = located.frame.pixel_mm
        acquired = tuple(
            replace(
                phase,
                images=picture,
                labels=holds.slide_labels(phase.labels, pixel_mm),
                found=None if phase.found is None else holds.slide_shares(phase.found, pixel_mm),
            )
            for phase, picture in zip(self.acquired, images, strict=True)
        )
        return Slid(stack, Region(images, self.region.scale, located), acquired, holds)

    def select_phases(self, indices: list[int]) -> Slid:
        """The same with these phases only."""
        region = replace(self.region, images=self.region.images[indices])
        acquired = tuple(self.acquired[index] for index in indices)
        return replace(self, stack=self.stack.select_phases(indices), region=region, acquired=acquired)
