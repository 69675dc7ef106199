"""Training of one run against back-propagation through time written out in NumPy, and the promises of the state."""

from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.networks.cells import NATIVE_CELLS
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.networks.keys import Purpose, key_for
from rnnjax.networks.model import build_network
from rnnjax.networks.sampling import sample
from rnnjax.settings import HParams, Spec
from rnnjax.training.batching import sequential_window
from rnnjax.training.clipping import clip_gradient
from rnnjax.training.early_stopping import early_stopping_check
from rnnjax.training.loss import evaluate_loss, window_losses
from rnnjax.training.losses import REDUCTIONS, cross_entropy
from rnnjax.training.norms import scaled_norm
from rnnjax.training.optimizers import OPTIMIZERS
from rnnjax.training.scheduled_sampling import scheduled_sampling_window
from rnnjax.training.schedules import sampling_probability_at
from rnnjax.training.state import TrainState, init_state
from rnnjax.training.step import WindowGradient, apply_gradient, train_chunk, train_step
from rnnjax.types import Params, WindowData

V, H, T, W = 5, 7, 4, 3
STEPS = 5  # more than W, so that the text starts anew on the way
WHEN = "may change only if the definition of an optimizer step changes: then every stored result is void"


def spec_of(**fields: Any) -> Spec:
    return Spec(**{"inputs": V, "outputs": V, "hidden": H, "window": T, "log_every": 1} | fields)


def text(batch: int = 1, windows: int = W) -> WindowData:
    ids = np.random.default_rng(3).integers(V, size=(windows * T + 1, batch), dtype=np.int32)
    return WindowData(ids[:-1].reshape(windows, T, batch), ids[1:].reshape(windows, T, batch))


@cache
def first_windows(windows: int, float64: bool) -> np.ndarray:
    """Which window the runs of seeds 0 to 99 read first; float64 draws other integers."""
    places = np.arange(windows, dtype=np.int32).reshape(windows, 1, 1)
    with jax.enable_x64(float64):
        first = jax.vmap(
            lambda seed: sequential_window(HParams(seed=seed), WindowData(places, places), jnp.int32(0))[0][0]
        )
        return np.asarray(jax.jit(first)(np.arange(100)))[:, 0, 0]


def first_window(seed: int, windows: int) -> int:
    """Only its place is taken from the code under test: the order is written in the oracle."""
    return int(first_windows(windows, jax.config.jax_enable_x64)[seed])


class Bptt(NamedTuple):
    """What one window gives, by hand."""

    reported: float
    gradient: Params
    carry: np.ndarray
    objective: float


def bptt(spec: Spec, params: Params, h_BH: np.ndarray, inputs_TB: np.ndarray, targets_TB: np.ndarray) -> Bptt:
    """Oracle: an Elman network with a tanh or identity activation, its losses and their gradient, step by step."""
    cell, readout = params["layer_0"], params["readout"]
    linear = spec.activation == "identity"
    streams = np.arange(inputs_TB.shape[1])
    states, errors, losses = [h_BH], [], []
    for inputs_B, targets_B in zip(inputs_TB, targets_TB, strict=True):
        z_BH = cell["kernel"][inputs_B] + states[-1] @ cell["recurrent_kernel"] + cell["bias"]
        states.append(z_BH if linear else np.tanh(z_BH))
        logits_BV = states[-1] @ readout["kernel"] + readout["bias"]
        logits_BV = logits_BV - logits_BV.max(axis=1, keepdims=True)
        total_B1 = np.exp(logits_BV).sum(axis=1, keepdims=True)
        losses.append((np.log(total_B1[:, 0]) - logits_BV[streams, targets_B]).mean())
        p_BV = np.exp(logits_BV) / total_B1
        p_BV[streams, targets_B] -= 1
        errors.append(p_BV / len(streams))
    weights_T = {"sum": np.ones(T), "mean": np.full(T, 1 / T), "last": np.eye(T)[-1]}[spec.reduction]
    gradient = jax.tree.map(np.zeros_like, params)
    d_h_BH = np.zeros_like(h_BH)
    for t in reversed(range(T)):
        error_BV = weights_T[t].astype(h_BH.dtype) * errors[t]
        gradient["readout"]["kernel"] += states[t + 1].T @ error_BV
        gradient["readout"]["bias"] += error_BV.sum(axis=0)
        d_h_BH = d_h_BH + error_BV @ readout["kernel"].T
        d_z_BH = d_h_BH if linear else d_h_BH * (1 - states[t + 1] ** 2)
        np.add.at(gradient["layer_0"]["kernel"], inputs_TB[t], d_z_BH)
        gradient["layer_0"]["recurrent_kernel"] += states[t].T @ d_z_BH
        gradient["layer_0"]["bias"] += d_z_BH.sum(axis=0)
        d_h_BH = d_z_BH @ cell["recurrent_kernel"].T
    return Bptt(float(np.mean(losses)), gradient, states[-1], float(weights_T @ losses))


def norm_of(tree: Any) -> Any:
    return np.sqrt(sum((leaf.astype(np.float64) ** 2).sum() for leaf in jax.tree.leaves(tree)))


class Sgd:
    def __init__(self, hp: HParams, params: Params) -> None:
        self.hp = hp

    def update(self, gradient: Params) -> Params:
        return jax.tree.map(lambda g: -self.hp.learning_rate * g, gradient)


class Adam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, hp: HParams, params: Params) -> None:
        self.hp, self.t = hp, 0
        self.m = self.v = jax.tree.map(np.zeros_like, params)

    def update(self, gradient: Params) -> Params:
        b1, b2, self.t = self.hp.adam_b1, self.hp.adam_b2, self.t + 1
        self.m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, self.m, gradient)
        self.v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, self.v, gradient)

        def change(m: np.ndarray, v: np.ndarray) -> np.ndarray:
            return -self.hp.learning_rate * (m / (1 - b1**self.t)) / (np.sqrt(v / (1 - b2**self.t)) + 1e-8)

        return jax.tree.map(change, self.m, self.v)


class Momentum:
    """Sutskever et al. 2013: v = mu v - rate g; Nesterov's step looks ahead by mu v."""

    ahead = False

    def __init__(self, hp: HParams, params: Params) -> None:
        self.hp, self.v = hp, jax.tree.map(np.zeros_like, params)

    def update(self, gradient: Params) -> Params:
        rate, mu = self.hp.learning_rate, self.hp.momentum
        self.v = jax.tree.map(lambda v, g: mu * v - rate * g, self.v, gradient)
        return jax.tree.map(lambda v, g: mu * v - rate * g if self.ahead else v, self.v, gradient)


class Nesterov(Momentum):
    ahead = True


class Squares:
    """A step divided by the root of what the squares of the gradient have come to."""

    start, epsilon = 0.0, 1e-8

    def __init__(self, hp: HParams, params: Params) -> None:
        self.hp, self.v = hp, jax.tree.map(lambda leaf: np.full_like(leaf, self.start), params)

    def grown(self, v: np.ndarray, g: np.ndarray) -> np.ndarray:
        return self.hp.rms_decay * v + (1 - self.hp.rms_decay) * g**2

    def update(self, gradient: Params) -> Params:
        self.v = jax.tree.map(self.grown, self.v, gradient)
        rate = self.hp.learning_rate
        return jax.tree.map(lambda v, g: -rate * g / np.sqrt(v + self.epsilon), self.v, gradient)


class Adagrad(Squares):
    start, epsilon = 0.1, 1e-7

    def grown(self, v: np.ndarray, g: np.ndarray) -> np.ndarray:
        return v + g**2


class AdamW(Adam):
    """Loshchilov and Hutter 2019, algorithm 2, with the decay multiplied by the rate."""

    def __init__(self, hp: HParams, params: Params) -> None:
        super().__init__(hp, params)
        self.params = params

    def update(self, gradient: Params) -> Params:
        decay = self.hp.learning_rate * self.hp.weight_decay
        step = jax.tree.map(lambda d, p: d - decay * p, super().update(gradient), self.params)
        self.params = jax.tree.map(np.add, self.params, step)
        return step


ORACLES = {
    "sgd": Sgd,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": Squares,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}


def trained_by_hand(
    spec: Spec, hp: HParams, data: WindowData, params: Params, steps: int
) -> tuple[Params, np.ndarray, np.ndarray]:
    """Oracle: parameters, carry, rows [steps, loss | norm | fired | update norm | objective]; nothing is guarded."""
    windows, _, streams = data.inputs_WTB.shape
    h_BH = np.zeros((streams, spec.hidden), params["layer_0"]["bias"].dtype)
    optimizer, rows = ORACLES[spec.optimizer](hp, params), []
    for step in range(steps):
        window = (first_window(int(hp.seed), windows) + step) % windows
        if window == 0 or spec.carry == "reset":
            h_BH = np.zeros_like(h_BH)
        loss, gradient, h_BH, objective = bptt(spec, params, h_BH, data.inputs_WTB[window], data.targets_WTB[window])
        norm = norm_of(gradient)
        if norm > hp.clip_norm:
            gradient = jax.tree.map(lambda g, scale=hp.clip_norm / norm: g * scale, gradient)
        update = optimizer.update(gradient)
        params = jax.tree.map(np.add, params, update)
        rows.append((loss, norm, norm > hp.clip_norm, norm_of(update), objective))
    return params, h_BH, np.array(rows, float)


@cache
def compiled(function: Any, *settings: Any) -> Any:
    """One compilation for each function and its static arguments, over all tests; fast rather than optimised code."""
    return jax.jit(partial(function, *settings), compiler_options={"xla_backend_optimization_level": 0})


def start_of(spec: Spec, hp: HParams) -> TrainState:
    """What only a later step looks at is set to its default, so that starts are compiled once."""
    return compiled(init_state, replace(spec, reduction="sum", carry="carried", log_every=1))(hp)


def step_of(spec: Spec) -> Any:
    return compiled(train_step, spec)


def chunk_of(spec: Spec, rows: int) -> Any:
    """As the program compiles it."""
    return jax.jit(partial(train_chunk, spec, rows))


def as_numpy(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def assert_golden(spec: Spec, hp: HParams) -> np.ndarray:
    """`STEPS` steps in float64 are those of the oracle; returns the oracle's rows."""
    with jax.enable_x64(True):
        data, state = text(spec.batch), start_of(spec, hp)
        start = as_numpy(state.params)
        step = step_of(spec)
        rows = []
        for _ in range(STEPS):
            state, row = step(hp, data, state)
            rows.append(np.array(row, float))
        params, carry, expected = trained_by_hand(spec, hp, data, start, STEPS)
    np.testing.assert_allclose(np.array(rows), expected, rtol=1e-9, err_msg=WHEN)
    np.testing.assert_allclose(state.carry["layer_0"], carry, rtol=1e-8, atol=1e-10, err_msg=WHEN)
    for (path, leaf), by_hand in zip(jax.tree.leaves_with_path(state.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(leaf, by_hand, rtol=1e-8, atol=1e-10, err_msg=f"{jax.tree_util.keystr(path)} {WHEN}")
    assert (int(state.step), bool(state.alive), int(state.diverged_at)) == (STEPS, True, -1)
    return expected


GOLDEN = [(reduction, batch, carry) for reduction in REDUCTIONS for batch, carry in ((1, "carried"), (3, "reset"))]


@pytest.mark.slow
@pytest.mark.parametrize(("reduction", "batch", "carry"), [*GOLDEN, ("sum", 1, "reset"), ("sum", 3, "carried")])
def test_golden_sgd_steps(reduction: str, batch: int, carry: str) -> None:
    """The clip is where the gradient's norm passes through it, so that some steps are clipped and some are not."""
    spec = spec_of(reduction=reduction, batch=batch, carry=carry)
    unclipped = HParams(seed=1, learning_rate=0.3, clip_norm=np.inf)
    with jax.enable_x64(True):
        start = as_numpy(start_of(spec, unclipped).params)
        norms = trained_by_hand(spec, unclipped, text(batch), start, STEPS)[2][:, 1]
    rows = assert_golden(spec, unclipped._replace(clip_norm=float(np.quantile(norms, 0.4))))
    assert 0 < rows[:, 2].sum() < STEPS, "both sides of the clip"
    assert rows[0, 0] == pytest.approx(np.log(V), rel=0.5), "nats per character, whatever the reduction"


def test_every_optimizer_has_an_oracle() -> None:
    assert ORACLES.keys() == OPTIMIZERS.keys(), "write the new optimizer in NumPy"


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip_norm", [0.05, np.inf])
def test_golden_steps_of_the_optimizers(name: str, clip_norm: float) -> None:
    hp = HParams(learning_rate=0.05, clip_norm=clip_norm, adam_b1=0.8, momentum=0.7, rms_decay=0.8, weight_decay=0.1)
    rows = assert_golden(spec_of(optimizer=name, batch=2), hp)
    assert rows[:, 2].tolist() == [clip_norm < 1] * STEPS


def assert_bitwise(first: Any, second: Any) -> None:
    for (path, one), other in zip(jax.tree.leaves_with_path(first), jax.tree.leaves(second), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes()), jax.tree_util.keystr(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "name"),
    [
        *((cell, "sgd") for cell in (*NATIVE_CELLS, "flax_lstm", "lru")),
        *(("elman", name) for name in OPTIMIZERS if name != "sgd"),
    ],
)
def test_50_and_50_steps_are_100(cell: str, name: str) -> None:
    spec, hp = spec_of(cell=cell, optimizer=name, batch=2, log_every=25), HParams(learning_rate=0.01)
    data = text(spec.batch)
    chunk = chunk_of(spec, 4)
    start = start_of(spec, hp)
    once, record = chunk(hp, data, start, jnp.int32(100))
    half, first = chunk(hp, data, start, jnp.int32(50))
    twice, second = chunk(hp, data, half, jnp.int32(50))
    assert_bitwise(once, twice)
    assert_bitwise(record, jax.tree.map(lambda a, b: np.concatenate([a[:2], b[:2]]), first, second))
    assert np.isnan(first.loss[2:]).all(), "rows that were not reached are NaN"
    assert record.loss[-1] < record.loss[0], "it learns its text of 12 characters"


@pytest.mark.slow
def test_a_row_is_the_mean_of_its_steps() -> None:
    hp, data = HParams(), text()
    by_step = compiled(train_chunk, spec_of(log_every=1), 7)
    by_three = compiled(train_chunk, spec_of(log_every=3), 4)
    start = start_of(spec_of(), hp)
    _, steps = by_step(hp, data, start, jnp.int32(7))
    _, rows = by_three(hp, data, start, jnp.int32(7))
    for one, three in zip(steps, rows, strict=True):
        expected = [np.mean(one[:3]), np.mean(one[3:6]), np.mean(one[6:]), np.nan]
        np.testing.assert_allclose(three, expected, rtol=1e-6)


def test_where_the_text_starts_anew_nothing_is_carried() -> None:
    spec, data = spec_of(), text()
    step = step_of(spec)
    for seed in range(4):
        hp = HParams(seed=seed)
        start = start_of(spec, hp)
        for done in range(W):
            clean = start.replace(step=jnp.int32(done))
            stained = clean.replace(carry=jax.tree.map(lambda leaf: jnp.full_like(leaf, 0.9), start.carry))
            after = [step(hp, data, state)[0].carry["layer_0"] for state in (clean, stained)]
            same = np.array_equal(*after)
            assert same == ((first_window(seed, W) + done) % W == 0)


@pytest.fixture(scope="module")
def exploding() -> tuple[Spec, HParams, WindowData, int]:
    """A linear network with a tiny rate: its carried state grows by 4^T = 256 a window, until float32 ends.

    The step is where NumPy, with no guard at all, first meets a number that is not finite.
    """
    spec = spec_of(activation="identity", recurrent_initializer="identity")
    hp, data = HParams(learning_rate=1e-30, recurrent_gain=4.0, clip_norm=np.inf), text(windows=60)
    hp = next(hp._replace(seed=seed) for seed in range(100) if first_window(seed, 60) < 10)
    params = as_numpy(start_of(spec, hp).params)
    with np.errstate(all="ignore"):
        rows = trained_by_hand(spec, hp, data, params, 40)[2]
    return spec, hp, data, int(np.argmax(~np.isfinite(rows).all(axis=1)))


@pytest.mark.slow
def test_a_diverged_run_is_frozen(exploding: tuple[Spec, HParams, WindowData, int]) -> None:
    spec, hp, data, fatal = exploding
    assert 2 < fatal < 30
    chunk, start = chunk_of(spec, 40), start_of(spec, hp)
    before, _ = chunk(hp, data, start, jnp.int32(fatal))
    after, record = chunk(hp, data, start, jnp.int32(40))
    assert (bool(before.alive), int(before.diverged_at)) == (True, -1)
    assert (bool(after.alive), int(after.diverged_at), int(after.step)) == (False, fatal, 40)
    for part in ("params", "opt_state", "carry"):
        assert_bitwise(getattr(before, part), getattr(after, part))
    for column in record:
        assert np.isfinite(column[:fatal]).all()
        assert np.isnan(column[fatal:]).all()
    later, record = chunk(hp, data, after, jnp.int32(5))
    assert (int(later.diverged_at), int(later.step)) == (fatal, 45)
    assert np.isnan(record.loss).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_that_is_not_finite_is_not_taken(name: str) -> None:
    spec, hp, data = spec_of(optimizer=name), HParams(), text()
    start = start_of(spec, hp)
    start.params["readout"]["kernel"] *= np.float32(np.inf)
    state, row = step_of(spec)(hp, data, start)
    assert (bool(state.alive), int(state.diverged_at)) == (False, 0)
    assert np.isnan(row).all()
    assert_bitwise((start.params, start.opt_state, start.carry), (state.params, state.opt_state, state.carry))


def test_infinity_turns_the_clip_off() -> None:
    spec, data = spec_of(), text()
    step = step_of(spec)
    start = start_of(spec, HParams())
    off, huge = (step(HParams(clip_norm=clip), data, start) for clip in (np.inf, 1e30))
    assert_bitwise(off, huge)
    assert off[1].clip_share == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", INITIALIZERS)
def test_runs_with_one_seed_are_paired_over_the_arms(name: str) -> None:
    """Arms that differ in the recurrent start share every other parameter; another seed shares none of them."""
    base, arm = (start_of(spec_of(recurrent_initializer=one), HParams(seed=5)).params for one in ("normal", name))
    other = start_of(spec_of(recurrent_initializer=name), HParams(seed=6)).params
    for shared in (lambda p: p["layer_0"]["kernel"], lambda p: p["readout"]["kernel"]):
        assert_bitwise(shared(base), shared(arm))
        assert not np.array_equal(shared(arm), shared(other))


def test_the_keys_of_a_run_differ_from_each_other_and_from_other_seeds() -> None:
    purposes = get_args(Purpose)
    keys = jax.vmap(lambda seed: jnp.stack([jax.random.key_data(key_for(HParams(seed=seed), p)) for p in purposes]))
    drawn = np.asarray(keys(jnp.arange(200, dtype=jnp.uint32))).reshape(200 * len(purposes), -1)
    assert len(np.unique(drawn, axis=0)) == len(drawn)


# What a loss is


def test_what_is_counted_and_in_what_unit() -> None:
    """By hand: two columns of their own units; the last step counts in one stream, the first two in the other."""
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=(2, 3, 2, 2)).astype(np.float32)
    counted = np.array([[0, 1], [0, 1], [1, 0]], np.float32)
    unit = np.array([10.0, 0.5], np.float32)
    window = WindowData(np.zeros((3, 2)), targets, counted, None, unit)
    seen = [((outputs - targets) ** 2)[t, b].mean() for t, b in ((2, 0), (0, 1), (1, 1))]
    own = [(((outputs - targets) * unit) ** 2)[t, b].mean() for t, b in ((2, 0), (0, 1), (1, 1))]
    for reduction, expected in {"sum": sum(seen) / 2, "mean": np.mean(seen), "last": seen[0] / 2}.items():
        spec = spec_of(reduction=reduction, loss="squared_error")
        optimised, reported = window_losses(spec, jnp.asarray(outputs), jax.tree.map(jnp.asarray, window))
        assert optimised == pytest.approx(expected, rel=1e-5)
        assert reported == pytest.approx(np.mean(own), rel=1e-5)


def test_without_a_unit_everything_counts_as_it_is() -> None:
    outputs, targets = np.random.default_rng(0).normal(size=(2, 3, 2, 1)).astype(np.float32)
    spec = spec_of(reduction="mean", loss="squared_error")
    optimised, reported = window_losses(spec, jnp.asarray(outputs), WindowData(np.zeros((3, 2)), targets))
    assert optimised == reported == pytest.approx(((outputs - targets) ** 2).mean(), rel=1e-5)


def test_the_clip_of_elements_comes_before_that_of_the_norm() -> None:
    hp = HParams(clip_norm=0.5, clip_value=0.1)
    gradient = {"a": jnp.array([3.0, -0.05, 0.02]), "b": jnp.array([-7.0])}
    by_element = np.array([0.1, -0.05, 0.02, -0.1])
    for norm in (np.inf, 0.05):
        spec = spec_of(clip_elementwise=True)
        clipped, size = clip_gradient(spec, hp._replace(clip_norm=norm), gradient, scaled_norm(gradient))
        expected = by_element * min(1, norm / np.linalg.norm(by_element))
        np.testing.assert_allclose(np.concatenate([clipped["a"], clipped["b"]]), expected, rtol=1e-5)
        np.testing.assert_allclose(size, np.linalg.norm(expected), rtol=1e-6)


# Gradients near the ends of float32


def given_gradient(name: str, sizes: list[float], **hp: Any) -> tuple[TrainState, TrainState, list[Any]]:
    """(the start, the state after steps whose gradients have elements of these sizes, the rows)."""
    spec = spec_of(optimizer=name, clip_elementwise="clip_value" in hp)
    settings = HParams(**{"clip_norm": np.inf} | hp)
    start = state = start_of(spec, settings)
    step, rows = compiled(apply_gradient, spec), []
    for size in sizes:
        gradient = jax.tree.map(lambda leaf, size=size: np.copysign(np.float32(size), leaf), as_numpy(start.params))
        state, row = step(settings, state, WindowGradient(gradient, state.carry, jnp.float32(1), jnp.float32(1)))
        rows.append(row)
    return start, state, rows


SIZE = H * (V + H + 1) + V * (H + 1)  # parameters
ENDS = [1e-30, 1e-20, 1e-10, 1.0, 1e10, 1e19, 1e25, 1e30]


@pytest.mark.parametrize("clip", [{}, {"clip_norm": 1.0}, {"clip_value": 0.1}], ids=["no clip", "norm", "elements"])
@pytest.mark.parametrize(
    "name", [name if name in ("sgd", "adam") else pytest.param(name, marks=pytest.mark.slow) for name in OPTIMIZERS]
)
def test_a_finite_gradient_is_no_divergence(name: str, clip: dict[str, float]) -> None:
    for size in ENDS:
        start, state, [row] = given_gradient(name, [size], learning_rate=1e-3, **clip)
        assert (bool(state.alive), int(state.diverged_at)) == (True, -1), size
        assert row.gradient_norm == pytest.approx(size * SIZE**0.5, rel=1e-5)
        assert np.isfinite(row.update_norm) and row.update_norm > 0, size
        if size >= 1:
            moved = jax.tree.map(lambda a, b: bool((a != b).all()), as_numpy(start.params), as_numpy(state.params))
            assert all(jax.tree.leaves(moved)), "no weight stands still"


@pytest.mark.parametrize("clip_norm", [1e-3, 1.0])
def test_a_huge_gradient_is_clipped_to_the_threshold(clip_norm: float) -> None:
    """Up to the largest float32, where the norm itself is no float32 any more."""
    for size in (1e20, 1e30, 3e38):
        _, state, [row] = given_gradient("sgd", [size], learning_rate=1.0, clip_norm=clip_norm)
        assert row.update_norm == pytest.approx(clip_norm, rel=1e-6)
        assert (bool(state.alive), float(row.clip_share)) == (True, 1.0)
        changes = jax.tree.map(np.subtract, as_numpy(state.params), as_numpy(given_gradient("sgd", [])[1].params))
        assert norm_of(changes) == pytest.approx(clip_norm, rel=1e-3)


@pytest.mark.parametrize("name", ["rmsprop", "adam", "adamw"])
def test_one_huge_gradient_holds_no_weight_for_ever(name: str) -> None:
    """Mean squares of infinity would: their weights have updates of exactly 0, and nothing is NaN."""
    hp = {"rms_decay": 0.1, "adam_b2": 0.1, "adam_b1": 0.1, "weight_decay": 0.0}
    _, state, rows = given_gradient(name, [1e-3, 1e30, *[1e-3] * 60], learning_rate=1e-3, **hp)
    norms = np.array([row.update_norm for row in rows])
    assert state.alive
    assert (norms > 0).all()
    assert norms[-1] == pytest.approx(norms[0], rel=0.2), "the memory has faded"


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_one_element_that_is_not_finite_is_a_divergence(value: float) -> None:
    _, state, [row] = given_gradient("sgd", [value], clip_norm=1.0)
    assert (bool(state.alive), int(state.diverged_at)) == (False, 0)
    assert np.isnan(row.gradient_norm)


# Looks at the held-out loss


def looked(losses: list[float], spec: Spec, hp: HParams, monkeypatch: pytest.MonkeyPatch) -> list[TrainState]:
    """The states after looks that find these losses; the parameters of look i are all i."""
    seen = iter(losses)
    monkeypatch.setattr("rnnjax.training.early_stopping.evaluate_loss", lambda *_: jnp.float32(next(seen)))
    state, states = init_state(spec, hp), []
    nothing = WindowData(np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))
    for number in range(len(losses)):
        params = state.params if state.early_stopping.stopped_at >= 0 else numbered(state.params, number)
        state = early_stopping_check(spec, hp, nothing, state.replace(params=params, step=jnp.int32(10 * (number + 1))))
        states.append(state)
    return states


def numbered(params: Params, number: int) -> Params:
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, number), params)


def number_of(params: Params) -> int:
    return int(params["readout"]["bias"][0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_patience_by_hand(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over random losses: stop at the third look in a row that is no better, and take the best parameters."""
    losses = np.random.default_rng(seed).random(12).tolist()
    hp = HParams(patience=3.0)
    states = looked(losses, spec_of(validate_every=10, steps=1_000), hp, monkeypatch)
    best, stopped = 0, -1
    for number, state in enumerate(states):
        if stopped < 0:
            best = min(range(number + 1), key=losses.__getitem__)
            stopped = number if number - best >= 3 else -1
        assert int(state.early_stopping.stopped_at) == (10 * (stopped + 1) if stopped >= 0 else -1)
        assert float(state.early_stopping.lr_scale) == (0 if stopped >= 0 else 1)
        assert number_of(state.params) == (number if stopped < 0 else best)
        if stopped < 0:
            assert number_of(state.early_stopping.best_params) == best


def test_a_rate_falls_at_every_plateau(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks without a better loss, then two more; a better one starts the count anew."""
    hp = HParams(plateau_checks=2.0, decay_factor=0.5)
    losses = [1.0, 1.1, 1.2, 1.0, 1.3, 0.9, 0.95, 0.95]
    expected = [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    for schedule, scales in (("plateau", expected), ("constant", [1] * 8)):
        states = looked(losses, spec_of(validate_every=10, schedule=schedule, steps=1_000), hp, monkeypatch)
        assert [float(state.early_stopping.lr_scale) for state in states] == scales


def test_the_best_parameters_are_taken_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for patience, taken in ((50.0, 1), (np.inf, 2)):
        states = looked([3.0, 1.0, 2.0], spec_of(validate_every=10, steps=30), HParams(patience=patience), monkeypatch)
        assert number_of(states[-1].params) == taken


def test_a_look_at_a_dead_run_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, hp = spec_of(validate_every=10), HParams()
    monkeypatch.setattr("rnnjax.training.early_stopping.evaluate_loss", lambda *_: jnp.float32(np.nan))
    dead = init_state(spec, hp).replace(alive=jnp.bool_(False))
    assert_bitwise(early_stopping_check(spec, hp, text(), dead), dead)


@pytest.mark.slow
def test_a_run_that_overfits_stops_at_its_best() -> None:
    """The held-out text is noise of its own, so its loss falls and rises again."""
    spec = spec_of(optimizer="adam", validate_every=20, steps=400, log_every=20)
    hp = HParams(learning_rate=0.05, patience=4.0)
    data, held_out = text(), WindowData(*(jnp.asarray(leaf[:1]) for leaf in text(batch=8)[:2]))
    chunk, look = chunk_of(spec, 1), jax.jit(partial(early_stopping_check, spec))
    evaluate = jax.jit(partial(evaluate_loss, spec))
    state, losses, rows = init_state(spec, hp), [], []
    for _ in range(20):
        state, row = chunk(hp, data, state, jnp.int32(20))
        losses.append(float(evaluate(hp, state.params, held_out)))
        rows.append(row)
        state = look(hp, held_out, state)
    stopped = int(state.early_stopping.stopped_at)
    assert 0 < stopped < 400
    assert float(evaluate(hp, state.params, held_out)) == pytest.approx(min(losses), rel=1e-6)
    assert int(np.argmin(losses)) == stopped // 20 - 5, "four looks after the best"
    later = [row for number, row in enumerate(rows, 1) if 20 * number > stopped]
    assert all(row.update_norm[0] == 0 and np.isfinite(row.loss[0]) for row in later), "it reads on and learns nothing"


# Scheduled sampling

OWN = HParams(seed=1, learning_rate=1.0, clip_norm=np.inf, sampling_probability=0.8, sampling_steps=3.0)


def chances_of(spec: Spec, hp: HParams, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Only the random numbers are taken from the code under test: whether a symbol is replaced, and by which."""
    key = jax.random.fold_in(jax.random.fold_in(key_for(hp, "noise"), step), 2)
    chances, uniforms = jax.random.uniform(key, (2, T, spec.batch))
    return np.asarray(chances), np.asarray(uniforms)


def said(p_V: np.ndarray, uniform: float, greedy: bool) -> int:
    return int(np.argmax(p_V)) if greedy else int(np.searchsorted(np.cumsum(p_V), uniform * p_V.sum(), side="right"))


def read_by_hand(spec: Spec, hp: HParams, params: Params, h_BH: np.ndarray, text_TB: np.ndarray, step: int) -> Any:
    """Oracle: what a step of scheduled sampling reads, symbol by symbol, and how many symbols were replaced."""
    cell, readout = params["layer_0"], params["readout"]
    anew = (first_window(int(hp.seed), W) + step) % W == 0 or spec.carry == "reset"
    (chances, uniforms), share = (
        chances_of(spec, hp, step),
        float(sampling_probability_at(spec.sampling_schedule, hp, step)),
    )
    read_TB = text_TB.copy()
    for b, h in enumerate(np.zeros_like(h_BH) if anew else h_BH):
        for t in range(T):
            if chances[t, b] < share and not (anew and t == 0):
                p_V = np.exp(h @ readout["kernel"] + readout["bias"])
                read_TB[t, b] = said(p_V, uniforms[t, b], spec.scheduled_sampling == "greedy")
            h = np.tanh(cell["kernel"][read_TB[t, b]] + h @ cell["recurrent_kernel"] + cell["bias"])
    return read_TB


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheduled_sampling", "schedule", "carry"),
    [("sampled", "linear", "carried"), ("greedy", "exponential", "carried"), ("sampled", "inverse_sigmoid", "reset")],
)
def test_golden_steps_of_scheduled_sampling(scheduled_sampling: str, schedule: str, carry: str) -> None:
    """As the other golden steps; every step's input is walked through by hand before it is learned from."""
    spec = spec_of(scheduled_sampling=scheduled_sampling, sampling_schedule=schedule, carry=carry, batch=3)
    replaced = 0
    with jax.enable_x64(True):
        data, state, step_once = text(3), start_of(spec_of(batch=3), OWN), step_of(spec)
        params, h_BH = as_numpy(state.params), np.zeros((3, H))
        for step in range(STEPS):
            window = (first_window(1, W) + step) % W
            text_TB = data.inputs_WTB[window]
            read_TB = read_by_hand(spec, OWN, params, h_BH, text_TB, step)
            replaced += int(np.sum(read_TB != text_TB))
            h_BH = np.zeros_like(h_BH) if window == 0 or carry == "reset" else h_BH
            loss, gradient, h_BH, _ = bptt(spec, params, h_BH, read_TB, data.targets_WTB[window])
            state, row = step_once(OWN, data, state)
            params = jax.tree.map(np.subtract, params, gradient)
            assert float(row.loss) == pytest.approx(loss, rel=1e-9)
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-8, atol=1e-10), as_numpy(state.params), params)
        np.testing.assert_allclose(state.carry["layer_0"], h_BH, rtol=1e-8)
    assert replaced > STEPS, "most of what is read is the network's own"


def own_loss(spec: Spec, hp: HParams, state: TrainState, data: WindowData, params: Params) -> jax.Array:
    """Oracle: one scan that chooses its input, reads it and has its loss, all inside of what is differentiated."""
    model, window = build_network(spec, hp), (first_window(int(hp.seed), W) + int(state.step)) % W
    chances, uniforms = map(jnp.asarray, chances_of(spec, hp, int(state.step)))
    share = sampling_probability_at(spec.sampling_schedule, hp, state.step)

    def step(state: Any, given: Any) -> Any:
        (carry, logits_BV), (ids_B, targets_B, chance_B, uniform_B, t) = state, given
        p_BV = jax.lax.stop_gradient(jax.nn.softmax(logits_BV))
        drawn_B = jnp.sum(jnp.cumsum(p_BV, axis=1) <= uniform_B[:, None], axis=1)
        read_B = jnp.where((chance_B < share) & ((t > 0) | (window > 0)), drawn_B, ids_B)
        carry = jax.vmap(partial(model.step, params))(carry, read_B)
        logits_BV = jax.vmap(partial(model.readout, params))(carry)
        return (carry, logits_BV), jnp.mean(jax.vmap(cross_entropy)(logits_BV, targets_B))

    start = state.carry, jax.vmap(partial(model.readout, params))(state.carry)
    ids, targets = jnp.asarray(data.inputs_WTB[window]), jnp.asarray(data.targets_WTB[window])
    return jnp.sum(jax.lax.scan(step, start, (ids, targets, chances, uniforms, jnp.arange(T)))[1])


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_the_gradient_is_that_of_a_scan_that_chooses_on_its_way(cell: str) -> None:
    spec, data = spec_of(cell=cell, scheduled_sampling="sampled", batch=3, layers=2), text(3)
    state = init_state(spec, OWN)
    rng = np.random.default_rng(0)
    state = state.replace(
        step=jnp.int32(2 if first_window(1, W) != 1 else 4),  # not where the text starts anew
        carry=jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), state.carry),
    )
    gradient = jax.grad(partial(own_loss, spec, OWN, state, data))(state.params)
    after, _ = step_of(spec)(OWN, data, state)
    moved = jax.tree.map(np.subtract, as_numpy(state.params), as_numpy(after.params))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), moved, as_numpy(gradient))


@pytest.mark.slow
def test_a_share_of_nothing_is_teacher_forcing() -> None:
    data, hp = text(2), OWN._replace(sampling_probability=0.0)
    teacher, sampled = (
        spec_of(batch=2, scheduled_sampling=scheduled_sampling) for scheduled_sampling in ("teacher", "sampled")
    )
    state = start_of(teacher, hp)
    for _ in range(3):
        (state, row), (other, other_row) = (step_of(spec)(hp, data, state) for spec in (teacher, sampled))
        np.testing.assert_allclose(row, other_row, rtol=1e-5)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), as_numpy(state), as_numpy(other))


@pytest.mark.slow
def test_a_share_of_everything_is_the_free_run() -> None:
    """Of greedy words, from the first symbol of each window on."""
    spec, hp = (
        spec_of(batch=3, scheduled_sampling="greedy", carry="reset"),
        OWN._replace(sampling_probability=1.0, sampling_steps=1.0),
    )
    state, window = start_of(spec_of(batch=3), hp).replace(step=jnp.int32(7)), jax.tree.map(lambda x: x[1], text(3))
    read = scheduled_sampling_window(spec, hp, state, jnp.bool_(True), jax.random.key(0), window).inputs_WTB
    free = sample(spec, hp, state.params, window.inputs_WTB[:1], T - 1, jnp.float32(0), jax.random.key(1))
    np.testing.assert_array_equal(read, np.concatenate([window.inputs_WTB[:1], free]))


@pytest.mark.slow
def test_50_and_50_steps_of_scheduled_sampling_are_100() -> None:
    spec, data = spec_of(scheduled_sampling="sampled", batch=2, log_every=25), text(2)
    chunk, start = chunk_of(spec, 4), start_of(spec_of(batch=2), OWN)
    hp = OWN._replace(learning_rate=0.01, sampling_steps=50.0)
    once, _ = chunk(hp, data, start, jnp.int32(100))
    half, _ = chunk(hp, data, start, jnp.int32(50))
    assert_bitwise(once, chunk(hp, data, half, jnp.int32(50))[0])
