"""A function of JAX with real arithmetic alone: complex numbers as pairs, and what depends on constants alone computed.

ONNX has no complex numbers in the operators that a cell needs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Literal

from rnnjax.errors import BadInput

INSIDE = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters of an operation that is a function itself
LINEAR = ("broadcast_in_dim", "reshape", "squeeze", "slice", "transpose", "concatenate", "neg", "reduce_sum", "copy")
# of which real and imaginary parts are those of the parts


class Pair(NamedTuple):
    """A complex array."""

    real: Array
    imag: Array


def with_real_arithmetic(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the same real arguments and results; complex numbers inside are pairs of real ones."""

    def run(*arguments: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        found = evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), found)

    return run


def evaluate(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """The results of a jaxpr, whose values are arrays or pairs."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
    for equation in jaxpr.eqns:
        values = [each.val if isinstance(each, Literal) else known[each] for each in equation.invars]
        known |= dict(zip(equation.outvars, evaluate_equation(equation, values), strict=True))
    return [each.val if isinstance(each, Literal) else known[each] for each in jaxpr.outvars]


def evaluate_equation(equation: Any, values: list[Any]) -> list[Any]:
    """The results of one operation: a function inside is entered, constants are computed at once."""
    inner = next((equation.params[key] for key in INSIDE if key in equation.params), None)
    if inner is not None and equation.primitive.name not in ("while", "cond", "scan"):
        return evaluate(getattr(inner, "jaxpr", inner), getattr(inner, "consts", []), values)
    sizes = [size for each in equation.outvars for size in each.aval.shape]
    if all(isinstance(size, int) for size in sizes) and not any(map(is_variable, values)):
        with jax.ensure_compile_time_eval():
            return bind(equation, values)
    if is_complex(equation.outvars[0]) or any(isinstance(value, Pair) for value in values):
        return [complex_operation(equation, values)]
    return bind(equation, values)


def is_variable(value: Any) -> bool:
    """Whether a value depends on the arguments of the function."""
    return isinstance(value, Pair | jax.core.Tracer)


def is_complex(variable: Any) -> bool:
    return jnp.issubdtype(variable.aval.dtype, jnp.complexfloating)


def bind(equation: Any, values: Sequence[Any]) -> list[Any]:
    """The results of an operation as JAX has it."""
    found = equation.primitive.bind(*values, **equation.params)
    return list(found) if equation.primitive.multiple_results else [found]


def complex_operation(equation: Any, values: list[Any]) -> Any:
    """A complex result, or a real one of complex values. Raises: BadInput for another operation."""
    name = equation.primitive.name
    if name == "complex":
        return Pair(*values)
    pairs = [as_pair(value) for value in values]
    if name in ("real", "imag"):
        return getattr(pairs[0], name)
    if name in ("add", "sub"):
        return Pair(*(equation.primitive.bind(*parts, **equation.params) for parts in zip(*pairs, strict=True)))
    if name == "mul":
        (a, b), (c, d) = pairs
        return Pair(a * c - b * d, a * d + b * c)
    if name == "convert_element_type":
        return pairs[0]
    if name in LINEAR:
        return Pair(*(equation.primitive.bind(*parts, **equation.params) for parts in zip(*pairs, strict=True)))
    raise BadInput(f"cell: its step has the operation '{name}' of complex numbers, which has no real form here; "
                   "expected operations such as add and mul")  # fmt: skip


def as_pair(value: Any) -> Pair:
    """A complex array as a pair; a real one with 0 as its imaginary part."""
    if isinstance(value, Pair):
        return value
    if jnp.issubdtype(jnp.result_type(value), jnp.complexfloating):
        with jax.ensure_compile_time_eval():
            return Pair(jnp.real(value), jnp.imag(value))
    return Pair(value, jnp.zeros_like(value))
