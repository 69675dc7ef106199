"""Where the first number that is not finite comes from, and ids that a network does not know."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun  # type: ignore[attr-defined]  # an alias in JAX 0.12

CAUSES = {  # by the primitive of JAX that gives a number that is not finite from finite ones
    "log": "the logarithm of 0 or of a negative number",
    "log1p": "the logarithm of 0 or of a negative number",
    "div": "a division by 0",
    "rsqrt": "1 over the root of 0 or of a negative number",
    "sqrt": "the root of a negative number",
    "pow": "a power of 0 or of a negative number",
    "integer_pow": "a power of 0, or one beyond float32",
    "exp": "an exponential beyond float32",
    "gather": "an index beyond its array, which JAX fills with NaN",
    "dot_general": "a product beyond float32",
    "mul": "a product beyond float32",
    "acos": "an arccosine beyond 1",
    "asin": "an arcsine beyond 1",
}
HIDDEN_FRAMES = ("/jax/", "/flax/", "/rnnjax/", "importlib", "/optax/")


class Origin(NamedTuple):
    """The operation that gives the first number that is not finite."""

    primitive: str
    place: str  # file and line of the user's program; "" if unknown

    @property
    def text(self) -> str:
        cause = CAUSES.get(self.primitive, f"the operation {self.primitive}")
        return cause + (f", at {self.place}" if self.place else "")


def find_origin(function: Callable[..., Any], *inputs: Any) -> Origin | None:
    """The operation of a function that gives the first NaN, or the infinite number from which it follows.

    None if all results are finite. Runs the operations one by one, also those inside loops; slow, so only for what is
    known to fail.
    """
    closed = jax.make_jaxpr(function)(*inputs)
    arrays = [jnp.asarray(leaf) for leaf in jax.tree.leaves(inputs)]
    origins = list(non_finite_operations(closed, arrays, jnp.isnan))
    infinite = next(non_finite_operations(closed, arrays, jnp.isinf), None)
    if origins and infinite is not None and origins[0].primitive in ("sub", "mul", "div", "add", "dot_general"):
        return infinite
    return origins[0] if origins else infinite


def non_finite_operations(closed: ClosedJaxpr, inputs: list[Any], bad: Callable[[Array], Array]) -> Iterator[Origin]:
    """The first operation with a bad result from inputs that are not bad; nothing without one."""
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values |= dict(zip(closed.jaxpr.invars, inputs, strict=True))
    for equation in closed.jaxpr.eqns:
        arguments = [one.val if isinstance(one, Literal) else values[one] for one in equation.invars]
        results = run_equation(closed, equation, arguments)
        if has_bad(results, bad) and not has_bad(arguments, bad):
            yield next(inside(equation, arguments, bad), Origin(equation.primitive.name, place(equation)))
            return
        values |= dict(zip(equation.outvars, results, strict=True))


def run_equation(closed: ClosedJaxpr, equation: Any, arguments: list[Any]) -> list[Any]:
    """The results of one equation: those of a program that has no other."""
    inputs = [
        (one, value) for one, value in zip(equation.invars, arguments, strict=True) if not isinstance(one, Literal)
    ]
    by_variable = dict(inputs)  # an equation may read a variable twice
    alone = closed.jaxpr.replace(constvars=[], invars=list(by_variable), outvars=equation.outvars, eqns=[equation])
    return list(jaxpr_as_fun(ClosedJaxpr(alone, ()))(*by_variable.values()))


def has_bad(values: list[Any], bad: Callable[[Array], Array]) -> bool:
    return any(jnp.issubdtype(jnp.result_type(value), jnp.inexact) and bool(jnp.any(bad(value))) for value in values)


def inside(equation: Any, arguments: list[Any], bad: Callable[[Array], Array]) -> Iterator[Origin]:
    """The operation inside a call or a loop."""
    closed = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
    if not isinstance(closed, ClosedJaxpr):
        return
    if equation.primitive.name != "scan":
        yield from non_finite_operations(closed, arguments, bad)
        return
    carried, read = loop_sizes(equation)
    constants = len(arguments) - carried - read
    fixed, carry, rows = arguments[:constants], arguments[constants:][:carried], arguments[constants + carried :]
    order = range(equation.params["length"])
    for index in reversed(order) if equation.params["reverse"] else order:
        step_inputs = [*fixed, *carry, *(row[index] for row in rows)]
        found = next(non_finite_operations(closed, step_inputs, bad), None)
        if found is not None:
            yield found
            return
        carry = list(jaxpr_as_fun(closed)(*step_inputs))[:carried]


def loop_sizes(equation: Any) -> tuple[int, int]:
    """How many results of a scan are its carry, and how many arguments it reads row by row.

    Found by their ranks: only what has a row for each step has one axis more outside the loop than inside. The
    parameters that tell it have other names in other releases of JAX.
    """
    body = equation.params["jaxpr"].jaxpr
    carried = sum(map(same_rank, equation.outvars, body.outvars))
    return carried, len(equation.invars) - sum(map(same_rank, equation.invars, body.invars))


def same_rank(outside: Any, inside: Any) -> bool:
    return bool(len(outside.aval.shape) == len(inside.aval.shape))


def place(equation: Any) -> str:
    """File and line of the innermost frame that is not of a library; "" without one."""
    traceback = equation.source_info.traceback
    for frame in traceback.frames if traceback is not None else ():
        if not any(part in frame.file_name for part in HIDDEN_FRAMES):
            return f"{frame.file_name.rsplit('/', 1)[-1]}:{frame.line_num}"
    return ""


def unknown_from(apply: Callable[[Any], Array], ids: np.ndarray, params: Any) -> int | None:
    """The first id that a network does not know: it and all higher ones give the same outputs; None if it knows all.

    JAX raises no error for an index beyond an array: it reads the last row, or NaN, or codes the id as zeros. Tried are
    the first sizes of all matrices up to the highest id.
    """
    rows = {leaf.shape[0] for leaf in jax.tree.leaves(params) if jnp.ndim(leaf) == 2}
    candidates = sorted(size for size in rows if 2 <= size <= ids.max())
    if not candidates:
        return None
    outputs = np.asarray(apply(ids))
    return next((size for size in candidates if is_unknown(apply, ids, outputs, size, rows)), None)


def is_unknown(apply: Callable[[Any], Array], ids: np.ndarray, outputs: np.ndarray, size: int, rows: set[int]) -> bool:
    """Whether all ids from a size on give the same outputs, while those below it do not."""
    known = np.where(ids < size, (ids + 1) % size, ids)
    same = np.array_equal(np.asarray(apply(exchange_unknown(ids, size, rows))), outputs, equal_nan=True)
    return same and not np.array_equal(np.asarray(apply(known)), outputs, equal_nan=True)


def exchange_unknown(ids: np.ndarray, size: int, rows: set[int]) -> np.ndarray:
    """Ids whose outputs differ from those given if the network knows ids from a size on.

    Each is exchanged for the next one, unless the highest may be the last one known, which JAX reads for all above it:
    a network of 65 ids and 64 units has matrices of both sizes. Args: rows: the first sizes of all matrices.
    """
    highest = int(ids.max())
    if highest + 1 not in rows:
        return np.where(ids >= size, ids + 1, ids)
    others = size + (ids + 1 - size) % (highest + 1 - size) if highest > size else size - 1
    return np.where(ids >= size, others, ids)
