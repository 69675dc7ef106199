"""Examine a network: measure it, compute its indicators, compare them with the limits of all conditions."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.adapters import is_float, make_adapter
from rnnjax.doctor.batch import Batch, check_ids, check_outputs, is_ids, validate_batch
from rnnjax.doctor.diagnosis import Diagnosis, judge_indicators
from rnnjax.doctor.distances import find_link
from rnnjax.doctor.forms import in_order, nearest_columns, one_form, with_counted_steps, with_link
from rnnjax.doctor.indicators.compute import all_indicators
from rnnjax.doctor.indicators.types import Floor
from rnnjax.doctor.inputs import (
    ExaminationInput,
    Observations,
    first_network,
    initial_carries,
    observe,
    output_shapes,
    resolve_objective,
)
from rnnjax.doctor.remedies import load_effects
from rnnjax.doctor.training_curves import TrainingCurves, validate_curves
from rnnjax.doctor.views import build_views
from rnnjax.errors import BadInput
from rnnjax.interop.references import SourceDifference, compare_outputs
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params

EXPECTED = {
    False: "expected it to return (carry, y), y [B, outputs] at each step",
    True: "expected it to return (carry, y) of a whole window, y [T, B, outputs]; for one answer to a sequence repeat "
    "its target at every step, return the output of every step, and give a loss mask that is 1 at the last",
}


def examine(
    network: Any,
    params: Params,
    batch: Any,
    *,
    hp: HParams | None = None,
    whole: bool = False,
    carry: Carry | None = None,
    objective: Callable[[Array, Array], Array] | None = None,
    held_out: Any = None,
    record: Any = None,
    floor: Floor | None = None,
    before: Params | None = None,
    reference: Any = None,
    detached: float | None = None,
) -> Diagnosis:
    """Check one network for every condition of `conditions.CONDITIONS`.

    Args:
        network: a `Spec`, a cell, a Flax module called as (carry, x) -> (carry, y), or a pure function
            apply(params, carry, x) -> (carry, y) of one step [B, ...], or of whole windows [T, B, ...] with `whole`.
        params: a tree of arrays; arrays of integers are ignored.
        batch: (inputs, targets), ids [T, B] or numbers [T, B, D], time first; T >= 4 steps of B >= 2 streams. A third
            part, the loss mask [T, B], is 1 where the loss counts; give it if only some steps have a target.
        hp: of a `Spec`.
        carry: the state before the batch; its floating leaves are [B, ...], its integer leaves are counters. Required
            unless the network defines its initial carry.
        objective: the training loss, (outputs [T, B, O], targets) -> scalar; shows which steps have a gradient. With
            it, there may be up to 3 outputs for each target, as a mean and a deviation: the one nearest to the target
            is the prediction.
        held_out: a batch that training has not used; it starts from the initial carry.
        reference: of a `Spec`, the outputs [T, B, O] that the library where the weights come from gives for the batch.
        detached: share of the steps whose inputs have no gradient in the last output, as of `step_gradients`.
        before: earlier parameters, to detect those that training has not changed.
        record: the training losses [S], or {"loss": ..., "gradient_norm": ..., "clip_share": ..., "update_norm": ...,
            "steps": ..., "clip_norm": ...}. A row is one optimizer step or the mean of several; steps [S], the number
            of steps done at the end of each row, is required to compute the path length from update_norm.
        floor: a known lower bound of the loss.

    Raises:
        BadInput: one line with the invalid argument and the expected value.
    """
    add_axis = partial(jax.tree.map, lambda leaf: jnp.asarray(leaf)[None])
    curves = None if record is None else validate_curves(record, 1)
    check_parameters(params, before)
    setup = ExaminationInput(
        make_adapter(network, hp, whole),
        add_axis(params),
        validate_batch("batch", batch),
        None if carry is None else add_axis(carry),
        resolve_objective(network, objective),
        None if held_out is None else validate_batch("held_out", held_out),
        floor,
        None if before is None else add_axis(before),
        record_is_mean=isinstance(network, Spec) and objective is None,
        detached=detached,
    )
    check_batches(setup, network.inputs if isinstance(network, Spec) else None)
    if reference is not None:
        setup = setup._replace(source=source_difference(network, params, setup, reference))
    setup = setup if isinstance(network, Spec) else in_one_form(setup)
    return diagnose(setup, observe(setup), curves)


def source_difference(network: Any, params: Params, setup: ExaminationInput, reference: Any) -> SourceDifference:
    """The difference to the outputs of the source. Raises: BadInput for another network or another shape."""
    if not isinstance(network, Spec):
        raise BadInput(
            f"reference: got one for {type(network).__name__}; expected a Spec, or a network of from_torch ..."
        )
    fresh = first_network(initial_carries(setup, setup.batch))
    carry = fresh if setup.carry is None else first_network(setup.carry)
    shape = output_shapes(setup, initial_carries(setup, setup.batch), setup.batch)[1].shape
    if np.shape(reference) != shape:
        raise BadInput(f"reference: got shape {list(np.shape(reference))}; expected {list(shape)}, time first")
    params = jax.tree.map(jnp.asarray, params)
    return compare_outputs(network, params, carry, fresh, setup.batch.inputs, reference)


def diagnose(setup: ExaminationInput, observations: Observations, curves: TrainingCurves | None) -> Diagnosis:
    """The findings in the observations of all R networks together."""
    diagnosis = judge_indicators(all_indicators(setup, observations, curves), load_effects())
    return diagnosis._replace(views=build_views(setup, observations, curves))


def in_one_form(setup: ExaminationInput) -> ExaminationInput:
    """The examination with ids for one-hot arrays, logits for probabilities, and a mask of the steps that count."""
    carry = setup.carry if setup.carry is not None else initial_carries(setup, setup.batch)
    width = output_shapes(setup, carry, setup.batch)[1].shape[-1]
    batches = [setup.batch, setup.held_out]
    if setup.objective is not None:
        batches = [each and with_counted_steps(each, setup.objective, width) for each in batches]
    adapter, objective, batches = one_form(setup.adapter, setup.objective, batches, width)
    assert batches[0] is not None
    setup = setup._replace(adapter=adapter, objective=objective, batch=batches[0], held_out=batches[1])
    return setup if is_ids(setup.batch.targets) else with_predictions(setup, carry)


def with_predictions(setup: ExaminationInput, carry: Carry) -> ExaminationInput:
    """The examination with outputs that are predictions of the targets, as far as the objective tells which are."""
    width = output_shapes(setup, carry, setup.batch)[1].shape[-1]
    if setup.objective is None or width != setup.batch.targets.shape[-1]:
        return predictions_first(setup, carry)
    name = find_link(setup.objective, setup.batch)
    if name in (None, "identity"):
        return setup._replace(is_distance=name is not None)
    adapter, objective, _ = with_link(setup.adapter, setup.objective, name, [])
    return setup._replace(adapter=adapter, objective=objective)


def predictions_first(setup: ExaminationInput, carry: Carry) -> ExaminationInput:
    """The examination with those outputs first that predict the targets, where there are more outputs than targets."""
    columns = setup.batch.targets.shape[-1]
    params, start = first_network(setup.params), first_network(carry)
    if output_shapes(setup, carry, setup.batch)[1].shape[-1] == columns or setup.objective is None:
        return setup
    outputs_TBO = jax.jit(setup.adapter.apply)(params, start, jnp.asarray(setup.batch.inputs))[1]
    order = nearest_columns(np.asarray(outputs_TBO), setup.batch)
    adapter, objective = in_order(setup.adapter, setup.objective, order)
    return setup._replace(adapter=adapter, objective=objective)


def check_parameters(params: Params, before: Params | None) -> None:
    """Raises BadInput unless there are floating arrays, and `before` has the same structure and shapes."""
    if not any(map(is_float, jax.tree.leaves(params))):
        raise BadInput("params: got no floating-point arrays; expected the parameters of a network")
    shapes = partial(jax.tree.map, jnp.shape)
    if before is not None and shapes(before) != shapes(params):
        raise BadInput("before: got arrays of other shapes than params; expected earlier values of the same parameters")


def check_batches(setup: ExaminationInput, symbols: int | None) -> None:
    """Raises BadInput unless the network accepts the batch and the held-out batch."""
    for name, batch in {"batch": setup.batch, "held_out": setup.held_out}.items():
        if batch is not None:
            check_ids(name, batch, symbols)
            check_network(setup, name, batch)


def check_network(setup: ExaminationInput, name: str, batch: Batch) -> None:
    """Raises BadInput unless the network accepts a batch and its outputs match the targets."""
    steps, streams = batch.inputs.shape[:2]
    expected = EXPECTED[setup.adapter.whole]
    try:
        carry = setup.carry if name == "batch" and setup.carry is not None else initial_carries(setup, batch)
        check_carry(carry, streams)
        outputs = output_shapes(setup, carry, batch)[1]
        valid = outputs.shape[:2] == (steps, streams) and outputs.ndim == 3 and is_float(outputs)
    except BadInput:
        raise
    except Exception as error:  # a user's function may raise anything
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"network: {type(error).__name__} when applied to {name}: {reason}; {expected}") from error
    if not valid:
        raise BadInput(f"network: got outputs {outputs.dtype} {outputs.shape} for {name}; {expected}")
    check_outputs(name, batch, outputs.shape[-1], setup.objective is not None)


def check_carry(carry: Carry, streams: int) -> None:
    """Raises BadInput unless the floating leaves [1, B, ...] of one network's carry have an axis of streams."""
    for leaf in filter(is_float, jax.tree.leaves(carry)):
        if leaf.shape[1:2] != (streams,):
            raise BadInput(f"carry: got numbers of shape {leaf.shape[1:]}; expected ({streams}, ...), streams first")
