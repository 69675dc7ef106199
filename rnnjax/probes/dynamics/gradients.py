"""Decay of gradients by lag, and Jacobians of the state."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network, require_unidirectional
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import Metric
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.losses import LOSSES
from rnnjax.training.norms import scaled_norm
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


def log_gradient_norms(spec: Spec, hp: HParams, params: Params, windows: WindowData, lags: int) -> Array:
    """log10 |d l_t / d c_{t-k}|_2 for k = 0..lags in each of W windows, [W, lags + 1]; -inf where it is 0.

    l_t is the loss of a window's last step only and c the whole carry of the network, so for an LSTM (c, h) together.
    The gradient is divided by its norm at every step back, and the logarithms are added up: the product of 49
    Jacobians may be far below the smallest float32, 1e-38.

    Args:
        windows: [1, T, W, ...] with T > lags; the steps before the last lags + 1 are read first.
    """
    model = build_network(spec, hp)
    inputs_TW, targets_W = windows.inputs_WTB[0], windows.targets_WTB[0, -1]
    split = inputs_TW.shape[0] - lags
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TW.shape[1])
    carry, _, _ = model.apply(params, start, inputs_TW[:split])
    logs = partial(window_log_norms, spec, model, params)
    return jax.vmap(logs, in_axes=(0, 1, 0))(carry, inputs_TW[split:], targets_W)


def window_log_norms(spec: Spec, model: Model, params: Params, carry: Carry, inputs_T: Array, target: Array) -> Array:
    """log10 of the norm of the last loss's gradient by the carry after each step and by the first, [T + 1] by lag."""

    def forward(carry: Carry, x: Array) -> tuple[Carry, Carry]:
        return model.step(params, carry, x), carry

    def backward(state: tuple[Carry, Array], inputs: tuple[Carry, Array]) -> tuple[tuple[Carry, Array], Array]:
        carry, x = inputs
        (gradient,) = jax.vjp(lambda carry: model.step(params, carry, x), carry)[1](state[0])
        direction, log_norm = direction_and_log_norm(gradient)
        return (direction, state[1] + log_norm), state[1] + log_norm

    end, carries_T = jax.lax.scan(forward, carry, inputs_T)
    gradient = jax.grad(lambda carry: LOSSES[spec.loss](model.readout(params, carry), target))(end)
    first = direction_and_log_norm(gradient)
    _, logs_T = jax.lax.scan(backward, first, (carries_T, inputs_T), reverse=True)
    return jnp.concatenate([first[1][None], logs_T[::-1]])


def direction_and_log_norm(gradient: Carry) -> tuple[Carry, Array]:
    """(g / |g|, log10 |g|) of a tree g, |g| its Euclidean norm, a scalar; (0, -inf) where g is 0."""
    norm = scaled_norm(gradient)
    length = jnp.where(norm.length == 0, 1, norm.length)
    direction = jax.tree.map(lambda leaf: leaf * norm.unit / length, gradient)
    return direction, jnp.log10(norm.length) - jnp.log10(norm.unit)


def reach(decay_L: Array, threshold: float) -> Array:
    """The largest lag k, in steps, such that the decay, 1 at lag 0, is at least `threshold` at every lag up to k."""
    return jnp.sum(jnp.cumprod(decay_L >= threshold)) - 1.0  # a float, so that NaN can be "not measured"


def gradients(spec: Spec, task: Task) -> Probe:
    """Decay by lag, decay(k) = geometric mean over 256 windows of |d l_t / d h_{t-k}| / |d l_t / d h_t|, and its reach.

    Values: see GRADIENT_METRICS; -inf where the gradient of a window is exactly 0, as of a dead ReLU unit.
    Source: Bengio et al. 1994; Pascanu et al. 2013, arXiv:1211.5063.
    """
    require_unidirectional(spec)
    windows = spread_windows(task.make_sequence(task.train_N), WARM_UP + LAGS + 1, WINDOWS)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        logs_WL = log_gradient_norms(spec, hp, state.params, jax.tree.map(jnp.asarray, windows), LAGS)
        decay_L = jnp.mean(logs_WL - logs_WL[:, :1], axis=0)
        return {
            "gradient_decay": decay_L,
            **{f"gradient_decay_{lag}": decay_L[lag] for lag in NAMED_LAGS},
            **{name: reach(10**decay_L, threshold) for name, threshold in REACHES.items()},
        }

    return Probe(measure, no_summary, GRADIENT_METRICS)


def state_jacobian(spec: Spec, hp: HParams, params: Params, inputs_T: Array, steps: int) -> Array:
    """d c_t / d c_{t-steps} [C, C], C the numbers of a carry; inputs_T are read from the initial state up to step t."""
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
