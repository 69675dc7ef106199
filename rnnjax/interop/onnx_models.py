"""A model of ONNX as nodes and constants. The package onnx is imported when a model is read or written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import check_file


class Model(NamedTuple):
    """A graph by names: who computes a value, which values are constant, and how many axes values have."""

    producers: Mapping[str, Any]  # output -> its node
    constants: Mapping[str, np.ndarray]  # initializers, also those that are the default of an input
    inputs: Mapping[str, Any]  # name -> its type, of those without a default
    outputs: tuple[str, ...]
    ranks: Mapping[str, int]  # where they are known
    nodes: tuple[Any, ...]
    operators: tuple[Any, ...]  # the releases of its sets of operators
    source: str


def import_onnx() -> Any:
    """The package onnx. Raises: BadInput with the command that installs it."""
    try:
        import onnx
        import onnx.reference
        import onnx.shape_inference
    except ImportError:
        raise BadInput("onnx is not installed; expected it for models of ONNX: pip install 'rnnjax[interop]'") from None
    return onnx


def is_onnx_object(value: Any) -> bool:
    """Whether a value is a ModelProto, without an import of onnx."""
    return type(value).__name__ == "ModelProto" and hasattr(value, "graph")


def load_model(path: Path) -> Any:
    """The model of a file, with the data that it keeps beside it. Raises: BadInput for what is none."""
    check_file(path)
    onnx = import_onnx()
    try:
        return onnx.load(str(path))
    except Exception as error:  # DecodeError, OSError, ValidationError: whatever the file is
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise BadInput(f"{path}: is no model of ONNX that can be read ({reason})") from None


def read_model(model: Any, source: str) -> Model:
    """The parts of a model. Raises: BadInput for a model that is not valid."""
    onnx = import_onnx()
    try:
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(model)
        constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    except Exception as error:  # ValidationError, InferenceError, and what protobuf and NumPy raise
        reason = " ".join(str(error).split())[:150]
        raise BadInput(f"{source}: is not a valid model of ONNX ({reason})") from None
    graph = inferred.graph
    known = [*graph.value_info, *graph.input, *graph.output]
    return Model(
        {name: node for node in graph.node for name in node.output if name},
        constants,
        {each.name: each.type.tensor_type for each in graph.input if each.name not in constants},
        tuple(each.name for each in graph.output),
        {each.name: len(each.type.tensor_type.shape.dim) for each in known if each.type.tensor_type.HasField("shape")},
        tuple(graph.node),
        tuple(model.opset_import),
        source,
    )


def attributes(node: Any) -> dict[str, Any]:
    """The attributes of a node; texts as str, tensors as arrays."""
    onnx = import_onnx()
    found = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return {name: as_python(onnx, value) for name, value in found.items()}


def as_python(onnx: Any, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return [as_python(onnx, each) for each in value] if isinstance(value, list) else value


def fold(model: Model, node: Any, arrays: list[np.ndarray | None]) -> list[Any]:
    """The outputs of a node whose inputs are constants, by the definition of ONNX itself."""
    onnx = import_onnx()
    feeds = {name: array for name, array in zip(node.input, arrays, strict=True) if name and array is not None}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output]
    graph = onnx.helper.make_graph([node], "node", inputs, outputs)
    alone = onnx.helper.make_model(graph, opset_imports=list(model.operators))
    results: list[Any] = onnx.reference.ReferenceEvaluator(alone).run(None, feeds)
    return results


def describe(node: Any) -> str:
    """A node in a message: its operator and its name."""
    name = node.name or next((each for each in node.output if each), "")
    operator = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
    return f"{operator} '{name}'"
