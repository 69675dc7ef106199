"""Correlations and shares of variance whose value is known in closed form."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from rnnjax.analysis.measurement import Measurement
from rnnjax.analysis.results import ArmResult
from rnnjax.analysis.rules.associations import (
    correlation_rule,
    explained_rule,
    partial_correlation,
    r_squared,
    table_of_runs,
    variance_decomposition,
    variance_share_rule,
    variance_shares,
)
from rnnjax.analysis.statistics import TooFew, mean_over_seeds
from rnnjax.config.schema import Criterion, TableSpec
from rnnjax.reports.tables import variance_table

N = 32
RNG = np.random.default_rng(7)


def arm(name: str, axes: dict[str, Any] | None = None, **metrics: np.ndarray) -> ArmResult:
    nothing: dict[str, Any] = {"axes": axes or {}, "rows": {}, "probes": {}, "row_steps": np.array([1])}
    known = {"seeds": np.arange(N), "probe_steps": np.array([0]), "diverged_at": np.full(N, -1)}
    return ArmResult(name=name, metrics=metrics, **nothing, **known)


def measured(rule: Any, arms: list[ArmResult], **fields: Any) -> Measurement:
    (found,) = rule(Criterion(rule="", metric="y", arms=["*"], **fields), arms)
    return found


@pytest.mark.parametrize("sign", [1, -1])
def test_what_rises_together_correlates_whatever_its_shape(sign: int) -> None:
    x = RNG.normal(size=(2, N))
    arms = [arm(f"a{k}", x=x[k], y=sign * np.exp(x[k])) for k in range(2)]
    found = measured(correlation_rule, arms, explained_by="x")
    assert found.interval.estimate == pytest.approx(sign)
    assert (found.interval.low, found.interval.high) == pytest.approx((sign, sign))
    assert found.interval.n == N, "seeds, each with two runs"


def test_a_correlation_is_spearman_s() -> None:
    x, y = RNG.integers(5, size=(2, N)).astype(float)  # with ties
    found = measured(correlation_rule, [arm("a", x=x, y=y)], explained_by="x")
    assert found.interval.estimate == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert found.interval.low < found.interval.estimate < found.interval.high


def test_a_partial_correlation_is_that_of_residuals() -> None:
    x, y, z = ranks = scipy.stats.rankdata(RNG.normal(size=(3, N)) + RNG.normal(size=N), axis=1)

    def left(values: np.ndarray) -> np.ndarray:
        return values - np.polyval(np.polyfit(z, values, 1), z)

    expected = np.corrcoef(left(x), left(y))[0, 1]
    found = measured(correlation_rule, [arm("a", x=x, y=y, z=z)], explained_by="x", controlling_for="z")
    assert found.interval.estimate == pytest.approx(expected)
    r_xy, r_xz, r_yz = (np.corrcoef(ranks)[pair] for pair in ((0, 1), (0, 2), (1, 2)))
    assert expected == pytest.approx((r_xy - r_xz * r_yz) / np.sqrt((1 - r_xz**2) * (1 - r_yz**2)))


def test_what_both_have_from_a_third_is_taken_out() -> None:
    """x = z + a and y = z + b correlate; given z, nothing is left but chance."""
    z = np.arange(400.0)
    a, b = 20 * RNG.normal(size=(2, 400))
    table = scipy.stats.rankdata(np.stack([z + a, z + b, z]), axis=1)
    assert partial_correlation(table[:2]) > 0.9
    assert abs(partial_correlation(table)) < 0.2


def test_what_does_not_vary_correlates_with_nothing() -> None:
    rows = np.stack([np.ones(5), np.arange(5.0), np.arange(5.0)])
    assert partial_correlation(rows[:2]) == partial_correlation(rows) == partial_correlation(rows[[1, 2, 2]]) == 0


def table_of(columns: tuple[float, ...], arms: tuple[float, ...], interaction: float, noise: float) -> np.ndarray:
    """y [n, A, D] of given effects, each with mean 0; the noise is the same in every cell, with deviation `noise`."""
    seeds = np.linspace(-1, 1, N)
    seeds = noise * seeds / seeds.std()
    both = interaction * np.array([[1, -1], [-1, 1]])
    return 3 + seeds[:, None, None] + np.array(arms)[None, :, None] + np.array(columns)[None, None] + both


@pytest.mark.parametrize(
    ("columns", "arms", "interaction", "noise"),
    [((1, -1), (0, 0), 0, 0), ((1, -1), (2, -2), 0, 0), ((1, -1), (2, -2), 3, 4), ((0, 0), (0, 0), 0, 1)],
)
def test_shares_of_known_effects(columns: Any, arms: Any, interaction: float, noise: float) -> None:
    """Squares add up: c^2 + a^2 + i^2 + noise^2."""
    values_nAD = table_of(columns, arms, interaction, noise)
    parts = {"columns": columns[0] ** 2, "arms": arms[0] ** 2, "interaction": interaction**2, "seeds": noise**2}
    total = sum(parts.values())
    found = variance_decomposition(values_nAD, np.arange(N))
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {name: part / total for name, part in parts.items()}, abs=1e-9
    )
    results = [arm(f"a{a}", y=values_nAD[:, a, 0], x=values_nAD[:, a, 1]) for a in range(2)]
    for name, part in parts.items():
        of_rule = measured(variance_share_rule, results, other_metrics=["x"], share_of=name)
        assert of_rule.interval.estimate == pytest.approx(part / total, abs=1e-9)
        assert of_rule.interval.n == N


def test_shares_of_resampled_seeds_are_those_of_a_table_of_them() -> None:
    values_nAD = RNG.normal(size=(N, 3, 4))
    seeds = RNG.integers(N, size=(5, N))
    found = variance_decomposition(values_nAD, seeds)
    for row, chosen in enumerate(seeds):
        y_nAD = values_nAD[chosen]
        m = y_nAD.mean()
        total = np.sum((y_nAD - m) ** 2)
        columns = N * 3 * np.sum((y_nAD.mean(axis=(0, 1)) - m) ** 2)
        arms = N * 4 * np.sum((y_nAD.mean(axis=(0, 2)) - m) ** 2)
        within = np.sum((y_nAD - y_nAD.mean(axis=0)) ** 2)
        expected = [columns / total, arms / total, (total - columns - arms - within) / total, within / total]
        assert [found[name][row] for name in ("columns", "arms", "interaction", "seeds")] == pytest.approx(expected)


def factorial() -> list[ArmResult]:
    """y = 5 + 2 cell + 1 rate + 0.5 cell rate, each -1 or 1, and a seed's own -1 or 1; a third field without effect."""
    noise = np.where(np.arange(N) % 2, 1.0, -1.0)
    signs = [(cell, rate, clip) for cell in (-1, 1) for rate in (-1, 1) for clip in (-1, 1)]
    return [
        arm(
            f"a{i}",
            {"cell": "elman" if cell < 0 else "gru", "rate": rate, "clip": clip},
            y=5 + 2 * cell + rate + cell * rate / 2 + noise,
        )
        for i, (cell, rate, clip) in enumerate(signs)
    ]


def test_the_share_of_each_factor() -> None:
    """Of a total of 4 + 1 + 0.25 + 1; what two factors do together stays with the arms."""
    found = variance_shares(factorial(), ["y"], ["cell", "rate", "clip"])
    total = 4 + 1 + 0.25 + 1
    expected = {"cell": 4, "rate": 1, "clip": 0, "arms": 5.25, "columns": 0, "interaction": 0, "seeds": 1}
    assert {name: part.estimate * total for name, part in found.items()} == pytest.approx(expected, abs=1e-9)


def test_a_table_of_shares() -> None:
    table = TableSpec("Parts", ["y"], shares_of=["rate", "cell"])
    columns, rows = variance_table(table, factorial())
    assert columns == ["part", "share of the variance"]
    assert [row[0] for row in rows[1:4]] == ["which arm", "of that: rate", "of that: cell"]
    assert [row[1].estimate for row in rows[2:4]] == pytest.approx([1 / 6.25, 4 / 6.25])


def test_where_nothing_varies_a_table_of_shares_is_empty() -> None:
    arms = [arm(f"a{i}", {"cell": cell}, y=np.ones(N)) for i, cell in enumerate(("elman", "gru"))]
    assert variance_table(TableSpec("Parts", ["y"], shares_of=["cell"]), arms)[1] == []


def test_the_runs_of_a_seed_are_left_out_together() -> None:
    """Four arms that repeat one another have the interval of one."""
    x, y = RNG.normal(size=(2, N))
    alone = measured(correlation_rule, [arm("a", x=x, y=y)], explained_by="x").interval
    copies = [arm(f"a{i}", x=x, y=y) for i in range(4)]
    repeated = measured(correlation_rule, copies, explained_by="x").interval
    assert repeated.n == alone.n == N
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high), abs=1e-3)


def test_seeds_are_known_by_their_numbers() -> None:
    """An arm with half of the seeds adds runs to these, not to others."""
    x, y = RNG.normal(size=(2, N))
    half = arm("b", x=x[::2], y=y[::2])._replace(seeds=np.arange(N)[::2])
    table, seeds = table_of_runs([arm("a", x=x, y=y), half], ["y", "x"])
    assert seeds.tolist() == [*range(N), *range(0, N, 2)]
    assert table[0].tolist() == [*y, *y[::2]]


def test_explained_is_the_r_squared_of_polyfit() -> None:
    log_x = RNG.uniform(0, 2, N)
    y = 1e3 + (log_x - 1) ** 2 + 0.1 * RNG.normal(size=N)
    residuals = y - np.polynomial.Polynomial.fit(log_x, y, 3)(log_x)
    found = measured(explained_rule, [arm("a", x=np.exp(log_x), y=y)], explained_by="x").interval
    assert found.estimate == pytest.approx(1 - residuals.var() / y.var())
    assert 0 <= found.low < found.estimate < found.high <= 1


def test_an_exact_cubic_is_explained_in_full_and_rounding_in_nothing() -> None:
    log_x = np.linspace(-1, 1, N)
    found = measured(explained_rule, [arm("a", x=np.exp(log_x), y=log_x**3 - log_x)], explained_by="x").interval
    assert found[:3] == pytest.approx((1, 1, 1))
    with pytest.raises(TooFew, match="constant"):
        measured(explained_rule, [arm("a", x=np.exp(log_x), y=0.1 + 1e-13 * log_x)], explained_by="x")
    assert r_squared(log_x, 0.1 + 1e-13 * log_x) == 0
    with pytest.raises(TooFew, match="same in all runs"):
        variance_shares([arm(f"a{i}", y=0.1 + 1e-13 * i * log_x) for i in range(2)], ["y"])


def test_shares_have_the_jackknife_of_their_logit() -> None:
    y = RNG.normal(size=(2, N)) + np.array([[0.0], [1.0]])
    found = variance_shares([arm(f"a{i}", y=y[i]) for i in range(2)], ["y"])["arms"]

    def logit(table: np.ndarray) -> float:
        between = np.mean((table.mean(axis=1) - table.mean()) ** 2)
        return float(np.log(between / (np.mean((table - table.mean()) ** 2) - between)))

    pseudo = N * logit(y) - (N - 1) * np.array([logit(np.delete(y, i, axis=1)) for i in range(N)])
    expected = mean_over_seeds(pseudo)
    assert (found.low, found.high) == pytest.approx(tuple(1 / (1 + np.exp([-expected.low, -expected.high]))))
