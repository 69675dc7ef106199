"""Observations and indicators of linear networks with closed-form answers."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.doctor.adapters import from_apply
from rnnjax.doctor.batch import Batch, batch_chance_loss, stream_losses, validate_batch
from rnnjax.doctor.free_running import can_run_free
from rnnjax.doctor.indicators.compute import window_indicators
from rnnjax.doctor.indicators.data import size
from rnnjax.doctor.indicators.dependence import dependence_indicators
from rnnjax.doctor.indicators.free_running import series_indicators, surprisals, text_indicators
from rnnjax.doctor.indicators.gradients import coverage_indicators, gradient_remarks, log_decay
from rnnjax.doctor.indicators.leaks import find_leak
from rnnjax.doctor.indicators.types import Floor, Indicators
from rnnjax.doctor.observations import measure_network, observe_units, output_changes, spread
from rnnjax.errors import BadInput

STEPS, STREAMS, WIDTH = 8, 5, 4
RNG = np.random.default_rng(0)
TURN = np.linalg.qr(RNG.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
X = RNG.normal(size=(STEPS, STREAMS, WIDTH)).astype(np.float32)
BATCH = Batch(X[:-1], X[1:])


def linear(params: Any, h_BH: Any, x_BD: Any) -> Any:
    """h' = h W + x; the output is h'."""
    h_BH = h_BH @ params["recurrent"] + x_BD * params["input"]
    return h_BH, h_BH


def mean_loss(outputs_TBO: Any, batch: Batch) -> Any:
    return jnp.mean(stream_losses(batch, outputs_TBO))


def last_loss(outputs_TBO: Any, batch: Batch) -> Any:
    return jnp.mean((outputs_TBO[-1] - batch.targets[-1]) ** 2)


def indicators(
    radius: float = 1.0, objective: Any = mean_loss, apply: Any = linear, input_gain: float = 1.0
) -> Indicators:
    params = {"recurrent": jnp.asarray(radius * TURN), "input": jnp.full(1, input_gain)[None]}
    carry = jnp.zeros((STREAMS, WIDTH))
    measure = partial(measure_network, from_apply(apply, whole=False), True, objective, BATCH, BATCH)
    found = jax.vmap(lambda params: measure(params, carry, carry, carry))(jax.tree.map(lambda leaf: leaf[None], params))
    return window_indicators(jax.device_get(found), BATCH, BATCH, Floor(0.5))


@pytest.fixture(scope="module")
def healthy() -> Indicators:
    return indicators()


@pytest.mark.slow
def test_the_smallest_window_says_what_it_can() -> None:
    """Of one step and one stream: nothing about other steps and streams."""
    params = {"recurrent": jnp.asarray(TURN)[None], "input": jnp.ones((1, 1, 1))}
    batch, carry = Batch(X[:1, :1], X[1:2, :1]), jnp.zeros((1, 1, WIDTH))
    measure = partial(measure_network, from_apply(linear, whole=False), True, mean_loss, batch, None)
    found = window_indicators(jax.device_get(jax.vmap(measure)(params, carry, carry, carry)), batch, None, None)
    assert not {"memory", "last_step", "gradient_decay", "gap"} & set(found.values)
    assert found.values["row_leak"].values_n == 0


@pytest.mark.slow
@pytest.mark.parametrize("radius", [1.0, 0.5, 3.0])
def test_gradients_of_a_linear_network_fade_by_its_radius(radius: float) -> None:
    found = indicators(radius)
    assert found.values["gradient_decay"].values_n == pytest.approx(np.full(STREAMS, 4 * np.log10(radius)), abs=1e-4)
    by_lag = found.curves["gradient_decay"].values_nm
    assert by_lag == pytest.approx(np.tile(np.log10(radius) * np.arange(STEPS - 1), (STREAMS, 1)), abs=1e-4)


def test_streams_are_independent_and_time_goes_forwards(healthy: Indicators) -> None:
    zero = [
        healthy.values[name].values_n.max() for name in ("row_leak", "future", "input_independent", "silent_streams")
    ]
    assert zero == [0, 0, 0, 0]
    assert healthy.values["memory"].values_n == pytest.approx(1, abs=0.6) and healthy.values["memory"].values_n > 0.4


def test_the_mean_learns_from_every_step_and_the_last_from_one(healthy: Indicators) -> None:
    assert healthy.values["last_step"].values_n < 0.5
    assert indicators(objective=last_loss).values["last_step"].values_n == 1


def test_a_mean_over_the_batch_is_a_leak() -> None:
    def mixed(params: Any, h_BH: Any, x_BD: Any) -> Any:
        h_BH, _ = linear(params, h_BH, x_BD)
        return h_BH, h_BH + jnp.mean(h_BH, axis=0, keepdims=True)

    assert indicators(apply=mixed).values["row_leak"].values_n == pytest.approx(
        (1 / STREAMS) / (1 + 1 / STREAMS), rel=0.02
    )


def test_an_effect_at_one_step_of_one_stream_is_seen() -> None:
    """The inputs of stream 2 are others, or those of step 4; what they change elsewhere is by the largest change."""
    rows, times = np.zeros((2, 1, STEPS, STREAMS))
    rows[0, :, 2], rows[0, 0, 4] = 2, 1
    times[0, 4], times[0, 5, 3], times[0, 3, 1] = 2, 0.5, 0.25
    found = dependence_indicators({"changed_by_row": rows, "changed_by_time": times})
    expected = {"row_leak": 0.5, "memory": 0.25, "future": 0.125, "input_independent": 0}
    assert {name: indicator.values_n.tolist() for name, indicator in found.items()} == {
        name: [at] for name, at in expected.items()
    }


def test_no_input_no_answer() -> None:
    found = indicators(input_gain=0.0)
    assert found.values["input_independent"].values_n == 1 and np.isnan(found.values["memory"].values_n).all()


def test_a_network_that_is_not_finite_has_no_other_indicators() -> None:
    found = indicators(radius=np.nan)
    assert {name for name, indicator in found.values.items() if np.isfinite(indicator.values_n).any()} == set()


def test_ids_of_one_symbol_do_not_tell_who_is_deaf() -> None:
    def says_ids(params: Any, carry: Any, x_B: Any) -> Any:
        return carry, params * x_B[:, None]

    adapter, ids = from_apply(says_ids, whole=False), jnp.arange(STEPS)[:, None].repeat(STREAMS, axis=1)
    for inputs, known in ((ids, True), (0 * ids, False)):
        outputs_TBO = adapter.apply(1.0, (), inputs)[1]
        found = output_changes(adapter, 1.0, (), Batch(inputs, inputs), outputs_TBO)
        assert [np.isfinite(change).all() for change in found.values()] == [known, known]


def test_numbers_that_stand_still_tell_who_is_deaf() -> None:
    adapter, still = (
        from_apply(lambda params, carry, x: (carry, params * x), whole=False),
        jnp.ones((STEPS, STREAMS, 1)),
    )
    for input_gain in (1.0, 0.0):
        changes = output_changes(adapter, input_gain, (), Batch(still, still), input_gain * still).values()
        assert [bool(change.max() > 0) for change in changes] == 2 * [input_gain > 0]


def test_spread_of_known_predictions() -> None:
    targets = jnp.asarray(X)
    batch = Batch(targets, targets)
    assert np.sqrt(np.mean(spread(batch, 0.1 * targets + 3) ** 2)) == pytest.approx(0.1, rel=1e-4)
    loud = targets.at[:, 0].multiply(10)
    of_streams = spread(Batch(loud, loud), loud)
    assert np.mean(of_streams**2) == pytest.approx(1, rel=1e-4) and of_streams[0] > 4 * of_streams[1:].max()
    ids = jnp.asarray(RNG.integers(3, size=(STEPS, STREAMS)))
    certain = 50 * jax.nn.one_hot(ids, 3)
    assert np.mean(spread(Batch(ids, ids), certain) ** 2) == pytest.approx(1, rel=1e-4)
    assert spread(Batch(ids, ids), 0 * certain) == pytest.approx(0, abs=1e-4)
    last = jnp.zeros((STEPS, STREAMS)).at[-1].set(1)
    outputs_TBO = jnp.where(last[..., None] > 0, targets, 100.0)
    assert np.mean(spread(Batch(targets, outputs_TBO, last), targets) ** 2) == pytest.approx(1, rel=1e-4)
    assert np.mean(spread(Batch(targets, targets, last), outputs_TBO) ** 2) == pytest.approx(1, rel=1e-4)


def test_units_at_their_bounds_and_dead_ones() -> None:
    h = jnp.broadcast_to(jnp.array([0.99, -0.5, 0.0, 0.01]), (STEPS, STREAMS, 4)).at[0, 0, 0].set(-0.99)
    found = {kind: observe_units(h, kind) for kind in ("tanh", "softsign", "sigmoid", "relu", "")}
    assert found["softsign"]["saturated"].tolist() == found["tanh"]["saturated"].tolist()
    assert found["tanh"]["saturated"].tolist() == [0.25] * STREAMS and found["tanh"]["dead"] == 0.25
    assert found["sigmoid"]["saturated"][1] == pytest.approx(1) and found["sigmoid"]["dead"] == 0
    assert found["relu"]["saturated"].max() == 0 and found["relu"]["dead"] == 0.25
    assert found[""]["saturated"][1] == pytest.approx(0.5)  # the first like tanh, the last like a sigmoid
    assert found[""]["dead"] == 0.25
    assert observe_units(h.at[0, 0, 2].set(0.5), "relu")["dead"] == 0, "it has fired once"


def leak(inputs: Any, targets: Any, counted: Any = None) -> float:
    return find_leak(Batch(np.asarray(inputs), np.asarray(targets), counted)).share


def test_data_that_hold_the_target() -> None:
    assert leak(X, X[..., 2:3]) == 1 and leak(*BATCH[:2]) == 0
    assert leak(X, np.stack([X[..., 2], 7 + X[..., 2]], -1)) == 1, "one column of two"
    assert leak(1000 * X, np.nextafter(1000 * X, np.inf)) == 1, "but for its rounding"
    ids = RNG.integers(3, size=(STEPS + 1, STREAMS))
    assert leak(ids, ids) == 1 and leak(ids[:-1], ids[1:]) < 0.9
    counted = np.zeros((STEPS, STREAMS))
    counted[3:6] = 1
    assert leak(X, np.where(counted[..., None] > 0, X, 7), counted) == 1


def of_columns(*columns: np.ndarray) -> np.ndarray:
    """Numbers [T, 8, D] of series that begin at 8 places."""
    return np.stack(
        [np.stack([column[place : place + 65] for place in range(0, 160, 20)], 1) for column in columns], -1
    )


@pytest.mark.parametrize("name", ["year", "constant", "piano", "rare", "one-hot", "opposite", "one symbol"])
def test_data_that_hardly_change_hold_no_target(name: str) -> None:
    steps, rng = np.arange(225), np.random.default_rng(1)
    rolls = (rng.random((6, 225)) < 0.04).astype(float)
    hot = np.eye(30)[rng.integers(30, size=225)].T
    rows = {
        "year": of_columns(2000 + steps // 12, rng.normal(size=225)),
        "constant": of_columns(np.full(225, 3.0), rng.normal(size=225)),
        "piano": of_columns(*rolls, np.zeros(225)),
        "rare": of_columns((rng.random(225) < 0.01).astype(float)),
        "one-hot": of_columns(*hot),
        "opposite": of_columns(rolls[0], 1 - rolls[0]),
        "one symbol": np.zeros((65, 8), int),
    }[name]
    assert not leak(rows[:-1], rows[1:]) > 0.95


def test_data_that_are_raw() -> None:
    assert size(Batch(1000 * X, X)) > 2.5 and size(BATCH) < 0.5
    ids = RNG.integers(3, size=(STEPS, STREAMS))
    assert size(Batch(ids, 1000 * X)) > 2.5, "numbers as targets, symbols as inputs"
    assert np.isnan(size(Batch(ids, ids)))
    events = np.zeros((200, 10, 1))
    events[::50, 3] = 1
    assert size(Batch(*2 * [(events - events.mean()) / events.std()])) < 0.1, "in one stream, all others are quiet"
    last = np.zeros((STEPS, STREAMS))
    last[-1] = 1
    assert size(Batch(X, 1000 * X * (1 - last[..., None]) + X * last[..., None], last)) < 0.5


def constant_losses() -> dict[str, Any]:
    """Observations with a loss of 2, and 3 on held-out data."""
    per_stream = {"loss": 2.0, "fresh_loss": 2.0, "held_out_loss": 3.0, "spread": 1.0}
    found = {name: np.full((1, STREAMS), value) for name, value in per_stream.items()} | {"finite": np.ones(1)}
    return found | dict.fromkeys(("changed_by_row", "changed_by_time"), np.ones((1, STEPS, STREAMS)))


def test_of_targets_that_stand_still_no_loss_is_a_share() -> None:
    for targets, known in ((X[1:], True), (np.ones_like(X[1:]), False)):
        values = window_indicators(constant_losses(), Batch(X[:-1], targets), BATCH, None).values
        shares = [np.isfinite(values[name].values_n).all() for name in ("loss_over_chance", "stale", "gap")]
        assert shares == 3 * [known]


def test_a_floor_is_held_against_the_loss_that_it_is_of() -> None:
    found = constant_losses()
    for floor, above in ((Floor(1.6), 0.25), (Floor(1.6, held_out=True), 0.875), (Floor(4.0), -0.5)):
        values = window_indicators(found, BATCH, BATCH, floor).values["above_floor"].values_n
        assert values == pytest.approx(np.full(STREAMS, above))
    assert "above_floor" not in window_indicators(found, BATCH, BATCH, Floor(0.0)).values


@pytest.mark.parametrize("logs", [[0, -1, -2, -3, -4, -20, -20], [0, -1, -2, -3]])
def test_gradients_are_judged_four_steps_back(logs: list[int]) -> None:
    """Or by as many as there are, times 4 over their number."""
    norms = np.broadcast_to(10.0 ** np.array(logs)[::-1, None], (1, len(logs), STREAMS))
    units = {"state_gradients": norms, "saturated": np.zeros((1, STREAMS)), "dead": np.zeros(1)}
    values = window_indicators(constant_losses() | units, BATCH, BATCH, None).values
    assert values["gradient_decay"].values_n == pytest.approx(np.full(STREAMS, -4))


def test_who_asks_for_the_last_step_alone_learns_from_it_alone() -> None:
    coverage = np.zeros((1, STEPS, STREAMS))
    coverage[:, -1] = 1
    last = coverage[0]
    for counted, share in ((None, [1.0]), (np.ones_like(last), [1.0]), (last, None)):
        indicator = coverage_indicators({"coverage": coverage}, Batch(X, X, counted)).get("last_step")
        assert (None if indicator is None else indicator.values_n.tolist()) == share


def test_fading_is_relative_to_the_last_step() -> None:
    norms = 10.0 ** np.array([-3, -2, -1])[None, :, None]
    assert log_decay(norms, Batch(X[:3, :1], X[:3, :1]))[0, :, 0] == pytest.approx([0, -1, -2])


def test_losses_are_of_what_counts_in_the_targets_unit() -> None:
    last = np.zeros((STEPS, STREAMS))
    last[-1] = 1
    batch = Batch(X, X, last, np.full(WIDTH, 2.0, np.float32))
    outputs = jnp.asarray(X + np.where(last > 0, 1, 9)[..., None], jnp.float32)
    assert stream_losses(batch, outputs) == pytest.approx(np.full(STREAMS, 2.0**2), rel=1e-4)


def test_chance_is_that_of_the_best_constant() -> None:
    ids = np.array([[0, 1], [0, 1], [2, 2], [2, 2]])
    shares = np.array([0.25, 0.25, 0.5])
    assert batch_chance_loss(Batch(ids, ids)) == pytest.approx(-(shares * np.log(shares)).sum())
    assert batch_chance_loss(Batch(X, X, None, np.full(WIDTH, 2.0))) == pytest.approx(
        4 * X.var(axis=(0, 1)).mean(), rel=1e-5
    )


def test_loops_and_drift_of_built_texts() -> None:
    true = RNG.integers(5, size=(40, 3))
    batch = Batch(true[:-1], true[1:])
    loop = np.tile([1, 2, 3], 80)[:, None].repeat(3, axis=1)
    free = RNG.integers(5, size=(240, 3))
    found = text_indicators(batch, true[:-1], np.stack([loop, free])[None])
    assert found["loops_greedy"].tolist() == [[1, 1, 1]] and found["loops_sampled"].tolist() == [[0, 0, 0]]
    assert abs(found["drift"]).max() < 0.5
    usual = text_indicators(Batch(loop[:39], loop[1:40]), loop[:39], np.stack([loop, free])[None])
    assert usual["loops_greedy"].tolist() == [[0, 0, 0]], "the true text goes round too"
    each = np.arange(5).reshape(5, 1, 1)
    assert np.exp(-surprisals(batch, true[-2, :1], each)).sum() == pytest.approx(1)


def test_a_text_that_goes_astray_drifts() -> None:
    """0, 1, 2, 0, ... as the true one, in its last 100 symbols backwards: log(40 / 42) is then log(1 / 42)."""
    forwards = np.arange(40)[:, None].repeat(3, axis=1) % 3
    astray = np.concatenate([np.arange(140), 138 - np.arange(100)])[:, None].repeat(3, axis=1) % 3
    found = text_indicators(Batch(forwards[:-1], forwards[1:]), forwards[:-1], np.stack([astray, astray])[None])
    assert found["drift"] == pytest.approx(np.full((1, 3), np.log(40)))


def test_only_what_can_be_read_runs_free() -> None:
    """Each output, an id or a row, must be a valid input, and each target the next input."""
    ids = RNG.integers(3, size=(STEPS, STREAMS))
    assert [can_run_free(Batch(ids[:-1], ids[1:]), outputs) for outputs in (2, 3)] == [False, True]
    assert [can_run_free(BATCH, outputs) for outputs in (WIDTH - 1, WIDTH, WIDTH + 1)] == [False, True, False]
    assert not can_run_free(Batch(X, X), WIDTH)


def test_a_forecast_that_leaves_the_range() -> None:
    calm = series_indicators(BATCH, np.tile(X, (1, 30, 1, 1)))["range"]
    assert calm == pytest.approx(np.ones((1, STREAMS)), abs=0.6)
    for far in (np.inf, np.nan):
        assert series_indicators(BATCH, np.full((1, 240, STREAMS, WIDTH), far))["range"].min() > 1e5
    comes_back = np.tile(X, (1, 30, 1, 1))
    comes_back[:, :100] = 1e3
    assert series_indicators(BATCH, comes_back)["range"] == pytest.approx(np.ones((1, STREAMS)), abs=0.6)
    still = np.concatenate([X, np.full_like(X[..., :1], 2000)], axis=-1)
    nearly = np.tile(still, (1, 30, 1, 1)) + 0.01
    assert series_indicators(Batch(still[:-1], still[1:]), nearly)["range"] == pytest.approx(
        np.ones((1, STREAMS)), abs=0.6
    )
    assert series_indicators(Batch(0 * X, 0 * X), nearly) == {}


@pytest.mark.parametrize(
    "given", [(X[0], X[1]), (X, X[:3]), (X[:3], X[:3]), (X[:, :1], X[:, :1]), (np.zeros((9, 9)), np.zeros((9, 9)))]
)
def test_a_batch_of_another_form_is_refused(given: Any) -> None:
    with pytest.raises(BadInput, match="batch: got shapes .*; expected"):
        validate_batch("batch", given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X, "got ndarray; expected a tuple"),
        ((X,), "got 1 parts; expected a tuple"),
        ((X, X, None, None, None), "got 5 parts"),
        ((X, None), "got no inputs or no targets"),
        ((X, [["a"]]), "got values that are not numbers"),
        ((X, np.where(X > 2, np.nan, X)), "got values that are not finite"),
        ((X, X, np.where(X[..., 0] > 0, np.nan, 1)), "got values that are not finite"),
        ((X, X, np.ones((STREAMS, STEPS))), "got a loss mask of shape"),
        ((X, X, np.zeros((STEPS, STREAMS))), "got a loss mask of only 0"),
        ((X, X, None, np.ones(3)), "got a target scale of shape"),
        ((X, np.full((STEPS, STREAMS), -1)), "got ids below 0"),
        ((np.full((STEPS, STREAMS), -1), X), "got ids below 0"),
    ],
)
def test_what_a_batch_cannot_hold_is_refused(given: Any, message: str) -> None:
    with pytest.raises(BadInput, match=f"batch: {message}") as caught:
        validate_batch("batch", given)
    assert "expected" in str(caught.value) and "\n" not in str(caught.value)


def test_a_gradient_below_float32_is_remarked() -> None:
    norms = np.ones((1, 6, 2))
    batch = Batch(X[:6, :2], X[:6, :2])
    assert "gradient_decay" not in gradient_remarks({"state_gradients": norms}, batch, None)
    norms[0, 1] = 0  # four steps before the last
    assert "at most" in gradient_remarks({"state_gradients": norms}, batch, None)["gradient_decay"]
    assert gradient_remarks({}, batch, None) == {}
