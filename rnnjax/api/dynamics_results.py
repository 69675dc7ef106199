"""Results of the public functions on the dynamics of a network: Lyapunov exponents and fixed points."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.statistics import Interval, estimate_mean
from rnnjax.reports.formatting import format_value


@dataclass(frozen=True, repr=False, eq=False)
class LyapunovExponents:
    """Exponents of R networks from S starts.

    Attributes:
        exponents: [R, S, K] in nats per time step, the largest first; NaN for a start with a Jacobian that is not
            finite, which counts in no mean. nonfinite: [R, S] time steps from the first such Jacobian on.
        drive: what the networks read.
    """

    exponents: np.ndarray
    nonfinite: np.ndarray
    drive: str

    @property
    def intervals(self) -> list[Interval | None]:
        """The mean of each exponent with its 95% interval: over starts of one network, over several networks."""
        if len(self.exponents) == 1:
            return [estimate_mean(values_S) for values_S in self.exponents[0].T]
        with np.errstate(invalid="ignore"):
            known_RS = np.isfinite(self.exponents).all(axis=2)
            sums_RK = np.where(known_RS[:, :, None], self.exponents, 0).sum(axis=1)
            means_RK = sums_RK / np.where(known_RS.any(axis=1), known_RS.sum(axis=1), np.nan)[:, None]
        return [estimate_mean(values_R) for values_R in means_RK.T]

    def __repr__(self) -> str:
        largest = self.intervals[0]
        words = "none finite" if largest is None else f"{largest.estimate:.3g} [{largest.low:.3g}, {largest.high:.3g}]"
        lost = f", {int((self.nonfinite > 0).sum())} starts left out: a Jacobian is not finite" * bool(
            self.nonfinite.any()
        )
        networks, starts, count = self.exponents.shape
        size = f"{networks} networks x {starts} starts" if networks > 1 else f"{starts} starts"
        return f"LyapunovExponents({count}, largest {words} nats per time step, {self.drive}, {size}{lost})"


class FixedPoint(NamedTuple):
    """One point at which a network with its input held stands still, or nearly so."""

    kind: str  # stable fixed point, unstable fixed point or slow point
    state: np.ndarray  # [C], all numbers of the state
    units: np.ndarray  # h [H] of the last layer
    speed: float  # root-mean-square change in one step over the spread of the states
    starts: int  # searches that end at it
    eigenvalues: np.ndarray  # [C] of dF/dc; NaN where it is not finite


@dataclass(frozen=True, repr=False, eq=False)
class FixedPoints:
    """The different fixed and slow points of one network.

    Attributes:
        points: the slowest first. held: the input. searches: how many. nonfinite: the share of them whose end is not
            finite.
    """

    points: list[FixedPoint]
    held: str
    searches: int
    nonfinite: float

    def __repr__(self) -> str:
        lines = [
            f"  {point.kind}: largest |eigenvalue| {np.abs(point.eigenvalues).max():.3g}, speed {point.speed:.2g}, "
            f"from {point.starts} of {self.searches} starts"
            for point in self.points
        ]
        lost = f", {format_value(self.nonfinite)} of the searches not finite" * bool(self.nonfinite)
        return "\n".join([f"FixedPoints({len(self.points)} with {self.held} held{lost})", *lines])
