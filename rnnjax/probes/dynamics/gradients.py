"""Decay of gradients by lag, and Jacobians of the state."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from rnnjax.metrics import Metric
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network, require_unidirectional
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.losses import LOSSES
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Params, Probe, Task, WindowData, no_summary

LAGS = 49  # the longest measured lag: position 50 of a window, counted from 1 at its end
NAMED_LAGS = (4, 5, 12, 16, 24, 49)  # whose decay is a metric
WARM_UP = 16  # symbols read before, so that states do not depend on the initial state
WINDOWS = 256
JACOBIAN_STEPS = 18
JACOBIAN_WINDOWS = 8

REACHES = {"reach_0.1": 0.1, "reach_0.05": 0.05}  # of the decay by lag
DECAY_SOURCE = "Bengio et al. 1994, IEEE Trans. Neural Networks 5:157; Pascanu et al. 2013, arXiv:1211.5063"
DECAY = "log10 of the geometric mean over windows of |d l_t / d c_{t-k}| / |d l_t / d c_t|, c the carry"
GRADIENT_METRICS = {
    "gradient_decay": Metric(f"{DECAY}, by lag k", kind="lag", source=DECAY_SOURCE),
    **{f"gradient_decay_{lag}": Metric(f"{DECAY}, at lag k = {lag}", source=DECAY_SOURCE) for lag in NAMED_LAGS},
    **{
        name: Metric(
            f"the largest lag k such that the gradient decay is at least {threshold:g} at every lag up to k",
            unit="{symbols}",
            source=DECAY_SOURCE,
        )
        for name, threshold in REACHES.items()
    },
}
JACOBIAN_METRICS = {
    f"jacobian_{name}": Metric(
        f"the geometric mean over windows of the {name} singular value of the product of {JACOBIAN_STEPS} step "
        "Jacobians d c_t / d c_{t-1}",
        source="Pascanu et al. 2013, arXiv:1211.5063",
    )
    for name in ("largest", "mean")
}


def gradient_lags(spec: Spec, hp: HParams, params: Params, windows: WindowData, lags: int) -> Array:
    """|d l_t / d c_{t-k}|_2 for k = 0..lags in each of W windows, [W, lags + 1].

    l_t is the loss of a window's last step only and c the whole carry of the network, so for an LSTM (c, h) together.

    Args:
        windows: [1, T, W, ...] with T > lags; the steps before the last lags + 1 are read first.
    """
    model = build_network(spec, hp)
    inputs_TW, targets_W = windows.inputs_WTB[0], windows.targets_WTB[0, -1]
    split = inputs_TW.shape[0] - lags - 1
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TW.shape[1])
    carry, _, _ = model.apply(params, start, inputs_TW[:split])

    def norms(carry: Carry, inputs_T: Array, target: Array) -> Array:
        nudges = jax.tree.map(lambda leaf: jnp.zeros((lags + 1, *leaf.shape)), carry)
        gradient = jax.grad(partial(nudged_loss, spec, model, params, carry, inputs_T, target))
        leaves = jax.tree.leaves(gradient(nudges))
        return row_norms(jnp.concatenate([leaf.reshape(lags + 1, -1) for leaf in leaves], axis=1))[::-1]

    return jax.vmap(norms, in_axes=(0, 1, 0))(carry, inputs_TW[split:], targets_W)


def row_norms(rows: Array) -> Array:
    """Euclidean norms [L] of rows [L, ...], scaled: in float32 the square of 1e-20 is 0 and that of 1e20 infinite."""
    largest = jnp.maximum(jnp.max(jnp.abs(rows), axis=1, keepdims=True), jnp.finfo(rows.dtype).tiny)
    return largest[:, 0] * jnp.linalg.norm(rows / largest, axis=1)


def nudged_loss(
    spec: Spec, model: Model, params: Params, carry: Carry, inputs_T: Array, target: Array, nudges: Carry
) -> Array:
    """The loss of the last step when every step's carry has a nudge [T, ...] added: its gradient is d l / d c_t."""

    def step(carry: Carry, inputs: Any) -> tuple[Carry, None]:
        x, nudge = inputs
        return jax.tree.map(jnp.add, model.step(params, carry, x), nudge), None

    carry, _ = jax.lax.scan(step, carry, (inputs_T, nudges))
    return LOSSES[spec.loss](model.readout(params, carry), target)


def reach(decay_L: Array, threshold: float) -> Array:
    """The largest lag k such that the decay is at least `threshold` at every lag up to k."""
    return jnp.sum(jnp.cumprod(decay_L >= threshold)) - 1.0  # a float, so that NaN can be "not measured"


def gradients(spec: Spec, task: Task) -> Probe:
    """Decay by lag, decay(k) = geometric mean over 256 windows of |d l_t / d h_{t-k}| / |d l_t / d h_t|, and its reach.

    Values: see GRADIENT_METRICS.
    Source: Bengio et al. 1994; Pascanu et al. 2013, arXiv:1211.5063.
    """
    require_unidirectional(spec)
    windows = spread_windows(task.make_sequence(task.train_N), WARM_UP + LAGS + 1, WINDOWS)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        norms_WL = gradient_lags(spec, hp, state.params, jax.tree.map(jnp.asarray, windows), LAGS)
        floor = jnp.finfo(norms_WL.dtype).tiny  # a gradient of exactly 0 has no logarithm
        logs_WL = jnp.log10(jnp.maximum(norms_WL, floor))
        decay_L = jnp.mean(logs_WL - logs_WL[:, :1], axis=0)
        return {
            "gradient_decay": decay_L,
            **{f"gradient_decay_{lag}": decay_L[lag] for lag in NAMED_LAGS},
            **{name: reach(10**decay_L, threshold) for name, threshold in REACHES.items()},
        }

    return Probe(measure, no_summary, GRADIENT_METRICS)


def state_jacobian(spec: Spec, hp: HParams, params: Params, inputs_T: Array, steps: int) -> Array:
    """d c_t / d c_{t-steps} as a matrix, along a trajectory that reads inputs_T from the initial state."""
    model = build_network(spec, hp)

    def run(carry: Carry, inputs_T: Array) -> Carry:
        return jax.lax.scan(lambda carry, x: (model.step(params, carry, x), None), carry, inputs_T)[0]

    start = jax.tree.map(lambda leaf: leaf[0], model.carry(params, key_for(hp, "evaluation"), 1))
    flat, unflatten = ravel_pytree(run(start, inputs_T[:-steps]))
    return jax.jacfwd(lambda c: ravel_pytree(run(unflatten(c), inputs_T[-steps:]))[0])(flat)


def jacobian(spec: Spec, task: Task) -> Probe:
    """Singular values of the product of 18 step Jacobians: geometric means over windows of the largest and the mean."""
    require_unidirectional(spec)
    inputs_TW = spread_windows(task.make_sequence(task.train_N), WARM_UP + JACOBIAN_STEPS, JACOBIAN_WINDOWS).inputs_WTB[
        0
    ]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        window_jacobian = partial(state_jacobian, spec, hp, state.params, steps=JACOBIAN_STEPS)
        return {"jacobian": jax.vmap(window_jacobian, in_axes=1)(jnp.asarray(inputs_TW))}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        singular_RWH = np.linalg.svd(values["jacobian"], compute_uv=False)
        return {
            "jacobian_largest": np.exp(np.mean(np.log(singular_RWH[..., 0]), axis=1)),
            "jacobian_mean": np.exp(np.mean(np.log(np.mean(singular_RWH, axis=2)), axis=1)),
        }

    return Probe(measure, summarise, JACOBIAN_METRICS)
