"""Which steps of a window train a network: the share of each in the gradient of what is optimised."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.probes.dynamics.gradients import norm_of_rows
from rnnjax.probes.optimization.clipping import cosine
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import task_windows
from rnnjax.training.batching import select_window
from rnnjax.training.loss import window_loss
from rnnjax.training.losses import LOSSES, REDUCTIONS
from rnnjax.training.optimizers import build_optimizer
from rnnjax.training.state import TrainState
from rnnjax.training.step import train_step
from rnnjax.types import Carry, Params, Probe, Task, WindowData, no_summary

TWIN_STEPS = 100  # of plain descent, with a sum over the window and with a mean
LONGEST = 64  # a window whose copies of the kernels are kept apart


class Untied(NamedTuple):
    """What a window's steps have of their own, leaves [T, ...]: then each has a gradient of its own."""

    layers: Params  # copies of the parameters of the layers
    nudges: Carry  # zeros, added to the carry after each step of each stream: [T, B, H]
    inputs: Array  # x_TBD; ids as one-hot rows


def coverage(spec: Spec, task: Task) -> Probe:
    """How much of the gradient comes from each step of the first window, its kernels taken for T untied copies.

    kernel_share [T]      |dL/dW_hh(t)| over the sum of these norms, by lag: 0 is the last step
    input_share [T]       the same of W_xh; both in a network of one layer, elsewhere of its lowest
    state_gradient [T]    log10 of |dL/dc_t| / |dL/dc_T|, c_t the whole carry after step t of T
    earlier_share, earlier_input_share   sums of these shares over all steps but the last
    least_share           the smallest kernel_share of a step that has a state before it: of all but the first
    least_state_gradient, least_input_gradient   the smallest |dL/dc_t| and |dL/dx_t| of the steps before the last
    last_difference       max |g - g_last| / max |g_last|, g what training takes of this window from the start state
                          and g_last the gradient of the last step's loss alone
    sum_cosine            of g with the gradient of the sum over all steps
    accumulated_difference   of the gradient of a sum of losses and one accumulated in the scan, relative
    sum_mean_difference   of the parameters after 100 steps of plain descent: sum at a rate, mean at T times that rate
    loop_keeps_last       1 if Python's `for loss in losses: pass` leaves the last of 16 in `loss`

    Raises:
        NotApplicable: windows of one step, or of more than 64.
    """
    require_unidirectional(spec)
    if not 1 < spec.window <= LONGEST:
        raise NotApplicable(f"window: got {spec.window}; expected 2 to {LONGEST} to look at each step's gradient")
    data = task_windows(task, task.train_N, spec.batch, spec.window)
    kept_last = float(left_by_a_loop(list(range(16))) == 15)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        values = of_steps(spec, hp, state.params, data) | of_reductions(spec, hp, state.params, data)
        twins = twin_difference(spec, hp, state, data)
        return values | {"sum_mean_difference": twins, "loop_keeps_last": jnp.full((), kept_last)}

    return Probe(measure, no_summary)


def left_by_a_loop(losses: list[int]) -> int:
    """What a loop that does nothing leaves in its variable."""
    loss = -1
    for loss in losses:  # noqa: B007, the very bug
        pass
    return loss


def of_steps(spec: Spec, hp: HParams, params: Params, data: WindowData) -> dict[str, Array]:
    """The values that come from untied copies."""
    gradient = jax.grad(partial(untied_loss, spec, hp, params, data))(untied(spec, hp, params, data))
    lowest = gradient.layers["layer_0"]
    names = {"kernel_share": "recurrent_kernel", "input_share": "kernel"}
    shares = {one: shares_of(lowest[name]) for one, name in names.items() if name in lowest}
    state_T = norm_of_rows(flat_rows(gradient.nudges))[::-1]
    inputs_T = norm_of_rows(flat_rows(gradient.inputs))[::-1]
    found = {
        "state_gradient": jnp.log10(jnp.maximum(state_T, jnp.finfo(state_T.dtype).tiny) / state_T[0]),
        "least_state_gradient": jnp.min(state_T[1:]),
        "least_input_gradient": jnp.min(inputs_T[1:]),
    }
    sums = {"kernel_share": "earlier_share", "input_share": "earlier_input_share"}
    found |= shares | {sums[one]: jnp.sum(share_T[1:]) for one, share_T in shares.items()}
    return found | ({"least_share": jnp.min(shares["kernel_share"][:-1])} if "kernel_share" in shares else {})


def shares_of(gradient_T: Array) -> Array:
    """The norms of the steps' gradients [T, ...] over their sum, the last step first."""
    norms_T = norm_of_rows(gradient_T.reshape(len(gradient_T), -1))[::-1]
    return norms_T / jnp.sum(norms_T)


def flat_rows(tree: Any) -> Array:
    """Leaves [T, ...] side by side: [T, N]."""
    leaves = jax.tree.leaves(tree)
    return jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def untied(spec: Spec, hp: HParams, params: Params, data: WindowData) -> Untied:
    """A copy of everything for each step of the window."""
    layers = {name: leaf for name, leaf in params.items() if name.startswith("layer_")}
    carry = build_network(spec, hp).carry(params, key_for(hp, "evaluation"), spec.batch)
    copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (spec.window, *leaf.shape)), layers)
    nudges = jax.tree.map(lambda leaf: jnp.zeros((spec.window, *leaf.shape)), carry)
    inputs_TB = jnp.asarray(data.inputs_WTB)[0]
    is_ids = jnp.issubdtype(inputs_TB.dtype, jnp.integer)
    return Untied(copies, nudges, jax.nn.one_hot(inputs_TB, spec.inputs) if is_ids else inputs_TB)


def untied_loss(spec: Spec, hp: HParams, params: Params, data: WindowData, own: Untied) -> Array:
    """What is optimised, over the first window, each step with what it has of its own."""
    losses_T = step_losses(spec, hp, params, data, own)
    return REDUCTIONS[spec.reduction](losses_T, counted(data))


def step_losses(spec: Spec, hp: HParams, params: Params, data: WindowData, own: Untied) -> Array:
    """The losses [T] of the steps of the first window, means over streams of what counts."""
    model = build_network(spec, hp)
    start = model.carry(params, key_for(hp, "evaluation"), spec.batch)

    def step(carry: Carry, of_step: tuple[Untied, Any, Array | None]) -> tuple[Carry, Array]:
        own, targets, loss_mask_B = of_step
        layers = params | own.layers
        carry = jax.vmap(lambda carry, x: model.step(layers, carry, x))(carry, own.inputs)
        carry = jax.tree.map(jnp.add, carry, own.nudges)
        outputs_BO = jax.vmap(partial(model.readout, params))(carry)
        losses_B = jax.vmap(LOSSES[spec.loss])(outputs_BO, targets)
        return carry, jnp.mean(losses_B if loss_mask_B is None else losses_B * loss_mask_B)

    first = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], (data.targets_WTB, data.loss_mask_WTB))
    return jax.lax.scan(step, start, (own, *first))[1]


def counted(data: WindowData) -> Array | None:
    """The share of streams that count at each step [T]."""
    return None if data.loss_mask_WTB is None else jnp.mean(jnp.asarray(data.loss_mask_WTB)[0], axis=1)


def of_reductions(spec: Spec, hp: HParams, params: Params, data: WindowData) -> dict[str, Array]:
    """The gradient that training takes against those of ways to add up the losses of a loop of our own."""
    own = untied(spec, hp, params, data)

    def gradient(added: Callable[[Array], Array]) -> Params:
        def loss(params: Params) -> Array:
            layers = {name: leaf for name, leaf in params.items() if name.startswith("layer_")}
            tied = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (spec.window, *leaf.shape)), layers)
            return added(step_losses(spec, hp, params, data, own._replace(layers=tied)))

        return jax.grad(loss)(params)

    window = select_window(data, jnp.int32(0))
    start = build_network(spec, hp).carry(params, key_for(hp, "evaluation"), spec.batch)
    still = replace(spec, dropout=False)
    of_training = partial(window_loss, still, hp, start, jnp.bool_(False), key_for(hp, "evaluation"), window)
    trained = jax.grad(of_training, has_aux=True)(params)[0]
    last, together = gradient(lambda losses_T: losses_T[-1]), gradient(jnp.sum)
    return {
        "last_difference": difference(trained, last),
        "sum_cosine": cosine(trained, together),
        "accumulated_difference": difference(gradient(accumulated), together),
    }


def accumulated(losses_T: Array) -> Array:
    """0 + l_1 + l_2 ..., one after the other."""
    return jax.lax.scan(lambda total, loss: (total + loss, None), jnp.zeros(()), losses_T)[0]


def difference(found: Params, expected: Params) -> Array:
    """max |a - b| / max |b| of two trees."""
    gap = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), found, expected)
    size = jax.tree.map(lambda b: jnp.max(jnp.abs(b)), expected)
    return jnp.max(jnp.stack(jax.tree.leaves(gap))) / jnp.max(jnp.stack(jax.tree.leaves(size)))


def twin_difference(spec: Spec, hp: HParams, state: TrainState, data: WindowData) -> Array:
    """How far two runs part that differ in nothing but sum or mean, the mean's rate being T times as long."""

    def trained(reduction: Any, rate: Array | float) -> Params:
        plain = replace(spec, reduction=reduction, optimizer="sgd", clip_elementwise=False, schedule="constant")
        free = hp._replace(learning_rate=rate, clip_norm=jnp.inf)  # type: ignore[arg-type]
        begun = state.replace(opt_state=build_optimizer(plain, free, 0).init(state.params))
        return jax.lax.fori_loop(0, TWIN_STEPS, lambda _, at: train_step(plain, free, data, at)[0], begun).params

    rate = hp.learning_rate / spec.window
    return difference(trained("mean", hp.learning_rate), trained("sum", rate))
