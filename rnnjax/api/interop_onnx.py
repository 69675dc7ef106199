"""Models of ONNX as networks here, and networks from here as models of ONNX."""

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax import __version__
from rnnjax.api.export_forms import form_to_export, id_table, is_last_only, reads_ids, with_table
from rnnjax.api.interop import network_of_form
from rnnjax.api.interop_keras import with_task
from rnnjax.api.networks import Network
from rnnjax.errors import BadInput
from rnnjax.interop.onnx_models import is_onnx_object, load_model, read_model
from rnnjax.interop.onnx_scan import network_to_scan
from rnnjax.interop.onnx_trace import form_from_graph
from rnnjax.interop.onnx_writer import OPERATORS, Starts, form_to_model
from rnnjax.interop.programs import carry_to_states, states_to_carry
from rnnjax.settings.vocabulary import Vocabulary
from rnnjax.storage.files import atomic_write


def from_onnx(source: Any, *, vocabulary: Vocabulary | None = None) -> Network:
    """A model of ONNX as a network here: its operators RNN, GRU or LSTM, a Gather before them, MatMul or Gemm behind.

    A GRU becomes `gru`, with linear_before_reset=0, the default of ONNX, `gru_before`. Constant initial states become
    a learned initial state; those that are inputs of the model are the carry of `apply`. Softmax behind the readout is
    left out, so that outputs are logits. Nothing but the package onnx is needed: pip install 'rnnjax[interop]'.

    Args:
        source: a file, or a ModelProto. vocabulary: the token of each id, of a network of texts.

    Raises:
        BadInput: an operator that no network here has, by name; peepholes, clip, input_forget, direction=reverse,
            other activations; weights of another size or not finite; a file that is no model.

    Example:
        >>> _ = rj.to_onnx(network, "network.onnx")
        >>> rj.from_onnx("network.onnx")
        Network(gru 8, imported)
    """
    if isinstance(source, str | PathLike):
        model, name = load_model(Path(source)), str(source)
    elif is_onnx_object(source):
        model, name = source, "model"
    else:
        raise BadInput(f"source: got {type(source).__name__}; expected a file or a ModelProto of ONNX")
    found = form_from_graph(read_model(model, name))
    network = with_task(network_of_form(found.form, vocabulary), found.softmax, found.last_only)
    return network if found.starts is None else with_start(network, *found.starts)


def with_start(network: Network, hidden: list[np.ndarray], cell_state: list[np.ndarray] | None) -> Network:
    """The network with initial states [1, H] of K layers and directions as its parameters."""
    loaded = network.loaded
    start = jax.tree.map(jnp.asarray, states_to_carry(loaded.spec, hidden, cell_state))
    spec = replace(loaded.spec, initial_state="learned")
    return replace(network, loaded=loaded._replace(spec=spec, params=loaded.params | {"start": start}))


def to_onnx(network: Network, file: str | PathLike[str] | None = None) -> Any:
    """A network as a model of ONNX, with ONNX's own RNN, GRU or LSTM; the ModelProto, which may be written to a file.

    It runs for any number of steps T and streams B. Inputs: `x` [T, B, D] or `ids` [T, B]; and, all with defaults,
    `initial_h` (and `initial_c` of an lstm) [K, B, H] with K = layers * directions, and `lengths` [B]. Outputs: `y`
    [T, B, O], `final_h` and `final_c` [K, B, H]. A cell that ONNX does not have, or one with layer normalisation, is
    written as a Scan of its step, with `initial_layer_0` and `final_layer_0` [B, H] (`_0`, `_1` of several parts), and
    `backward_layer_0` of a second direction.

    Args: file: None = nothing is written.

    Raises: BadInput for a random initial state, or an operation of a cell that is not written to ONNX here.

    Example:
        >>> model = rj.to_onnx(network)
        >>> [one.name for one in model.graph.input], [one.name for one in model.graph.output]
        (['ids', 'initial_h', 'lengths'], ['y', 'final_h'])
    """
    if not isinstance(network, Network):
        raise BadInput(f"network: got {type(network).__name__}; expected a Network, as of load_network or run.network")
    if network.spec.initial_state in ("random", "fixed"):
        found = network.spec.initial_state
        raise BadInput(f"initial_state: got '{found}'; expected 'zero', 'constant' or 'learned'")
    is_operator = network.spec.cell in OPERATORS and not (network.spec.layer_norm or network.spec.layer_sizes)
    model = operator_model(network) if is_operator else scan_model(network)
    if file is not None:
        with atomic_write(Path(file)) as stream:
            stream.write(model.SerializeToString())
    return model


def operator_model(network: Network) -> Any:
    """The model of a network with ONNX's own operators, which compute in float32. Raises BadInput for another dtype."""
    if network.spec.dtype != "float32":
        raise BadInput(f"dtype: got '{network.spec.dtype}'; expected 'float32', in which ONNX's operators compute")
    plain = replace(network.spec, initial_state="zero")
    export = form_to_export(replace(network, loaded=network.loaded._replace(spec=plain)))
    starts = Starts(*carry_to_states(network.spec, network.initial_carry(1)))
    return form_to_model(with_table(export), starts, export.last_only, __version__)


def scan_model(network: Network) -> Any:
    """The model of a network with a Scan of its step."""
    spec, params = network.spec, network.params
    table = id_table(reads_ids(network), params["embedding"]["table"] if spec.embedding else None, spec.inputs)
    arguments = spec, network.hp, params, network.initial_carry(1), table, is_last_only(spec)
    return network_to_scan(*arguments, __version__)
