"""The layers of a Keras model in the order in which data pass through them: of an object, or of stored settings."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import Entries

MASK_OPERATIONS = ("NotEqual", "Any")  # of a functional model: what Masking and mask_zero compute beside the data


class KerasLayer(NamedTuple):
    """A layer, its settings, and a function that gives its arrays one after the other.

    `take` is called with the place of an array as a .keras file has it, below the layer: "cell/vars/0".
    """

    kind: str  # the name of its class
    config: Mapping[str, Any]
    take: Callable[[str], np.ndarray]

    @property
    def name(self) -> str:
        return str(self.config.get("name", self.kind))


def is_keras_object(value: Any) -> bool:
    """Whether a value is a layer or a model of Keras, without an import of Keras."""
    of_keras = any(base.__module__.split(".")[0] == "keras" for base in type(value).__mro__)
    return of_keras and hasattr(value, "get_config") and hasattr(value, "get_weights")


def object_layers(value: Any) -> list[KerasLayer]:
    """The layers of a model, or the one layer that is given. Raises: BadInput for a model of a user's own class."""
    config, kind = value.get_config(), type(value).__name__
    if "layers" in config:
        found = {layer.name: partial(next_weight, layer.name, iter(layer.get_weights())) for layer in value.layers}
        return [
            KerasLayer(entry["class_name"], entry["config"], found.get(entry["config"]["name"], partial(no_weight, "")))
            for entry in chain(config)
        ]
    if hasattr(value, "layers"):
        raise BadInput(
            f"model: got a {kind} of a class of its own; expected a Sequential or functional model, or a layer"
        )
    return [KerasLayer(kind, config, partial(next_weight, value.name, iter(value.get_weights())))]


def next_weight(name: str, weights: Any, place: str) -> np.ndarray:
    """The next of the arrays of a layer. Raises: BadInput where there is none."""
    array = next(weights, None)
    if array is None:
        raise BadInput(f"{name}: has no weights at '{place}'; expected a layer that is built")
    return np.asarray(array)


def no_weight(source: str, place: str) -> np.ndarray:
    """Stands where a layer of a config has no arrays."""
    raise BadInput(f"{source}: has no '{place}'")


def stored_layers(model: Mapping[str, Any], entries: Entries) -> list[KerasLayer]:
    """The layers of the settings of a stored model; its arrays lie under numbered names of classes."""
    config = model.get("config", {})
    if "layers" not in config:
        kind = model.get("class_name")
        raise BadInput(f"{entries.source}: holds a {kind}; expected a Sequential or functional model")
    places = numbered([entry["class_name"] for entry in config["layers"]])
    place_of = {entry["config"]["name"]: place for entry, place in zip(config["layers"], places, strict=True)}

    def take(prefix: str, place: str) -> np.ndarray:
        return entries.take(f"layers/{prefix}/{place}")

    return [
        KerasLayer(entry["class_name"], entry["config"], partial(take, place_of[entry["config"]["name"]]))
        for entry in chain(config)
    ]


def numbered(kinds: Sequence[str]) -> list[str]:
    """The groups of layers in a file: names of classes in snake case, with a number from the second on."""
    counts: dict[str, int] = {}
    names = []
    for kind in kinds:
        name = snake_case(kind)
        names.append(f"{name}_{counts[name]}" if counts.get(name) else name)
        counts[name] = counts.get(name, 0) + 1
    return names


def snake_case(name: str) -> str:
    """SimpleRNN -> simple_rnn, LSTMCell -> lstm_cell, as Keras names its groups."""
    spaced = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def chain(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The layers of a model in order. Raises: BadInput where data do not pass through one after the other."""
    entries: list[Mapping[str, Any]] = config["layers"]
    if not any("inbound_nodes" in entry for entry in entries):
        return entries
    before = {
        entry["config"]["name"]: inbound(entry) for entry in entries if entry["class_name"] not in MASK_OPERATIONS
    }
    ends = config.get("output_layers", [])
    ends = [ends] if ends and isinstance(ends[0], str) else list(ends)
    if len(ends) != 1:
        raise BadInput(f"model: got {len(ends)} outputs; expected one")
    by_name = {entry["config"]["name"]: entry for entry in entries}
    order, name = [], ends[0][0]
    while name is not None:
        if name not in before:
            raise BadInput(
                f"model: got the layer '{name}' in a place that no network here has; expected a chain of layers"
            )
        order.append(by_name[name])
        name = before.pop(name)
    if before:
        raise BadInput(f"model: got the layer '{next(iter(before))}' beside the chain of layers; expected one chain")
    return order[::-1]


def inbound(entry: Mapping[str, Any]) -> str | None:
    """The layer that a layer of a functional model reads; None of an input."""
    nodes, name = entry["inbound_nodes"], entry["config"]["name"]
    if not nodes:
        return None
    found = tensors(nodes[0]["args"]) if len(nodes) == 1 and isinstance(nodes[0], Mapping) else []
    if len(found) != 1 or found[0][1:] != [0, 0]:
        raise BadInput(
            f"model: the layer '{name}' is used {len(nodes)} times, or reads several inputs; expected one each"
        )
    other = [key for key, value in nodes[0]["kwargs"].items() if key != "mask" and tensors(value)]
    if other:
        raise BadInput(f"model: the layer '{name}' is given {other[0]}=, which no network here has; expected none")
    return str(found[0][0])


def tensors(value: Any) -> list[list[Any]]:
    """The (layer, node, tensor) of each tensor in the arguments of a call."""
    if isinstance(value, Mapping):
        return [value["config"]["keras_history"]] if value.get("class_name") == "__keras_tensor__" else []
    return [found for item in value for found in tensors(item)] if isinstance(value, list | tuple) else []
