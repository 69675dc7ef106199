"""The operations of a function of JAX as nodes of ONNX, for one symbolic number of streams B."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from rnnjax.errors import BadInput
from rnnjax.interop.onnx_writer import Graph
from rnnjax.interop.real_arithmetic import INSIDE, with_real_arithmetic

PLAIN = {  # one node with the same inputs
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "pow": "Pow", "neg": "Neg",
    "tanh": "Tanh", "logistic": "Sigmoid", "exp": "Exp", "log": "Log", "abs": "Abs", "sqrt": "Sqrt", "sign": "Sign",
    "erf": "Erf", "sin": "Sin", "cos": "Cos", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "floor": "Floor",
    "ge": "GreaterOrEqual", "eq": "Equal", "and": "And", "or": "Or", "not": "Not", "stop_gradient": "Identity",
    "copy": "Identity", "copy_p": "Identity",
}  # fmt: skip


def write_function(graph: Graph, function: Callable[..., Any], arguments: Any, names: Sequence[str]) -> list[str]:
    """Adds the nodes of a function; the names of the leaves of its result.

    Args:
        arguments: types of the arguments; an axis of B streams is symbolic. names: of the values of their leaves.

    Raises: BadInput for an operation that is not written here.
    """
    closed = jax.make_jaxpr(with_real_arithmetic(function))(*arguments)
    constants = [graph.constant(unused(graph, "constant"), np.asarray(array)) for array in closed.consts]
    return write_equations(graph, closed.jaxpr, [*constants, *names])


def unused(graph: Graph, stem: str) -> str:
    """A name that nothing has yet."""
    return f"{stem}_{len(graph.nodes)}_{len(graph.constants)}"


def output_name(graph: Graph, stem: str) -> str:
    """As `unused`, for the output of a node."""
    return graph.prefix + unused(graph, stem)


def write_equations(graph: Graph, jaxpr: Any, names: Sequence[str]) -> list[str]:
    """The nodes of a jaxpr. Args: names: of its constants and inputs, in order."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], names, strict=True))

    def name_of(variable: Any) -> str:
        if not isinstance(variable, Literal):
            return known[variable]
        kind: Any = variable.aval
        array = np.asarray(variable.val, kind.dtype)
        return graph.constant(unused(graph, "literal"), array)

    for equation in jaxpr.eqns:
        inputs = [name_of(variable) for variable in equation.invars]
        inner = next((equation.params[key] for key in INSIDE if key in equation.params), None)
        if inner is not None:
            closed = getattr(inner, "jaxpr", inner)
            constants = [graph.constant(unused(graph, "constant"), np.asarray(a)) for a in getattr(inner, "consts", [])]
            outputs = write_equations(graph, closed, [*constants, *inputs])
        else:
            outputs = write_equation(graph, equation, inputs)
        known |= dict(zip(equation.outvars, outputs, strict=True))
    return [name_of(variable) for variable in jaxpr.outvars]


def write_equation(graph: Graph, equation: Any, inputs: list[str]) -> list[str]:
    """The nodes of one operation."""
    name = equation.primitive.name
    if name in PLAIN:
        return [graph.node(PLAIN[name], inputs, output_name(graph, name))]
    if name == "split":
        outputs = [output_name(graph, f"part{number}") for number in range(len(equation.outvars))]
        sizes = graph.ints(*map(int, equation.params["sizes"]))
        graph.node("Split", [*inputs, sizes], outputs, axis=int(equation.params["axis"]))
        return outputs
    if name not in WRITERS:
        raise BadInput(f"cell: its step has the operation '{name}', which is not written to ONNX here; expected one of "
                       "the cells elman, gru, gru_before, lstm, or operations such as add, mul, tanh")  # fmt: skip
    return [WRITERS[name](graph, equation, inputs)]


def add_node(graph: Graph, operator: str, *inputs: str, **attributes: Any) -> str:
    return graph.node(operator, list(inputs), output_name(graph, operator.lower()), **attributes)


def refuse_sizes(equation: Any) -> BadInput:
    name = equation.primitive.name
    return BadInput(f"cell: its step has a '{name}' over several streams, which is not written to ONNX here; "
                    "expected operations of each stream on its own")  # fmt: skip


def write_product(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """A product of a matrix [B, N] or more axes with a matrix of constants or states."""
    (left, right), batch = equation.params["dimension_numbers"]
    ranks = [len(variable.aval.shape) for variable in equation.invars]
    if tuple(batch[0]) or tuple(left) != (ranks[0] - 1,) or ranks[1] != 2:
        raise refuse_sizes(equation)
    second = inputs[1] if tuple(right) == (0,) else add_node(graph, "Transpose", inputs[1], perm=[1, 0])
    return add_node(graph, "MatMul", inputs[0], second)


def write_broadcast(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """New axes, and copies along them where there are any."""
    shape, places = equation.params["shape"], [int(axis) for axis in equation.params["broadcast_dimensions"]]
    new = [axis for axis in range(len(shape)) if axis not in places]
    value = add_node(graph, "Unsqueeze", inputs[0], graph.ints(*new)) if new else inputs[0]
    before = equation.invars[0].aval.shape
    sizes = dict(zip(places, before, strict=True))
    wanted = [1 if sizes.get(axis, 1) == size else size for axis, size in enumerate(shape)]
    if all(isinstance(size, int) and size == 1 for size in wanted):
        return value
    parts = [graph.ints(int(size)) if isinstance(size, int) else graph.streams for size in wanted]
    return add_node(graph, "Expand", value, add_node(graph, "Concat", *parts, axis=0))


def write_reshape(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Another shape, whose symbolic axis stays the first."""
    sizes, before = equation.params["new_sizes"], equation.invars[0].aval.shape
    moved = sizes[:1] != before[:1] and not all(isinstance(size, int) for size in (*sizes[:1], *before[:1]))
    if moved or any(not isinstance(size, int) for size in sizes[1:]):
        raise refuse_sizes(equation)
    first = [0 if not isinstance(size, int) else size for size in sizes[:1]]
    return add_node(graph, "Reshape", inputs[0], graph.ints(*first, *map(int, sizes[1:])))


def write_slice(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """A part of some axes, none of which is that of the streams."""
    shape, known = equation.invars[0].aval.shape, equation.params
    steps = known["strides"] or [1] * len(shape)
    limits = zip(known["start_indices"], known["limit_indices"], steps, strict=True)
    chosen = [(axis, *limit) for axis, limit in enumerate(limits) if limit != (0, shape[axis], 1)]
    if any(not isinstance(size, int) for part in chosen for size in part):
        raise refuse_sizes(equation)
    axes, starts, ends, strides = zip(*chosen, strict=True) if chosen else ((0,), (0,), (np.iinfo(np.int64).max,), (1,))
    return add_node(graph, "Slice", inputs[0], *(graph.ints(*map(int, part)) for part in (starts, ends, axes, strides)))


def write_mirror(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Some axes from their end to their start."""
    axes = list(map(int, equation.params["dimensions"]))
    parts = ([-1] * len(axes), [-np.iinfo(np.int64).max] * len(axes), axes, [-1] * len(axes))
    return add_node(graph, "Slice", inputs[0], *(graph.ints(*part) for part in parts))


def write_count(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """0, 1, 2 ... along an axis."""
    shape, axis = equation.params["shape"], equation.params["dimension"]
    if any(not isinstance(size, int) for size in shape):
        raise refuse_sizes(equation)
    array = np.indices(shape)[axis].astype(equation.params["dtype"])
    return graph.constant(unused(graph, "count"), array)


def write_sum(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return add_node(graph, "ReduceSum", inputs[0], graph.ints(*map(int, equation.params["axes"])), keepdims=0)


def write_largest(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return add_node(graph, "ReduceMax", inputs[0], axes=list(map(int, equation.params["axes"])), keepdims=0)


def write_power(graph: Graph, equation: Any, inputs: list[str]) -> str:
    if equation.params["y"] == 2:
        return add_node(graph, "Mul", inputs[0], inputs[0])
    exponent = np.asarray(equation.params["y"], equation.invars[0].aval.dtype)
    return add_node(graph, "Pow", inputs[0], graph.constant(unused(graph, "exponent"), exponent))


def write_choice(graph: Graph, equation: Any, inputs: list[str]) -> str:
    if len(inputs) != 3 or equation.invars[0].aval.dtype != bool:
        raise refuse_sizes(equation)
    return add_node(graph, "Where", inputs[0], inputs[2], inputs[1])


def write_type(graph: Graph, equation: Any, inputs: list[str]) -> str:
    dtype = np.dtype(equation.params["new_dtype"])
    return add_node(graph, "Cast", inputs[0], to=graph.onnx.helper.np_dtype_to_tensor_dtype(dtype))


def one(graph: Graph, equation: Any) -> str:
    return graph.constant(unused(graph, "one"), np.ones((), equation.invars[0].aval.dtype))


WRITERS: dict[str, Callable[[Graph, Any, list[str]], str]] = {
    "dot_general": write_product,
    "broadcast_in_dim": write_broadcast,
    "reshape": write_reshape,
    "slice": write_slice,
    "rev": write_mirror,
    "iota": write_count,
    "reduce_sum": write_sum,
    "reduce_max": write_largest,
    "integer_pow": write_power,
    "select_n": write_choice,
    "convert_element_type": write_type,
    "square": lambda graph, equation, inputs: add_node(graph, "Mul", inputs[0], inputs[0]),
    "rsqrt": lambda graph, equation, inputs: add_node(graph, "Reciprocal", add_node(graph, "Sqrt", *inputs)),
    "log1p": lambda graph, equation, inputs: add_node(
        graph, "Log", add_node(graph, "Add", *inputs, one(graph, equation))
    ),
    "expm1": lambda graph, equation, inputs: add_node(
        graph, "Sub", add_node(graph, "Exp", *inputs), one(graph, equation)
    ),
    "ne": lambda graph, equation, inputs: add_node(graph, "Not", add_node(graph, "Equal", *inputs)),
    "concatenate": lambda graph, equation, inputs: add_node(
        graph, "Concat", *inputs, axis=int(equation.params["dimension"])
    ),
    "squeeze": lambda graph, equation, inputs: add_node(
        graph, "Squeeze", *inputs, graph.ints(*map(int, equation.params["dimensions"]))
    ),
    "transpose": lambda graph, equation, inputs: add_node(
        graph, "Transpose", *inputs, perm=list(map(int, equation.params["permutation"]))
    ),
}
