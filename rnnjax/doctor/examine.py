"""Examine a network: look at it, read the signs, judge them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor import training_curves as records
from rnnjax.doctor.adapters import is_float, subject_of
from rnnjax.doctor.batch import Batch, checked, refuse_ids, refuse_outputs
from rnnjax.doctor.diagnosis import Examination, judged
from rnnjax.doctor.indicators import Curve, Floor, Sign, Signs, of_networks, of_streams, read_signs
from rnnjax.doctor.inputs import Patient, Seen, objective_of, said, seen, starts
from rnnjax.doctor.remedies import known_effects
from rnnjax.doctor.training_curves import Record
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params

EXPECTED = "expected (carry, y) of it, y [B, outputs] a step"


def examine(
    examined: Any,
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
) -> Examination:
    """Look for every condition of `conditions.CONDITIONS` in one network.

    Args:
        examined: a `Spec`, a cell, a Flax module called as (carry, x) -> (carry, y), or a pure function
            apply(params, carry, x) -> (carry, y) of one step [B, ...], or of whole windows [T, B, ...] with `whole`.
        params: a tree of arrays; those of integers are not looked at.
        batch: (inputs, targets), ids [T, B] or numbers [T, B, D], time first; T >= 4 steps of B >= 2 streams. A third
            part, counted [T, B], is 1 where the loss counts; give it where only some steps are asked for, as the last.
        hp: of a `Spec`. carry: the state before the batch; its leaves of numbers are [B, ...], those of integers are
            counts; needed where the network does not know it.
        objective: what your training makes small, of outputs [T, B, O] and targets: tells which steps it learns from.
        held_out: a batch that the network has not seen, read from the start state.
        before: earlier parameters, to tell what has not changed.
        record: the losses [S] of training, or {"loss": ..., "gradient_norm": ..., "clip_share": ...,
            "update_norm": ..., "steps": ..., "clip_norm": ...}. A row is one optimizer step or the mean of several;
            steps [S], done at the end of each row, are needed to tell from update_norm how far the weights have moved.
        floor: of the loss, where it is known.

    Raises:
        BadInput: of what is given, one line that says what is expected.
    """
    one = partial(jax.tree.map, lambda leaf: jnp.asarray(leaf)[None])
    curves = None if record is None else records.checked(record, 1)
    refuse_parameters(params, before)
    patient = Patient(
        subject_of(examined, hp, whole),
        one(params),
        checked("batch", batch),
        None if carry is None else one(carry),
        objective_of(examined, objective),
        None if held_out is None else checked("held_out", held_out),
        floor,
        None if before is None else one(before),
    )
    symbols = examined.inputs if isinstance(examined, Spec) else None
    for name, each in {"batch": patient.batch, "held_out": patient.held_out}.items():
        if each is not None:
            refuse_ids(name, each, symbols)
            refuse_network(patient, name, each)
    return diagnosis(patient, seen(patient), curves)


def refuse_parameters(params: Params, before: Params | None) -> None:
    """Raises BadInput unless there are arrays of numbers, and earlier ones are of the same form."""
    if not any(map(is_float, jax.tree.leaves(params))):
        raise BadInput("params: got no arrays of floating numbers; expected the parameters of a network")
    shapes = partial(jax.tree.map, jnp.shape)
    if before is not None and shapes(before) != shapes(params):
        raise BadInput("before: got a tree of other arrays than params; expected earlier values of the same")


def refuse_network(patient: Patient, name: str, batch: Batch) -> None:
    """Raises BadInput unless the network reads a batch from a state of its streams, and says what fits its targets."""
    steps, streams = batch.inputs.shape[:2]
    try:
        carry = patient.carry if name == "batch" and patient.carry is not None else starts(patient, batch)
        refuse_carry(carry, streams)
        outputs = said(patient, carry, batch)[1]
        fits = outputs.shape[:2] == (steps, streams) and outputs.ndim == 3 and is_float(outputs)
    except BadInput:
        raise
    except Exception as error:  # whatever a user's function raises
        why = " ".join(str(error).split())[:200]
        raise BadInput(f"network: {type(error).__name__} where it reads {name}: {why}; {EXPECTED}") from error
    if not fits:
        raise BadInput(f"network: got outputs {outputs.dtype} {outputs.shape} of {name}; {EXPECTED}")
    refuse_outputs(name, batch, outputs.shape[-1])


def refuse_carry(carry: Carry, streams: int) -> None:
    """Raises BadInput unless the numbers in the states [1, B, ...] of one network have an axis of streams."""
    for leaf in filter(is_float, jax.tree.leaves(carry)):
        if leaf.shape[1:2] != (streams,):
            raise BadInput(f"carry: got numbers of shape {leaf.shape[1:]}; expected ({streams}, ...), streams first")


def diagnosis(patient: Patient, what: Seen, curves: Record | None) -> Examination:
    """The findings in what was seen of all R networks together."""
    signs = read_signs(what.found, patient.batch, patient.held_out, patient.floor)
    frozen_R, names = never_trained(patient, what.found["gradients"])
    values = signs.values | {name: of_streams(values_RP) for name, values_RP in what.free.items()}
    values["said_next"] = Sign(np.array([float(patient.batch.said_next)]), "network")
    values["frozen"] = of_networks(np.where(what.found["finite"], frozen_R, np.nan))
    drawn = signs.curves
    if curves is not None:
        values |= record_signs(patient, what, curves)
        drawn = drawn | drawn_curves(curves)
    remarks = {"frozen": ", ".join(names)} if names else {}
    return judged(Signs(values, drawn, remarks), known_effects())


def record_signs(patient: Patient, what: Seen, curves: Record) -> dict[str, Sign]:
    """What the curves of training say; a run that left the finite numbers in training has diverged."""
    squares = (jnp.sum(leaf**2, axis=tuple(range(1, leaf.ndim))) for leaf in floats(patient.params))
    found = records.signs(curves, np.sqrt(sum(map(np.asarray, squares))))
    values = {name: of_networks(values_R) for name, values_R in found.items()}
    if curves.diverged_R is None:
        return values
    return values | {"finite": of_networks(np.maximum(1.0 - what.found["finite"], curves.diverged_R))}


def floats(tree: Any) -> list[Array]:
    return [leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)]


def never_trained(patient: Patient, gradients: Any) -> tuple[np.ndarray, list[str]]:
    """Share [R] of the arrays of parameters without a gradient, or without a change since `before`; their names."""
    still = {place(path): np.asarray(size_R) == 0 for path, size_R in jax.tree_util.tree_leaves_with_path(gradients)}
    if patient.before is not None:
        moved = jax.tree.map(unchanged, patient.params, patient.before)
        for path, same_R in jax.tree_util.tree_leaves_with_path(moved):
            if place(path) in still:  # not of integers, which have no gradient
                still[place(path)] = still[place(path)] | same_R
    still = {name: value for name, value in still.items() if name.split("/")[0] not in patient.subject.settled}
    table = np.array(list(still.values()))
    return table.mean(axis=0), [name for name, row in zip(still, table, strict=True) if row.all()]


def unchanged(now: Array, before: Array) -> np.ndarray:
    return np.asarray(jnp.all(now == before, axis=tuple(range(1, now.ndim))))


def place(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def drawn_curves(curves: Record) -> dict[str, Curve]:
    """The curves of training that findings are read from."""
    rows = curves.loss_RS.shape[1]
    steps = np.arange(1, rows + 1) if curves.steps_S is None else curves.steps_S
    made = partial(Curve, steps, over="runs", x_title="optimizer steps")
    loss = made(values_nm=curves.loss_RS, y_title="loss")
    found = dict.fromkeys(("rise", "jumps", "falling", "finite"), loss)
    if curves.update_norm_RS is not None:
        found["path"] = made(values_nm=curves.update_norm_RS, y_title="norm of an update")
    if curves.gradient_norm_RS is not None:
        norm = made(values_nm=curves.gradient_norm_RS, y_title="norm of the gradient")
        found |= dict.fromkeys(("shortening", "clip"), norm)
    return found
