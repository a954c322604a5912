"""Where each slice's breath-hold put the heart: what structures do together beside the smooth curves that hearts are.

A *track* is a structure's place in every slice, to within a constant. It is taken to be the sum of

- a straight line of its own, of which nothing is said: how much the heart is tilted cannot be told from shifts;
- the curve of the heart's axis, common to all tracks, and one of its own: cubic smoothing splines (integrated Wiener
  processes, Wahba 1978) of unknown stiffness;
- noise of its own, and, of the left ventricle's outlines, common noise;
- the slice's shift, common to all tracks: each slice's own (Student's t, so that one slice far away does not make the
  others suspect), and jumps from which on all slices lie elsewhere, where the evidence for one is strong.

All is Gaussian but for a few standard deviations, which are found by the largest marginal likelihood under broad
priors (MacKay 1992). The same model without shifts is what the evidence is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import NDArray
from scipy import optimize

Array = NDArray[np.float64]

#: Standard deviations (mm) before anything is seen: of a slice's shift; of the curves, as the change of their slope (mm
#: per 10 mm) over 10 mm; of noise. Medians over 35 exams of ACDC's training and development patients.
SHIFT_MM = 1.0
AXIS_MM = 0.4
CURVES_MM = {"cavity": 0.6, "whole": 0.3, "right": 2.2, "grey": 1.2}
NOISE_MM = {"cavity": 0.25, "whole": 0.25, "right": 0.5, "grey": 0.4}
LEFT_NOISE_MM = 0.4

#: How broad those priors are: standard deviation of the logarithm, for shifts, the common axis, and all others.
SPREADS = (1.0, 0.4, 0.6)

#: Of the straight lines, in mm and mm per 10 mm: nothing is known.
FLAT_MM = 20.0

#: Degrees of freedom of the shifts' distribution.
FREEDOM = 4.0

#: Of a jump, in mm; and by how much (nats) one must raise the evidence, so many possible ones being tried.
JUMP_MM = 10.0
JUMP_ODDS = 8.0
MOST_JUMPS = 3

#: Curves' unit of length.
CM = 10.0


@dataclass(frozen=True)
class Track:
    """Where a structure lies in M slices.

    ========  ======  ==========================================================================
    name              "cavity", "whole" (LV with its wall), "right" (RV cavity) or "grey" values
    slices    (M,)    which slices, ascending
    place_mm  (M, 2)  in the plane, to within a constant
    doubt     (M,)    variance relative to that of the surest slice
    ========  ======  ==========================================================================
    """

    name: str
    slices: Int[np.ndarray, " M"]
    place_mm: Float64[np.ndarray, "M 2"]
    doubt: Float64[np.ndarray, " M"]


@dataclass(frozen=True)
class Shifts:
    """The shifts of N slices as tracks tell them, along two axes alike and apart.

    ==========  =======  ==============================================================================
    mean_mm     (N, 2)   expected
    cov_mm2     (N, N)   of either axis
    evidence    scalar   nats by which the model with shifts is the better one
    jumps       indices  of the slices that a jump lies behind
    slice_mm    scalar   standard deviation of a slice's own shift
    ==========  =======  ==============================================================================
    """

    mean_mm: Float64[np.ndarray, "N 2"]
    cov_mm2: Float64[np.ndarray, "N N"]
    evidence: float
    jumps: tuple[int, ...] = ()
    slice_mm: float = SHIFT_MM


def shifts_of(tracks: Sequence[Track], positions_mm: Float64[np.ndarray, " N"]) -> Shifts:
    """The shifts of slices at these positions; the prior alone, without evidence, where there is no track."""
    count = len(positions_mm)
    if not tracks:
        return Shifts(np.zeros((count, 2)), SHIFT_MM**2 * np.eye(count), 0.0)
    model = _Model.of(tracks, positions_mm)
    without = model.fit(model.start, still=True)
    found = model.fit(model.start)
    found = _with_jumps(model, found)
    weights = np.ones(count)
    best = found
    for _ in range(5):  # Student's t as a mixture of Gaussians: each slice's own variance, by expectation-maximisation
        own, own_var = best.own()
        weights = (FREEDOM + (np.square(own).sum(axis=1) + 2 * own_var) / best.slice_mm**2) / (FREEDOM + 2)
        best = model.fit(best.logs, jumps=best.jumps, weights=weights, rounds=5)
    mean, cov = best.shifts()
    return Shifts(mean, cov, float(without.cost - found.cost), best.jumps, best.slice_mm)


@dataclass(frozen=True)
class _Model:
    """Covariance of all tracks' places, one axis: a fixed part and components of unknown variance."""

    places: Array  # (M, 2)
    seen: Array  # (M, N) which slice a place is of
    flat: Array  # (M, M)
    parts: Array  # (C, M, M): the slices' own shifts first
    start: Array  # (C,) logarithms of the components' standard deviations, and how sure they are
    spread: Array

    @classmethod
    def of(cls, tracks: Sequence[Track], positions_mm: Array) -> _Model:
        index = np.concatenate([track.slices for track in tracks])
        own = np.repeat(np.arange(len(tracks)), [len(track.slices) for track in tracks])
        doubt = np.concatenate([track.doubt for track in tracks])
        height = (positions_mm - positions_mm.mean()) / CM
        curve, line = _spline(height)[np.ix_(index, index)], (1 + np.outer(height, height))[np.ix_(index, index)]
        seen = np.eye(len(positions_mm))[index]
        same = own[:, None] == own
        left = np.array([track.name in ("cavity", "whole") for track in tracks])[own]
        parts = [seen @ seen.T, curve]
        parts += [curve * np.outer(own == k, own == k) for k in range(len(tracks))]
        parts += [np.diag(doubt * (own == k)) for k in range(len(tracks))]
        parts += [np.outer(left, left) * (seen @ seen.T) * np.sqrt(np.outer(doubt, doubt))]
        names = [track.name for track in tracks]
        sizes = [SHIFT_MM, AXIS_MM, *(CURVES_MM[n] for n in names), *(NOISE_MM[n] for n in names), LEFT_NOISE_MM]
        spread = np.array([*SPREADS[:2], *[SPREADS[2]] * (len(sizes) - 2)])
        flat = FLAT_MM**2 * line * same + 1e-4 * np.eye(len(index))
        places = np.concatenate([track.place_mm - track.place_mm.mean(axis=0) for track in tracks])
        return cls(places, seen, flat, np.stack(parts).astype(np.float64), np.log(sizes), spread)

    def fit(
        self,
        logs: Array,
        *,
        still: bool = False,
        jumps: tuple[int, ...] = (),
        weights: Array | None = None,
        rounds: int = 30,
    ) -> _Fit:
        """The most likely standard deviations from `logs` on; `still`: without shifts."""
        prior = _Prior.of(self.seen.shape[1], jumps, weights)
        parts = self.parts.copy()
        parts[0] = 0 if still else self.seen @ np.diag(prior.weights) @ self.seen.T
        fixed = self.flat + self.seen @ prior.jumps @ self.seen.T
        found = optimize.minimize(
            self._cost, logs, (parts, fixed), "L-BFGS-B", jac=True, bounds=[(-4.6, 3.0)] * len(logs),
            options={"maxiter": rounds},
        )  # fmt: skip
        return _Fit(self, found.x, float(found.fun), jumps, prior)

    def _cost(self, logs: Array, parts: Array, fixed: Array) -> tuple[float, Array]:
        """Negative logarithm of the posterior of the standard deviations, and its gradient."""
        scaled = np.exp(2 * logs)[:, None, None] * parts
        cov = fixed + scaled.sum(axis=0)
        inverse = np.linalg.inv(cov)
        solved = inverse @ self.places
        away = (logs - self.start) / self.spread
        cost = (self.places * solved).sum() / 2 + np.linalg.slogdet(cov)[1] + np.square(away).sum() / 2
        gradient = 2 * np.einsum("cij,ij->c", scaled, inverse) - np.einsum("cij,ia,ja->c", scaled, solved, solved)
        return float(cost), gradient + away / self.spread

    def cost(self, logs: Array, jumps: tuple[int, ...]) -> float:
        fixed = self.flat + self.seen @ _Prior.of(self.seen.shape[1], jumps, None).jumps @ self.seen.T
        return self._cost(logs, self.parts, fixed)[0]


@dataclass(frozen=True)
class _Prior:
    """What is known of N slices' shifts before: relative variances of their own, and the covariance of jumps."""

    weights: Array
    jumps: Array

    @classmethod
    def of(cls, count: int, jumps: tuple[int, ...], weights: Array | None) -> _Prior:
        behind = np.tril(np.ones((count, count)), -1)[:, list(jumps)]  # slices behind the jump
        behind = behind - behind.mean(axis=0)
        return cls(np.ones(count) if weights is None else weights, JUMP_MM**2 * behind @ behind.T)


@dataclass(frozen=True)
class _Fit:
    """The most likely standard deviations, and the shifts given them."""

    model: _Model
    logs: Array
    cost: float
    jumps: tuple[int, ...]
    prior: _Prior = field(repr=False)

    @property
    def slice_mm(self) -> float:
        return float(np.exp(self.logs[0]))

    def shifts(self) -> tuple[Array, Array]:
        """(N, 2) mean and (N, N) covariance."""
        return self._given(self.slice_mm**2 * np.diag(self.prior.weights) + self.prior.jumps)

    def own(self) -> tuple[Array, Array]:
        """(N, 2) mean and (N,) variance of the slices' own shifts."""
        mean, cov = self._given(self.slice_mm**2 * np.diag(self.prior.weights))
        return mean, np.diag(cov)

    def _given(self, part: Array) -> tuple[Array, Array]:
        """Mean and covariance of a part (N, N) of the shifts, given the places."""
        model, seen = self.model, self.model.seen
        variances = np.exp(2 * self.logs[1:])
        cov = model.flat + np.einsum("c,cij->ij", variances, model.parts[1:])
        cov = cov + seen @ (self.slice_mm**2 * np.diag(self.prior.weights) + self.prior.jumps) @ seen.T
        gain = part @ seen.T @ np.linalg.inv(cov)
        return gain @ model.places, part - gain @ seen @ part


def _with_jumps(model: _Model, fit: _Fit) -> _Fit:
    """Jumps are added one by one while the evidence asks for them; two seen slices at least lie on either side."""
    seen = np.flatnonzero(model.seen.sum(axis=0) > 1)
    while len(fit.jumps) < MOST_JUMPS:
        trials = []
        for n in set(range(len(model.seen[0]) - 1)) - set(fit.jumps):
            if min((seen <= n).sum(), (seen > n).sum()) > 1:
                for less in (0.0, 0.5, 1.0, 1.5, 2.0):  # a jump explained, the slices' own shifts are smaller
                    logs = fit.logs - less * (np.arange(len(fit.logs)) == 0)
                    trials.append((model.cost(logs, (*fit.jumps, n)), n, tuple(logs)))
        if not trials or min(trials)[0] > fit.cost - JUMP_ODDS:
            break
        _, n, start = min(trials)
        fit = model.fit(np.array(start), jumps=(*fit.jumps, n))
    return fit


def _spline(height: Array) -> Array:
    """Covariance of a twice integrated Wiener process, from the first height on."""
    z = height - height.min()
    low = np.minimum(z[:, None], z)
    return np.asarray(low**3 / 3 + np.abs(z[:, None] - z) * low**2 / 2)
