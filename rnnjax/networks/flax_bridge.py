"""Bridge to Flax: its recurrent cells as cells here, and cells from here as Flax modules.

`from_flax(nn.LSTMCell)` is a factory as those in `cells.CELLS`: registered there, a study can name it. `to_flax(gru,
features=64)` is an `nn.RNNCellBase`, for `nn.RNN` and `nn.Bidirectional`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Cell, OpaqueCell, Params


def from_flax(make: Callable[..., nn.RNNCellBase]) -> Callable[[Spec, HParams], OpaqueCell]:
    """A Flax cell as a cell here, with its own parameters and initializers.

    Args:
        make: called with features=H, returns the module: `nn.GRUCell` or `partial(MyCell, my_setting=3)`. Its carry may
            be any tree and its output y [H] any function of it; it must not draw random numbers.

    Returns:
        A factory (spec, hp) -> cell. The carry is (the module's carry, its last y), and the output is y. The settings
        `activation`, `*_initializer`, `*_gain`, `layer_norm` and `dropout` have no effect on the module.
    """

    def factory(spec: Spec, hp: HParams) -> OpaqueCell:
        module = linen_module(make, spec.hidden)
        example = jnp.zeros(spec.inputs)

        def carry() -> Carry:
            unused_key = jax.random.key(0)  # Flax's cells ask for one and all start from zeros
            return module.initialize_carry(unused_key, example.shape), jnp.zeros(spec.hidden)

        def init(key: Array) -> Params:
            return module.init(key, carry()[0], example)["params"]

        def step(params: Params, carry: Carry, x: Array) -> Carry:
            vector = jax.nn.one_hot(x, spec.inputs) if jnp.issubdtype(x.dtype, jnp.integer) else x
            return module.apply({"params": params}, carry[0], vector)

        return OpaqueCell(init, carry, step, lambda carry: carry[1])

    return factory


def linen_module(make: Callable[..., nn.RNNCellBase], features: int) -> nn.RNNCellBase:
    """The module. Raises: BadInput for what makes no cell of linen, such as a class of nnx."""
    name = getattr(make, "__name__", type(make).__name__)
    try:
        module = make(features=features)
    except TypeError as error:
        raise BadInput(f"from_flax: got {name}: {error}; expected a cell of flax.linen, made by features=H") from None
    if not isinstance(module, nn.Module):
        raise BadInput(f"from_flax: got {name}, which makes no cell of flax.linen; weights of nnx: rnnjax.from_nnx")
    return module


class FlaxCell(nn.RNNCellBase):
    """A cell from here as a Flax module; made by `to_flax`. Its parameters are those of the cell, under "cell"."""

    factory: Callable[[Spec, HParams], Cell | OpaqueCell]
    spec: Spec
    hp: HParams

    @nn.compact
    def __call__(self, carry: Carry, inputs: Array) -> tuple[Carry, Array]:
        """carry leaves [..., H], inputs [..., D] -> the new carry and the outputs [..., H]."""
        cell = self.factory(replace(self.spec, inputs=inputs.shape[-1]), self.hp)
        params = self.param("cell", cell.init)
        step = partial(cell.step, params)
        for _ in inputs.shape[:-1]:
            step = jax.vmap(step)
        carry = step(carry, inputs)
        output = cell.hidden_state
        for _ in inputs.shape[:-1]:
            output = jax.vmap(output)
        return carry, output(carry)

    @nn.nowrap
    def initialize_carry(self, rng: Array, input_shape: tuple[int, ...]) -> Carry:
        """The cell's carry at t = 0 for inputs of a shape [..., D]; `rng` is not used."""
        cell = self.factory(replace(self.spec, inputs=input_shape[-1]), self.hp)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*input_shape[:-1], *leaf.shape)), cell.carry())

    @property
    def num_feature_axes(self) -> int:
        return 1


def to_flax(
    factory: Callable[[Spec, HParams], Cell | OpaqueCell], features: int, hp: HParams | None = None, **settings: Any
) -> FlaxCell:
    """A cell from here for `nn.RNN`, which adds `seq_lengths`, `return_carry` and `reverse`.

    Args:
        factory: such as `cells.gru`. features: H. hp: gains, forget bias, leak. settings: other fields of `Spec`.
    """
    return FlaxCell(factory, Spec(hidden=features, **settings), hp or HParams())
