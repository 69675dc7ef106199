"""The inputs of an examination, and the observations of its networks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.adapters import ModelAdapter, apply_batch, can_step
from rnnjax.doctor.batch import Batch, is_ids, predictions
from rnnjax.doctor.free_running import Generated, can_run_free, generate, generated_indicators
from rnnjax.doctor.indicators.levels import DataShift, Levels
from rnnjax.doctor.indicators.types import Floor
from rnnjax.doctor.nonfinite import find_origin, unknown_from
from rnnjax.doctor.observations import Objective, measure_network
from rnnjax.doctor.padding import measure_packing, measure_padding
from rnnjax.doctor.sequences.data import SequenceData
from rnnjax.errors import BadInput
from rnnjax.interop.references import SourceDifference
from rnnjax.settings import Spec
from rnnjax.training.loss import window_losses
from rnnjax.types import Carry, Params, WindowData


class ExaminationInput(NamedTuple):
    """R networks of one kind, their parameters and carries [R, ...], and the data to examine them with."""

    adapter: ModelAdapter
    params: Params
    batch: Batch
    carry: Carry | None = None
    objective: Objective | None = None
    held_out: Batch | None = None
    floor: Floor | None = None
    before: Params | None = None
    warm_up_inputs: Any = None  # [T, B, ...], processed before the batch to obtain its carry
    held_out_warm_up_inputs: Any = None
    record_is_mean: bool = False  # training curves hold the mean loss in the unit of the data, not the objective
    levels: Levels | None = None  # of the whole data; None: of the batch
    shift: DataShift | None = None  # of the whole data; None: of both batches
    notices: tuple[str, ...] | None = None  # on codes in the file; None: there is no file
    names: Sequence[str] = ()  # of the symbols of a text, or of the columns of the targets
    is_distance: bool = True  # the objective compares outputs and targets, see `distances`
    sequences: SequenceData | None = None  # of a task, or of batches with segments
    packed: Batch | None = None  # rows of several sequences, where `batch` has one in each
    source: SourceDifference | None = None  # to the outputs of the library that the network comes from
    detached: float | None = None  # share of the steps without a gradient in the last output, in the user's program
    target_mean_O: Any = None  # predictions times the target scale, plus this, are the values of the data; None: 0


def resolve_objective(network: Any, objective: Callable[..., Array] | None) -> Objective | None:
    """The given objective, else that of a `Spec`, else None."""
    if objective is not None:
        return lambda outputs_TBO, batch: objective(outputs_TBO, jnp.asarray(batch.objective_targets))
    return spec_objective(network) if isinstance(network, Spec) else None


def spec_objective(spec: Spec) -> Objective:
    """The training objective of a spec: the reduction of the losses of a window."""

    def objective(outputs_TBO: Array, batch: Batch) -> Array:
        targets: Any = jnp.asarray(batch.targets)
        data = WindowData(batch.inputs, targets, batch.loss_mask_TB, None, batch.target_scale_O)
        return window_losses(spec, outputs_TBO, data)[0]

    return objective


class UnknownIds(NamedTuple):
    """Inputs that a network does not know."""

    share: float  # of all
    remark: str = ""


class Observations(NamedTuple):
    """Measurements of R networks, on the host."""

    values: dict[str, Any]  # of `measure_network`, [R, ...]
    free_running: dict[str, np.ndarray]  # of free-running generation, [R, P]
    unknown_ids: UnknownIds | None = None  # None: the inputs are numbers
    origin: str = ""  # of numbers that are not finite, where the parameters are
    sums_streams: bool = False  # the objective grows with the number of streams
    steps: bool = True  # the network was run step by step
    generated: Generated | None = None  # by the first network
    padding: Mapping[str, np.ndarray] = MappingProxyType({})  # of `padding`, [R]


def observe(setup: ExaminationInput) -> Observations:
    """Measure all networks at once."""
    adapter, batch, held_out = setup.adapter, setup.batch, setup.held_out
    fresh = initial_carries(setup, batch)
    carry = warm_up(setup, fresh if setup.carry is None else setup.carry, setup.warm_up_inputs)
    alone = first_network(setup.params), first_network(carry)
    steps = can_step(adapter, *alone, jnp.asarray(batch.inputs), batch.segments_TB)
    measure = jax.vmap(partial(measure_network, adapter, steps, setup.objective), in_axes=(None, None, 0, 0, 0, 0))
    values = jax.device_get(
        jax.jit(measure)(batch, held_out, setup.params, carry, fresh, held_out_carries(setup, fresh))
    )
    generated = None
    if steps and values["finite"].any() and can_run_free(batch, predictions(batch, values["outputs"]).shape[-1]):
        generated = generate(adapter, batch, setup.params, carry)
    return Observations(
        values,
        {} if generated is None else generated_indicators(batch, generated),
        unknown_ids(setup, carry),
        non_finite_origin(setup, carry, values),
        sums_streams(setup.objective, batch, values["outputs"][0]),
        steps,
        generated and generated._replace(values=generated.values[:1]),
        observe_padding(setup, carry),
    )


def observe_padding(setup: ExaminationInput, carry: Carry) -> dict[str, np.ndarray]:
    """Changes of the outputs by padding and by the other sequences of a row. Args: carry: before the batch."""
    found = measure_padding(setup.adapter, setup.batch, setup.params, carry)
    if setup.packed is None:
        return found | measure_packing(setup.adapter, setup.batch, setup.params, carry)
    start = initial_carries(setup, setup.packed)
    return found | measure_packing(setup.adapter, setup.packed, setup.params, start)


def unknown_ids(setup: ExaminationInput, carry: Carry) -> UnknownIds | None:
    """The share of the inputs that the first network does not know, in the batch and the held-out batch."""
    if not is_ids(setup.batch.inputs):
        return None
    params = jax.tree.map(jnp.asarray, first_network(setup.params))
    starts = {"batch": carry} | ({} if setup.held_out is None else {"held_out": initial_carries(setup, setup.held_out)})
    for name, start in starts.items():
        batch = getattr(setup, name)
        ids = np.asarray(batch.inputs)
        apply = jax.jit(lambda ids, start, batch=batch: apply_batch(setup.adapter, params, start, batch, ids)[1])
        size = unknown_from(partial(apply, start=first_network(start)), ids, params)
        if size is not None:
            share = float(np.mean(ids >= size))
            return UnknownIds(share, f"ids up to {ids.max()}, of which the network knows 0 to {size - 1}")
    return UnknownIds(0.0)


def non_finite_origin(setup: ExaminationInput, carry: Carry, values: dict[str, Any]) -> str:
    """Where the first number that is not finite comes from, in the first network with finite parameters."""
    results_R = values["finite"] & np.isfinite(values["objective"])
    broken = np.flatnonzero(values["params_finite"] & ~results_R)
    if not len(broken):
        return ""
    params, start = (jax.tree.map(lambda leaf: leaf[broken[0]], tree) for tree in (setup.params, carry))

    def results(inputs: Array) -> Any:
        outputs_TBO = apply_batch(setup.adapter, params, start, setup.batch, inputs)[1]
        return outputs_TBO if setup.objective is None else setup.objective(outputs_TBO, setup.batch)

    origin = find_origin(results, jnp.asarray(setup.batch.inputs))
    return "" if origin is None else origin.text


def sums_streams(objective: Objective | None, batch: Batch, outputs_TBO: np.ndarray) -> bool:
    """Whether an objective of every stream twice is larger than that of every stream once."""
    if objective is None:
        return False

    def twice(values: Any) -> Any:
        return None if values is None else jnp.concatenate([jnp.asarray(values)] * 2, axis=1)

    names = ("inputs", "targets", "loss_mask_TB", "given_targets", "segments_TB")
    doubled = batch._replace(**{name: twice(getattr(batch, name)) for name in names})
    try:
        once, both = float(objective(jnp.asarray(outputs_TBO), batch)), float(objective(twice(outputs_TBO), doubled))
    except Exception:  # a user's function may be written for one size
        return True
    return abs(both - once) > 0.1 * abs(once)


def first_network(tree: Any) -> Any:
    """The first of R networks."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def held_out_carries(setup: ExaminationInput, fresh: Carry) -> Carry:
    """The carries [R, B, ...] before the held-out batch."""
    if setup.held_out is None:
        return fresh
    return warm_up(setup, initial_carries(setup, setup.held_out), setup.held_out_warm_up_inputs)


def warm_up(setup: ExaminationInput, carry: Carry, inputs: Any) -> Carry:
    """The carries [R, B, ...] after some inputs."""
    if inputs is None:
        return carry
    read = Batch(inputs, inputs)
    return jax.jit(jax.vmap(lambda params, carry: apply_batch(setup.adapter, params, carry, read)[0]))(
        setup.params, carry
    )


def initial_carries(setup: ExaminationInput, batch: Batch) -> Carry:
    """The initial carries [R, B, ...] of the network, or zeros if it does not define them. Raises BadInput."""
    inputs, initial_carry = jnp.asarray(batch.inputs), setup.adapter.initial_carry
    if initial_carry is not None:
        return jax.vmap(lambda params: initial_carry(params, inputs))(setup.params)
    if setup.carry is None:
        raise BadInput("carry: got none; expected the state before the batch, since this network does not define one")
    if inputs.shape[1] != setup.batch.inputs.shape[1]:
        raise BadInput(f"held_out: got {inputs.shape[1]} streams; expected as many as the batch has")
    return jax.tree.map(jnp.zeros_like, setup.carry)


def output_shapes(setup: ExaminationInput, carry: Carry, batch: Batch) -> Any:
    """The shapes of the carry after a batch and of the outputs [T, B, O]."""
    read = partial(apply_batch, setup.adapter)
    return jax.eval_shape(lambda params, carry: read(params, carry, batch), *map(first_network, (setup.params, carry)))
