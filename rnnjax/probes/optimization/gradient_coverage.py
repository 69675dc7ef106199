"""Share of each step of a window in the gradient of the training loss."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.probes.optimization.clipping import cosine
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import CORRELATION, SHARE, Metric
from rnnjax.tasks.windows import task_windows
from rnnjax.training.batching import select_window
from rnnjax.training.loss import window_loss
from rnnjax.training.losses import LOSSES, REDUCTIONS
from rnnjax.training.norms import row_norms
from rnnjax.training.optimizers import build_optimizer
from rnnjax.training.state import TrainState
from rnnjax.training.step import train_step
from rnnjax.types import Carry, Params, Probe, Task, WindowData

TWIN_STEPS = 100  # of gradient descent, with a sum over the window and with a mean
LONGEST = 64  # window with an untied copy of the kernels for each step

COVERAGE_METRICS = {
    "state_gradient": Metric(
        "log10 of |dL/dc_t| / |dL/dc_T|, c_t the whole carry after step t of the window, by lag T - t", kind="lag"
    ),
    "least_state_gradient": Metric("the smallest |dL/dc_t| of the steps before the last", better="higher"),
    "least_input_gradient": Metric("the smallest |dL/dx_t| of the steps before the last", better="higher"),
    "last_difference": Metric(
        "max |g - g_last| / max |g_last|, g the training gradient of the first window and g_last that of the loss of "
        "its last step alone"
    ),
    "sum_cosine": Metric(
        "cosine of the training gradient with that of the sum of the losses of all steps", range=CORRELATION
    ),
    "accumulated_difference": Metric(
        "max |g - g_sum| / max |g_sum|, g the gradient of losses accumulated in the scan, g_sum that of their sum"
    ),
    "sum_mean_difference": Metric(
        f"max |a - b| / max |b| of the parameters after {TWIN_STEPS} steps of gradient descent: a with the mean over "
        "the window, b with the sum at 1 / T of the learning rate"
    ),
    "loop_keeps_last": Metric(
        "1 if the Python loop `for loss in losses: pass` leaves the last item in `loss`, else 0", range=SHARE
    ),
}


def share_metrics(symbol: str, prefix: str, total: str) -> dict[str, Metric]:
    """The metrics of the shares in the gradient of one kernel: by lag, and the sum before the last step."""
    share = f"|dL/d{symbol}(t)| over the sum of these norms, {symbol}(t) the untied copy of step t"
    return {
        prefix: Metric(f"{share}, by lag T - t", kind="lag"),
        total: Metric(f"the sum over all steps but the last of {share}"),
    }


KERNEL_METRICS = {
    **share_metrics("W_hh", "kernel_share", "earlier_share"),
    "least_share": Metric("the smallest kernel_share of the steps after the first", better="higher"),
}
INPUT_METRICS = share_metrics("W_xh", "input_share", "earlier_input_share")


class UntiedCopies(NamedTuple):
    """Untied variables of each step of a window, leaves [T, ...]: every step then has a separate gradient."""

    layers: Params  # copies of the parameters of the layers
    nudges: Carry  # zeros, added to the carry after each step of each stream: [T, B, H]
    inputs: Array  # x_TBD; ids as one-hot rows


def coverage(spec: Spec, task: Task) -> Probe:
    """Gradient of each step of the first window, with the kernels replaced by T untied copies.

    Values: see COVERAGE_METRICS, KERNEL_METRICS and INPUT_METRICS. Kernels are those of the lowest layer; lag 0 is the
    last step.

    Raises:
        NotApplicable: windows of one step, or of more than 64.
    """
    require_unidirectional(spec)
    if not 1 < spec.window <= LONGEST:
        raise NotApplicable(f"window: got {spec.window}; expected 2 to {LONGEST} for a probe of each step's gradient")
    data = task_windows(task, task.train_N, spec.batch, spec.window)
    keeps_last = float(last_loop_item(list(range(16))) == 15)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        values = step_metrics(spec, hp, state.params, data) | reduction_metrics(spec, hp, state.params, data)
        return values | {"sum_mean_difference": twin_difference(spec, hp, state, data)}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return values | {"loop_keeps_last": np.full_like(values["sum_cosine"], keeps_last)}

    return Probe(measure, summarise, coverage_metrics(spec))


def coverage_metrics(spec: Spec) -> dict[str, Metric]:
    """The metrics of a network; shares only of the kernels that its lowest layer has by these names."""
    params = jax.eval_shape(build_network(spec, HParams()).init, jax.random.key(0))["layer_0"]
    return (
        COVERAGE_METRICS
        | (KERNEL_METRICS if "recurrent_kernel" in params else {})
        | (INPUT_METRICS if "kernel" in params else {})
    )


def last_loop_item(losses: list[int]) -> int:
    """The value of the loop variable after a loop with an empty body; -1 without items."""
    loss = -1
    for loss in losses:  # noqa: B007, the bug under test
        pass
    return loss


def step_metrics(spec: Spec, hp: HParams, params: Params, data: WindowData) -> dict[str, Array]:
    """The metrics of the untied copies."""
    gradient = jax.grad(partial(untied_loss, spec, hp, params, data))(untie(spec, hp, params, data))
    lowest = gradient.layers["layer_0"]
    names = {"kernel_share": "recurrent_kernel", "input_share": "kernel"}
    shares = {share: norm_shares(lowest[name]) for share, name in names.items() if name in lowest}
    state_T = row_norms(flat_rows(gradient.nudges))[::-1]
    inputs_T = row_norms(flat_rows(gradient.inputs))[::-1]
    found = {
        "state_gradient": jnp.log10(jnp.maximum(state_T, jnp.finfo(state_T.dtype).tiny) / state_T[0]),
        "least_state_gradient": jnp.min(state_T[1:]),
        "least_input_gradient": jnp.min(inputs_T[1:]),
    }
    sums = {"kernel_share": "earlier_share", "input_share": "earlier_input_share"}
    found |= shares | {sums[share]: jnp.sum(share_T[1:]) for share, share_T in shares.items()}
    return found | ({"least_share": jnp.min(shares["kernel_share"][:-1])} if "kernel_share" in shares else {})


def norm_shares(gradient_T: Array) -> Array:
    """The norms of the gradients of the steps [T, ...] over their sum, the last step first."""
    norms_T = row_norms(gradient_T.reshape(len(gradient_T), -1))[::-1]
    return norms_T / jnp.sum(norms_T)


def flat_rows(tree: Any) -> Array:
    """Leaves [T, ...] concatenated: [T, N]."""
    leaves = jax.tree.leaves(tree)
    return jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def untie(spec: Spec, hp: HParams, params: Params, data: WindowData) -> UntiedCopies:
    """A copy of the variables for each step of the window."""
    layers = {name: leaf for name, leaf in params.items() if name.startswith("layer_")}
    carry = build_network(spec, hp).carry(params, key_for(hp, "evaluation"), spec.batch)
    copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (spec.window, *leaf.shape)), layers)
    nudges = jax.tree.map(lambda leaf: jnp.zeros((spec.window, *leaf.shape)), carry)
    inputs_TB = jnp.asarray(data.inputs_WTB)[0]
    is_ids = jnp.issubdtype(inputs_TB.dtype, jnp.integer)
    return UntiedCopies(copies, nudges, jax.nn.one_hot(inputs_TB, spec.inputs) if is_ids else inputs_TB)


def untied_loss(spec: Spec, hp: HParams, params: Params, data: WindowData, copies: UntiedCopies) -> Array:
    """The training loss of the first window, each step with its copies."""
    losses_T = step_losses(spec, hp, params, data, copies)
    return REDUCTIONS[spec.reduction](losses_T, loss_mask_share(data))


def step_losses(spec: Spec, hp: HParams, params: Params, data: WindowData, copies: UntiedCopies) -> Array:
    """The masked losses [T] of the steps of the first window, means over streams."""
    model = build_network(spec, hp)
    start = model.carry(params, key_for(hp, "evaluation"), spec.batch)

    def step(carry: Carry, inputs_of_step: tuple[UntiedCopies, Any, Array | None]) -> tuple[Carry, Array]:
        copies, targets, loss_mask_B = inputs_of_step
        layers = params | copies.layers
        carry = jax.vmap(lambda carry, x: model.step(layers, carry, x))(carry, copies.inputs)
        carry = jax.tree.map(jnp.add, carry, copies.nudges)
        outputs_BO = jax.vmap(partial(model.readout, params))(carry)
        losses_B = jax.vmap(LOSSES[spec.loss])(outputs_BO, targets)
        return carry, jnp.mean(losses_B if loss_mask_B is None else losses_B * loss_mask_B)

    first = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], (data.targets_WTB, data.loss_mask_WTB))
    return jax.lax.scan(step, start, (copies, *first))[1]


def loss_mask_share(data: WindowData) -> Array | None:
    """The share of streams with loss mask 1 at each step [T]; None without a mask."""
    return None if data.loss_mask_WTB is None else jnp.mean(jnp.asarray(data.loss_mask_WTB)[0], axis=1)


def reduction_metrics(spec: Spec, hp: HParams, params: Params, data: WindowData) -> dict[str, Array]:
    """The training gradient compared with those of other reductions of the losses of the steps."""
    copies = untie(spec, hp, params, data)

    def gradient(reduce: Callable[[Array], Array]) -> Params:
        def loss(params: Params) -> Array:
            layers = {name: leaf for name, leaf in params.items() if name.startswith("layer_")}
            tied = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (spec.window, *leaf.shape)), layers)
            return reduce(step_losses(spec, hp, params, data, copies._replace(layers=tied)))

        return jax.grad(loss)(params)

    window = select_window(data, jnp.int32(0))
    start = build_network(spec, hp).carry(params, key_for(hp, "evaluation"), spec.batch)
    without_dropout = replace(spec, dropout=False)
    training_loss = partial(
        window_loss, without_dropout, hp, start, jnp.bool_(False), key_for(hp, "evaluation"), window
    )
    train = jax.grad(training_loss, has_aux=True)(params)[0]
    last, summed = gradient(lambda losses_T: losses_T[-1]), gradient(jnp.sum)
    return {
        "last_difference": difference(train, last),
        "sum_cosine": cosine(train, summed),
        "accumulated_difference": difference(gradient(accumulate), summed),
    }


def accumulate(losses_T: Array) -> Array:
    """0 + l_1 + l_2 ..., in this order."""
    return jax.lax.scan(lambda total, loss: (total + loss, None), jnp.zeros(()), losses_T)[0]


def difference(found: Params, expected: Params) -> Array:
    """max |a - b| / max |b| of two trees."""
    gap = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), found, expected)
    size = jax.tree.map(lambda b: jnp.max(jnp.abs(b)), expected)
    return jnp.max(jnp.stack(jax.tree.leaves(gap))) / jnp.max(jnp.stack(jax.tree.leaves(size)))


def twin_difference(spec: Spec, hp: HParams, state: TrainState, data: WindowData) -> Array:
    """sum_mean_difference of COVERAGE_METRICS: two runs that differ in the reduction and in the learning rate only."""

    def train(reduction: Any, rate: Array | float) -> Params:
        plain = replace(spec, reduction=reduction, optimizer="sgd", clip_elementwise=False, schedule="constant")
        unclipped = hp._replace(learning_rate=rate, clip_norm=jnp.inf)  # type: ignore[arg-type]
        start = state.replace(opt_state=build_optimizer(plain, unclipped).init(state.params))
        return jax.lax.fori_loop(0, TWIN_STEPS, lambda _, at: train_step(plain, unclipped, data, at)[0], start).params

    rate = hp.learning_rate / spec.window
    return difference(train("mean", hp.learning_rate), train("sum", rate))
