"""Training as two pure functions of one run: `init` makes its state, `chunk` takes it some optimizer steps further.

The state is what the next step needs; the record is what the reader needs. Nothing here knows of other runs: `sweep`
adds the run axis with `vmap`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array

from rnnjax.losses import REDUCTIONS, cross_entropy
from rnnjax.model import Model, network
from rnnjax.optimizers import clipped
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Data, Params


class TrainState(struct.PyTreeNode):
    """All that the next optimizer step depends on besides the settings and the data."""

    params: Params
    opt_state: Any
    carry: Carry
    step: Array  # int32, optimizer steps done
    alive: Array  # bool: false once a loss, a gradient or a parameter was not finite; the state is then frozen
    diverged_at: Array  # int32, the step that was not finite; -1 = none


class Row(NamedTuple):
    """One optimizer step as the reader sees it, or the mean of several; a leaf per scalar."""

    loss: Array  # nats per character, mean over the window
    gradient_norm: Array  # of the whole gradient, before the clip
    clip_share: Array  # share of steps on which the clip fired
    update_norm: Array  # of what was added to the parameters


def keys(hp: HParams) -> tuple[Array, Array]:
    """(start key, data key) of a run: functions of its seed alone, so that runs with one seed are paired over arms."""
    start_key, data_key = jax.random.split(jax.random.key(hp.seed))
    return start_key, data_key


def init(spec: Spec, hp: HParams) -> TrainState:
    """The state of a run before its first step."""
    model = network(spec, hp)
    params = model.init(keys(hp)[0])
    return TrainState(
        params=params,
        opt_state=clipped(spec.optimizer, hp).init(params),
        carry=model.carry(spec.batch),
        step=jnp.int32(0),
        alive=jnp.bool_(True),
        diverged_at=jnp.int32(-1),
    )


def window_at(hp: HParams, data: Data, step: Array) -> tuple[Array, Array, Array]:
    """(inputs_TB, targets_TB, first) of a step: windows in the order of the text, from a place of the seed's choice.

    `first` is true where the text starts anew, so that a carried state must not be carried.
    """
    windows = data.inputs_WTB.shape[0]
    index = (jax.random.randint(keys(hp)[1], (), 0, windows) + step) % windows
    return jnp.asarray(data.inputs_WTB)[index], jnp.asarray(data.targets_WTB)[index], index == 0


def window_loss(
    spec: Spec, model: Model, carry: Carry, inputs_TB: Array, targets_TB: Array, params: Params
) -> tuple[Array, tuple[Carry, Array]]:
    """(loss to optimise, (carry after the window, loss to report in nats per character))."""
    carry, logits_TBO, _ = model.apply(params, carry, inputs_TB)
    losses_T = jnp.mean(jax.vmap(jax.vmap(cross_entropy))(logits_TBO, targets_TB), axis=1)
    return REDUCTIONS[spec.reduction](losses_T), (carry, jnp.mean(losses_T))


def train_step(spec: Spec, hp: HParams, data: Data, state: TrainState) -> tuple[TrainState, Row]:
    """One optimizer step of one run. A step that is not finite is not taken, and none after it."""
    model, optimizer = network(spec, hp), clipped(spec.optimizer, hp)
    inputs_TB, targets_TB, first = window_at(hp, data, state.step)
    start = model.carry(spec.batch)
    fresh = first | (spec.carry == "reset")
    carry = jax.tree.map(partial(jnp.where, fresh), start, state.carry)

    loss_of = partial(window_loss, spec, model, carry, inputs_TB, targets_TB)
    (_, (carry, loss)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    update, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, update)

    # Finite parameters plus a finite update are finite, so the parameters need no look of their own.
    norm, update_norm = optax.tree.norm(gradient), optax.tree.norm(update)
    alive = state.alive & jnp.isfinite(loss) & jnp.isfinite(norm) & jnp.isfinite(update_norm)
    new = state.replace(params=params, opt_state=opt_state, carry=carry)
    state = jax.tree.map(partial(jnp.where, alive), new, state).replace(
        step=state.step + 1,
        alive=alive,
        diverged_at=jnp.where(state.alive & ~alive, state.step, state.diverged_at),
    )
    row = Row(loss, norm, (norm > hp.clip_norm).astype(loss.dtype), update_norm)
    return state, jax.tree.map(lambda value: jnp.where(alive, value, jnp.nan), row)


def mean_row(spec: Spec, hp: HParams, data: Data, state: TrainState, steps: Array) -> tuple[TrainState, Row]:
    """`steps` optimizer steps and the mean of what they show."""

    def body(_: Array, carried: tuple[TrainState, Row]) -> tuple[TrainState, Row]:
        state, row = train_step(spec, hp, data, carried[0])
        return state, jax.tree.map(jnp.add, carried[1], row)

    state, row = jax.lax.fori_loop(0, steps, body, (state, Row(*[jnp.float32(0)] * len(Row._fields))))
    return state, jax.tree.map(lambda total: total / steps, row)


def chunk(spec: Spec, rows: int, hp: HParams, data: Data, state: TrainState, steps: Array) -> tuple[TrainState, Row]:
    """`steps` optimizer steps further.

    Args:
        rows: length of the record that is returned; static, at least ceil(steps / record_every).
        steps: traced, so that one compiled program serves chunks of every length.

    Returns:
        The state, and a record whose leaves are [rows]: row i is the mean over the i-th `record_every` steps of the
        chunk (the last row may be shorter); rows that were not reached are NaN.
    """

    def body(i: Array, carried: tuple[TrainState, Row]) -> tuple[TrainState, Row]:
        left = jnp.minimum(spec.record_every, steps - i * spec.record_every)
        state, row = mean_row(spec, hp, data, carried[0], left)
        return state, jax.tree.map(lambda record, value: record.at[i].set(value), carried[1], row)

    record = Row(*[jnp.full(rows, jnp.nan)] * len(Row._fields))
    return jax.lax.fori_loop(0, -(-steps // spec.record_every), body, (state, record))
