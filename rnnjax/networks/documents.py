"""Texts of many documents, read one after the other: the state is reset before the token that begins each of them."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params


def build_reader(spec: Spec, hp: HParams, document: int | None = None) -> Model:
    """The network of a spec as it reads and writes texts, as in training.

    Args: document: the id that begins a document; None = the text is one.
    """
    model = build_network(spec, hp)
    return model if document is None else with_documents(model, hp, document)


def with_documents(model: Model, hp: HParams, document: int) -> Model:
    """The model of ids that puts the initial state in the place of the carry before each id that begins a document."""
    key = key_for(hp, "evaluation")

    def apply(params: Params, carry: Carry, ids_TB: Array, *rest: Any, **flags: Any) -> tuple[Carry, Array, Array]:
        start = model.carry(params, key, ids_TB.shape[1])
        return model.apply(params, carry, ids_TB, *rest, **{"starts_TB": ids_TB == document, "start": start} | flags)

    def step(params: Params, carry: Carry, x: Array) -> Carry:
        start = jax.tree.map(lambda leaf: leaf[0], model.carry(params, key, 1))
        return model.step(params, jax.tree.map(lambda a, b: jnp.where(x == document, a, b), start, carry), x)

    return model._replace(apply=apply, step=step)
