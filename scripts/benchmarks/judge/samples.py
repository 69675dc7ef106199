"""Arms with drawn values: the distributions of seeds, and what the simulated statements are about."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rnnjax.analysis.results import ArmResult

DISTRIBUTIONS = ("normal", "lognormal", "t3")
Metrics = dict[str, np.ndarray]  # metric -> [n]
Arms = dict[str, Metrics]  # arm -> its metrics


class Seeds(NamedTuple):
    """n seeds of one distribution with mean 0 and standard deviation 1; the lognormal one has sigma = 1."""

    rng: np.random.Generator
    distribution: str
    n: int

    def draw(self, *axes: int) -> np.ndarray:
        """Values [*axes, n]."""
        shape = (*axes, self.n)
        if self.distribution == "normal":
            return self.rng.normal(size=shape)
        if self.distribution == "lognormal":
            return (np.exp(self.rng.normal(size=shape)) - np.e**0.5) / ((np.e - 1) * np.e) ** 0.5
        return self.rng.standard_t(3, shape) / 3**0.5


Sampler = Callable[[Seeds], Arms]


def arm(name: str, metrics: Metrics, axes: Mapping[str, Any]) -> ArmResult:
    """An arm with these values and no record."""
    n = len(next(iter(metrics.values())))
    nothing: dict[str, Any] = {"rows": {}, "probes": {}, "row_steps": np.array([1]), "probe_steps": np.array([0])}
    known: dict[str, Any] = {"seeds": np.arange(n), "diverged_at": np.full(n, -1), "metrics": metrics}
    return ArmResult(name=name, axes=dict(axes), **known, **nothing)


def one(mean: float = 0.0) -> Sampler:
    """One arm a."""
    return lambda seeds: {"a": {"m": mean + seeds.draw()}}


def independent(count: int, mean: float = 0.0, lead: float = 0.0) -> Sampler:
    """Arms a0, a1, ... with one mean; a0 is lower by `lead` standard errors of a difference of two."""

    def sample(seeds: Seeds) -> Arms:
        values = mean + seeds.draw(count)
        values[0] -= lead * (2 / seeds.n) ** 0.5
        return {f"a{i}": {"m": row} for i, row in enumerate(values)}

    return sample


def against_constant(count: int, mean: float = 5.0) -> Sampler:
    """Arms a0, a1, ... that vary and an arm b that does not, all with one mean."""

    def sample(seeds: Seeds) -> Arms:
        return independent(count, mean)(seeds) | {"b": {"m": np.full(seeds.n, mean)}}

    return sample


def against_varying(count: int, mean: float = 5.0, shift: float = 0.0) -> Sampler:
    """Arms a0, a1, ... and an arm b higher by `shift`, all with seeds of their own."""

    def sample(seeds: Seeds) -> Arms:
        return independent(count, mean)(seeds) | {"b": {"m": mean + shift + seeds.draw()}}

    return sample


def stated_by_one_seed(mean: float = 10.0) -> Sampler:
    """The stated number, `mean`, is one more seed of the arm: the arm's values move by that seed's deviation."""

    def sample(seeds: Seeds) -> Arms:
        values = seeds._replace(n=seeds.n + 1).draw()
        return {"a": {"m": mean + values[1:] - values[0]}}

    return sample


def share(p: float) -> Sampler:
    """A share p of the seeds has the value 1, the others 0; the distribution does not matter."""
    return lambda seeds: {"a": {"m": (seeds.rng.random(seeds.n) < p).astype(float)}}


def along_axis(log: bool = False) -> Sampler:
    """Four arms along x without a trend; with `log`, of the exponentials."""

    def sample(seeds: Seeds) -> Arms:
        values = seeds.draw(4)
        return {f"x={2**i}": {"m": np.exp(0.3 * row) if log else row} for i, row in enumerate(values)}

    return sample


def grid(seeds: Seeds) -> Arms:
    """Nine arms along x and y with effects of both that add up."""
    values = seeds.draw(3, 3)
    effects = 2 * np.arange(3)[:, None] + np.arange(3)
    return {f"x={2**i},y={2**j}": {"m": effects[i, j] + values[i, j]} for i in range(3) for j in range(3)}


def correlated(arms: int, shared: float = 0.0) -> Sampler:
    """Two metrics without correlation; `shared` of the variance of each belongs to the seed, the same in all arms."""

    def sample(seeds: Seeds) -> Arms:
        own, common = seeds.draw(2, arms), seeds.draw(2, 1)
        y, x = shared**0.5 * common + (1 - shared) ** 0.5 * own
        return {f"a{i}": {"m": y[i], "x": x[i]} for i in range(arms)}

    return sample


def explained(signal: float, arms: int = 1) -> Sampler:
    """y = signal log x + noise, log x standard normal: R^2 = signal^2 / (signal^2 + 1)."""

    def sample(seeds: Seeds) -> Arms:
        log_x = seeds.rng.normal(size=(arms, seeds.n))
        y = signal * log_x + seeds.draw(arms)
        return {f"a{i}": {"m": y[i], "x": np.exp(log_x[i])} for i in range(arms)}

    return sample


def decomposed(seeds: Seeds) -> Arms:
    """Three arms and two columns: half of the variance is that of the arms, half of the seeds."""
    values = 0.5**0.5 * seeds.draw(3, 2)
    return {
        f"a{i}": {"m": 0.75**0.5 * (i - 1) + values[i, 0], "x": 0.75**0.5 * (i - 1) + values[i, 1]} for i in range(3)
    }


def factors(first: int, second: int, gap_first: float = 0.0, gap_second: float = 0.0) -> Sampler:
    """Arms of two factors, f0, f1, ... and g0, g1, ...; the last arm of each is higher by its gap."""

    def sample(seeds: Seeds) -> Arms:
        values = seeds.draw(first + second)
        values[first - 1] += gap_first
        values[-1] += gap_second
        names = [f"f{i}" for i in range(first)] + [f"g{i}" for i in range(second)]
        return {name: {"m": row} for name, row in zip(names, values, strict=True)}

    return sample


def tied_cells(seeds: Seeds) -> Arms:
    """Four cells with one mean: neither the predicted nor the measured lowest one is determined."""
    values = seeds.draw(2, 2)
    return {f"x={2**i},y={2**j}": {"m": values[i, j]} for i in range(2) for j in range(2)}
