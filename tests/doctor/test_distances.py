"""What an objective says of outputs and targets: distances, links, margins, smoothed codes; and gaps in a record."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.doctor import examine
from rnnjax.doctor.batch import Batch, validate_batch
from rnnjax.doctor.distances import find_link, is_cross_entropy_of_probabilities
from rnnjax.doctor.forms import is_distribution, read_objective
from rnnjax.doctor.indicators.leaks import find_leak
from rnnjax.doctor.indicators.predictability import measure_predictability
from rnnjax.doctor.indicators.standstill import freezing_row
from rnnjax.doctor.training_curves import TrainingCurves, ends_in_gap, fill_gaps, run_that_trained, validate_curves
from rnnjax.errors import BadInput

RNG = np.random.default_rng
SKEWED = RNG(0).gamma(2.0, 1.5, size=(12, 30, 1)).astype(np.float32)
LABELS = (RNG(1).random((12, 30, 3)) < 0.3).astype(np.float32)


def of_targets(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Batch], Any]:
    return lambda outputs, batch: loss(outputs, jnp.asarray(batch.objective_targets))


def pinball(y: Any, t: Any) -> Any:
    return jnp.mean(jnp.maximum(0.9 * (t - y), -0.1 * (t - y)))


@pytest.mark.parametrize(
    ("loss", "link"),
    [
        (lambda y, t: jnp.mean((y - t) ** 2), "identity"),
        (lambda y, t: jnp.mean(jnp.abs(y - t)), "identity"),
        (lambda y, t: optax.huber_loss(y, t, delta=0.3).mean(), "identity"),
        (lambda y, t: 3 - 2 * jnp.mean(jnp.exp(-((y - t) ** 2) / 20)), "identity"),
        (lambda y, t: jnp.mean(jnp.exp(y) - t * y), "exp"),  # Poisson likelihood
        (lambda y, t: jnp.mean((jax.nn.softplus(y / 9) - t / 9) ** 2), None),
        (pinball, None),
        (lambda y, t: jnp.mean((y - 2 * t) ** 2), None),
    ],
)
def test_the_best_constant_tells_how_an_objective_reads_outputs(loss: Any, link: str | None) -> None:
    assert find_link(of_targets(loss), Batch(SKEWED, SKEWED)) == link


def test_small_targets_tell_a_softplus_from_the_identity() -> None:
    softplus = of_targets(lambda y, t: jnp.mean((jax.nn.softplus(y) - t) ** 2))
    assert find_link(softplus, Batch(SKEWED / 9, SKEWED / 9)) == "softplus"


def test_several_labels_are_predicted_by_probabilities() -> None:
    logistic = of_targets(lambda y, t: optax.sigmoid_binary_cross_entropy(y, t).mean())
    assert read_objective(logistic, Batch(LABELS, LABELS), 3) == "binary_logits"
    of_probabilities = of_targets(lambda p, t: -jnp.mean(t * jnp.log(p) + 2 * (1 - t) * jnp.log(1 - p)))
    assert read_objective(of_probabilities, Batch(LABELS, LABELS), 3) == "binary_probabilities"
    squared = of_targets(lambda y, t: jnp.mean((y - t) ** 2))
    assert read_objective(squared, Batch(LABELS, LABELS), 3) == "numbers"
    assert not is_cross_entropy_of_probabilities(squared, Batch(LABELS, LABELS), 3)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_margins_of_two_values_are_classes(low: float) -> None:
    targets = np.where(LABELS[..., :1] > 0, 1.0, low).astype(np.float32)
    sign = jnp.asarray(np.where(targets == 1, 1.0, -1.0))
    hinge = of_targets(lambda y, t: jnp.mean(jnp.maximum(0, 1 - jnp.where(t == 1, 1.0, -1.0) * y)))
    assert read_objective(hinge, Batch(targets, targets), 1) == "binary_logits"
    gradient = jax.grad(lambda y: hinge(y, Batch(targets, targets)))(2 * sign)
    assert not np.any(gradient), "no gradient where the margin is kept: no stream is silent for that"


def keep(params: Any, carry: Any, x: Any) -> Any:
    """2 x as the margin of the sign of x."""
    return carry, params["scale"] * x[..., :1]


def test_a_kept_margin_is_no_silent_stream() -> None:
    x = RNG(2).normal(size=(12, 30, 1)).astype(np.float32)
    x += np.sign(x)
    found = examine(
        keep, {"scale": jnp.float32(2.0)}, (x, np.sign(x)), carry=jnp.zeros((30, 1)),
        objective=lambda y, t: jnp.mean(jnp.maximum(0, 1 - t * y)),
    )  # fmt: skip
    assert {"silent_streams", "worse_than_linear"}.isdisjoint(finding.name for finding in found.findings)


@pytest.mark.slow
def test_an_objective_that_is_no_distance_has_no_levels() -> None:
    found = examine(
        keep, {"scale": jnp.float32(1.0)}, (SKEWED, SKEWED), carry=jnp.zeros((30, 1)), objective=pinball
    )  # fmt: skip
    reasons = {check.reason for check in found.checks if check.name in ("worse_than_linear", "identical")}
    assert reasons == {"the objective does not compare outputs and targets as numbers"}
    assert not found.indicators.levels


def test_smoothed_codes_are_classes() -> None:
    codes = np.eye(4, dtype=np.float32)[RNG(3).integers(0, 4, (6, 9))]
    assert is_distribution(codes) and is_distribution(0.9 * codes + 0.025)
    assert (
        not is_distribution(codes * 2) and not is_distribution(np.full((6, 9, 4), 0.25)) and not is_distribution(LABELS)
    )


@pytest.mark.slow
def test_a_probability_of_exactly_0_is_not_finite() -> None:
    """Softmax outputs of which small ones are set to 0, and a target at one of them."""

    def network(params: Any, carry: Any, ids: Any) -> Any:
        p = jax.nn.softmax(params["table"][ids])
        p = jnp.where(p < 1e-3, 0.0, p)
        return carry, p / p.sum(-1, keepdims=True)

    ids = RNG(4).integers(0, 5, (10, 8))
    likelihood = lambda p, t: -jnp.mean(jnp.log(jnp.take_along_axis(p, t[..., None], -1)))  # noqa: E731
    table = {"table": 20 * jnp.eye(5)}
    good, bad = ids.copy(), ids.copy()
    bad[3, 3] = (bad[3, 3] + 1) % 5
    for targets, names in ((good, set()), (bad, {"broken"})):
        found = examine(network, table, (ids, targets), carry=jnp.zeros((8, 1)), objective=likelihood)
        assert {finding.name for finding in found.findings} & {"broken"} == names


def test_two_valued_numbers_leak_as_classes() -> None:
    inputs = RNG(5).normal(size=(12, 30, 2))
    targets = np.where(RNG(6).random((12, 30, 1)) < 0.4, 1.0, -1.0)
    with_code = np.concatenate([inputs, (targets > 0).astype(float)], axis=-1)
    assert find_leak(Batch(with_code, targets)).share == 1.0 and find_leak(Batch(inputs, targets)).share == 0.0


@pytest.mark.slow
def test_pure_noise_is_foreseen_by_chance_alone() -> None:
    """Of 40 batches of noise hardly any exceeds the limit of 3%; a weak relation stays."""
    shares = []
    for seed in range(40):
        noise = RNG(seed).normal(size=(20, 16, 1))
        found = measure_predictability(Batch(noise[:-1], noise[1:]), 1.0)
        assert found is not None
        shares.append(found.explained)
    assert np.mean(np.array(shares) > 0.03) <= 0.1
    inputs = RNG(0).normal(size=(20, 64, 1))
    weak = measure_predictability(Batch(inputs, inputs + 2.5 * RNG(1).normal(size=(20, 64, 1))), 1.0)
    assert weak is not None and weak.explained == pytest.approx(1 / (1 + 2.5**2), abs=0.06)


# Records


def test_only_a_long_end_that_is_not_finite_is_divergence() -> None:
    loss_S = np.linspace(2, 1, 500)
    for missing, diverged in (
        (slice(499, None), False), (slice(480, None), True), (slice(0, None), True), (slice(3, 9), False),
    ):  # fmt: skip
        gaps_S = loss_S.copy()
        gaps_S[missing] = np.nan
        assert ends_in_gap(gaps_S) is diverged
    sparse_S = np.where(np.arange(500) % 50 == 0, loss_S, np.nan)
    assert not ends_in_gap(sparse_S) and ends_in_gap(np.array([2.0, 1.0, np.nan]))
    curves = validate_curves(sparse_S, 1)
    assert curves.diverged_R is not None and not curves.diverged_R.any()
    assert len(run_that_trained(curves, 0).missing_rows) == 490


def test_gaps_of_norms_are_filled_on_the_line() -> None:
    norms_S = np.array([np.nan, 1.0, np.nan, np.nan, 4.0])
    np.testing.assert_allclose(fill_gaps(norms_S), [1.0, 1.0, 2.0, 3.0, 4.0])
    assert fill_gaps(np.full(3, np.nan)) is None and fill_gaps(None) is None


@pytest.mark.parametrize(("after", "row"), [(1e-4, 300), (0.03, None)])
def test_updates_that_end_with_a_huge_gradient_are_frozen(after: float, row: int | None) -> None:
    rows = np.arange(1000)  # momentum ends within 30 rows
    gradient_S, update_S = np.ones(1000), np.where(rows <= 300, 0.05, after + 0.1 * 0.8 ** (rows - 300.0))
    gradient_S[300] = 1e8
    curves = TrainingCurves(np.ones((1, 1000)), gradient_S[None], None, update_S[None])
    assert freezing_row(run_that_trained(curves, 0)) == row


# Forms of a batch


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        ((12, 5, 2), (5,), r"got targets \(5,\), one for each of 5 sequences; .*broadcast_to\(targets\[:, None\]"),
        ((12, 5, 2), (5, 3), r"one for each of 5 sequences; .*broadcast_to\(targets, "),
    ],
)
def test_one_target_a_sequence_is_explained(inputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        validate_batch("batch", (np.zeros(inputs), np.zeros(targets)))


def test_ids_with_an_axis_of_1_are_explained() -> None:
    ids = np.zeros((12, 5, 1), int)
    with pytest.raises(BadInput, match=r"got ids \(12, 5, 1\) as inputs; expected \[T, B\]: inputs\[..., 0\]"):
        validate_batch("batch", (ids, ids))
