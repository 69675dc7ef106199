"""Examine a network: look at it, read the signs, judge them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor import batch as batches
from rnnjax.doctor import record
from rnnjax.doctor.patient import Patient, Seen, objective_of, seen
from rnnjax.doctor.record import Record
from rnnjax.doctor.remedies import known_effects
from rnnjax.doctor.signs import Curve, Levels, Sign, Signs, of_networks, of_streams, read_signs
from rnnjax.doctor.subject import subject_of
from rnnjax.doctor.verdict import Examination, judged
from rnnjax.settings import HParams
from rnnjax.types import Carry, Params


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
    levels: Levels | None = None,
    before: Params | None = None,
) -> Examination:
    """Look for every condition of `conditions.CONDITIONS` in one network.

    Args:
        examined: a `Spec`, a cell, a Flax module called as (carry, x) -> (carry, y), or a pure function
            apply(params, carry, x) -> (carry, y) of one step [B, ...], or of whole windows [T, B, ...] with `whole`.
        batch: (inputs, targets), ids [T, B] or numbers [T, B, D], time first; T >= 4 steps of B >= 2 streams. A third
            part, counted [T, B], is 1 where the loss counts; give it where only some steps are asked for, as the last.
        hp: of a `Spec`. carry: the state before the batch, leaves [B, ...]; needed where the network does not know it.
        objective: what your training makes small, of outputs [T, B, O] and targets: tells which steps it learns from.
        held_out: a batch that the network has not seen, read from the start state.
        before: earlier parameters, to tell what has not changed.
        record: the losses [S] of training, or {"loss": ..., "gradient_norm": ..., "clip_share": ...,
            "update_norm": ..., "clip_norm": ...}.
        levels: the floor of the loss, where it is known.

    Raises:
        BadInput: of what is given, one line that says what is expected.
    """
    one = partial(jax.tree.map, lambda leaf: jnp.asarray(leaf)[None])
    curves = None if record is None else record_of(record, 1)
    patient = Patient(
        subject_of(examined, hp, whole),
        one(params),
        batches.checked("batch", batch),
        None if carry is None else one(carry),
        objective_of(examined, objective),
        None if held_out is None else batches.checked("held_out", held_out),
        levels,
        None if before is None else one(before),
    )
    return diagnosis(patient, seen(patient), curves)


record_of = record.checked


def diagnosis(patient: Patient, what: Seen, curves: Record | None) -> Examination:
    """The findings in what was seen of all R networks together."""
    signs = read_signs(what.found, patient.batch, patient.held_out, patient.levels)
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
    found = record.signs(curves, np.sqrt(sum(map(np.asarray, squares))))
    values = {name: of_networks(values_R) for name, values_R in found.items()}
    if curves.diverged_R is None:
        return values
    return values | {"finite": of_networks(np.maximum(1.0 - what.found["finite"], curves.diverged_R))}


def floats(tree: Any) -> list[Array]:
    return [leaf for leaf in map(jnp.asarray, jax.tree.leaves(tree)) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def never_trained(patient: Patient, gradients: Any) -> tuple[np.ndarray, list[str]]:
    """Share [R] of the arrays of parameters without a gradient, or without a change since `before`; their names."""
    still = {place(path): np.asarray(size_R) == 0 for path, size_R in jax.tree_util.tree_leaves_with_path(gradients)}
    if patient.before is not None:
        moved = jax.tree.map(partial(unchanged), patient.params, patient.before)
        for path, same_R in jax.tree_util.tree_leaves_with_path(moved):
            still[place(path)] = still.get(place(path), False) | same_R
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
