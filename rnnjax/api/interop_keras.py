"""Networks of Keras as networks here, and networks from here as weights and files of Keras."""

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.api.export_forms import form_to_export, with_table
from rnnjax.api.interop import network_of_form
from rnnjax.api.networks import Network
from rnnjax.errors import BadInput
from rnnjax.interop.keras_files import file_layers
from rnnjax.interop.keras_layers import form_from_layers
from rnnjax.interop.keras_models import is_keras_object, object_layers
from rnnjax.interop.keras_writer import form_to_layers, model_file, weights_file
from rnnjax.settings.vocabulary import Vocabulary
from rnnjax.storage.files import atomic_write


def from_keras(source: Any, *, activation: str = "tanh", vocabulary: Vocabulary | None = None) -> Network:
    """A network of Keras as a network here: SimpleRNN, GRU or LSTM, an Embedding before them, a Dense behind.

    A GRU becomes `gru`, with reset_after=False `gru_before`; Bidirectional layers are read where they concatenate. The
    state is not carried from window to window by itself: give the carry to `apply`. Softmax behind the Dense is left
    out, so that outputs are logits; so are dropout and masking.

    Args:
        source: a model or a layer, or a file of Keras 3: .keras, or .weights.h5 of weights alone. Files are read by
            h5py, without Keras: pip install 'rnnjax[interop]'.
        activation: of SimpleRNN in a .weights.h5 file, which does not hold it: tanh, relu, sigmoid, softsign, identity.
        vocabulary: the token of each id, of a network of texts.

    Raises:
        BadInput: layers or settings that no network here has, arrays that are missing, left over, of another size or
            not finite, links to other files, a file that cannot be read.

    Example:
        >>> _ = rj.to_keras(network, "network.keras")
        >>> rj.from_keras("network.keras")
        Network(gru 8, imported)
    """
    if isinstance(source, str | PathLike):
        layers, entries = file_layers(Path(source), activation)
        found = form_from_layers(layers)
        entries.finish("the layers of its settings have others")
    elif is_keras_object(source):
        found = form_from_layers(object_layers(source))
    else:
        raise BadInput(f"source: got {type(source).__name__}; expected a model or a layer of Keras, or a file")
    return with_task(network_of_form(found.form, vocabulary), found.softmax, found.last_only)


def with_task(network: Network, softmax: bool, last_only: bool) -> Network:
    """The network with its loss and, where the model has one output for a whole sequence, with that task.

    A network of texts stays one: the output of each step is what the model gives for the text up to it.
    """
    spec = network.loaded.spec
    if softmax:
        spec = replace(spec, loss="cross_entropy")
    if last_only and not network.vocabulary:
        predict: Any = "label" if spec.loss == "cross_entropy" else "values"
        spec = replace(spec, task=replace(spec.task, name="sequences", predict=predict, summary="last"))
    return replace(network, loaded=network.loaded._replace(spec=spec))


def to_keras(network: Network, file: str | PathLike[str] | None = None) -> list[np.ndarray]:
    """The weights of a network in the order of `set_weights` of a Sequential model of Keras with the same layers.

    Args:
        file: None, or where the model is written: .keras (`keras.models.load_model`), or .weights.h5 (`load_weights`),
            by h5py: pip install 'rnnjax[interop]'. A network that reads ids without an embedding gets one, the
            identity.

    Raises: BadInput for a cell, layer normalisation or initial state that Keras does not have, or another file name.

    Example:
        >>> [array.shape for array in rj.to_keras(network, "network.weights.h5")]
        [(9, 9), (9, 24), (8, 24), (2, 24), (8, 9), (9,)]
    """
    export = form_to_export(network)
    form = with_table(export)
    layers = form_to_layers(form, export.last_only)
    if file is not None:
        name = Path(file).name
        if not name.endswith((".keras", ".weights.h5")):
            raise BadInput(f"file: got {name!r}; expected a name that ends with .keras or .weights.h5")
        data = model_file(layers, form) if name.endswith(".keras") else weights_file(layers)
        with atomic_write(Path(file)) as stream:
            stream.write(data)
    return [array for layer in layers for array in layer.arrays.values()]
