"""A patient: networks of one kind with what they are examined on, and what is seen of them."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor import free_running as freerun
from rnnjax.doctor.adapters import Subject, can_step
from rnnjax.doctor.batch import Batch, is_ids
from rnnjax.doctor.indicators import Floor
from rnnjax.doctor.observations import Objective, looks
from rnnjax.errors import BadInput
from rnnjax.settings import Spec
from rnnjax.training.loss import window_losses
from rnnjax.types import Carry, Params, WindowData


class Patient(NamedTuple):
    """R networks of one kind, their parameters and carries [R, ...], and what they are examined with."""

    subject: Subject
    params: Params
    batch: Batch
    carry: Carry | None = None
    objective: Objective | None = None
    held_out: Batch | None = None
    floor: Floor | None = None
    before: Params | None = None
    warm: Any = None  # inputs [T, B, ...] that are read before the batch; its state then is the one before the batch
    held_out_warm: Any = None


def objective_of(examined: Any, given: Callable[..., Array] | None) -> Objective | None:
    """The objective that is given, else the one that a `Spec` knows, else none."""
    if given is not None:
        return lambda outputs_TBO, batch: given(outputs_TBO, jnp.asarray(batch.targets))
    return of_spec(examined) if isinstance(examined, Spec) else None


def of_spec(spec: Spec) -> Objective:
    """What training makes small: the reduction of the losses of a window."""

    def objective(outputs_TBO: Array, batch: Batch) -> Array:
        targets: Any = jnp.asarray(batch.targets)
        data = WindowData(batch.inputs, targets, batch.loss_mask_TB, None, batch.target_scale_O)
        return window_losses(spec, outputs_TBO, data)[0]

    return objective


class Seen(NamedTuple):
    """What was seen of R networks, on the host."""

    found: dict[str, Any]  # of `looks`, [R, ...]
    free: dict[str, np.ndarray]  # of free running, [R, P]


def seen(patient: Patient) -> Seen:
    """Look at all networks of a patient at once."""
    subject, batch, held_out = patient.subject, patient.batch, patient.held_out
    fresh = starts(patient, batch)
    carry = warmed(patient, fresh if patient.carry is None else patient.carry, patient.warm)
    ahead = fresh if held_out is None else warmed(patient, starts(patient, held_out), patient.held_out_warm)
    first = partial(jax.tree.map, lambda leaf: leaf[0])
    steps = can_step(subject, first(patient.params), first(carry), jnp.asarray(batch.inputs))
    look = jax.vmap(partial(looks, subject, steps, patient.objective), in_axes=(None, None, 0, 0, 0, 0))
    found = jax.device_get(jax.jit(look)(batch, held_out, patient.params, carry, fresh, ahead))
    return Seen(found, free_signs(patient, carry, said(patient, carry, batch)[1].shape[-1]) if steps else {})


def warmed(patient: Patient, carry: Carry, inputs: Any) -> Carry:
    """The carries [R, B, ...] after some inputs, which are not looked at."""
    if inputs is None:
        return carry
    x = jnp.asarray(inputs)
    return jax.jit(jax.vmap(lambda params, carry: patient.subject.read(params, carry, x)[0]))(patient.params, carry)


def starts(patient: Patient, batch: Batch) -> Carry:
    """The start states [R, B, ...]: those of the network, zeros where it does not know them."""
    inputs, subject = jnp.asarray(batch.inputs), patient.subject
    if subject.start is not None:
        return jax.vmap(lambda params: subject.start(params, inputs))(patient.params)  # type: ignore[misc]
    if patient.carry is None:
        raise BadInput("carry: got none; expected the state before the batch, which this network does not know")
    if inputs.shape[1] != patient.batch.inputs.shape[1]:
        raise BadInput(f"held_out: got {inputs.shape[1]} streams; expected as many as the batch has")
    return jax.tree.map(jnp.zeros_like, patient.carry)


def said(patient: Patient, carry: Carry, batch: Batch) -> Any:
    """The shapes of the carry after a batch and of the outputs [T, B, O]."""
    first = partial(jax.tree.map, lambda leaf: leaf[0])
    return jax.eval_shape(patient.subject.read, first(patient.params), first(carry), jnp.asarray(batch.inputs))


def free_signs(patient: Patient, carry: Carry, outputs: int) -> dict[str, np.ndarray]:
    """What free running shows; nothing where the network cannot read its own output."""
    batch = patient.batch
    if not freerun.can_run_free(batch, outputs):
        return {}
    streams = min(freerun.STREAMS, batch.inputs.shape[1])
    if is_ids(batch.inputs):
        uniforms_NP = jax.random.uniform(jax.random.key(0), (freerun.LENGTH, streams))
        speak = jax.vmap(partial(freerun.free_texts, patient.subject), in_axes=(None, None, 0, 0))
        texts = jax.jit(speak)(batch.inputs[:, :streams], uniforms_NP, patient.params, carry)
        return freerun.text_signs(batch, np.asarray(texts))
    forecast = jax.vmap(partial(freerun.free_series, patient.subject), in_axes=(None, 0, 0))
    series = jax.jit(forecast)(batch.inputs[:, :streams], patient.params, carry)
    return freerun.series_signs(batch, np.asarray(series))
