"""Networks of other libraries as networks here, and networks from here as their weights."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.api.networks import Network
from rnnjax.errors import BadInput
from rnnjax.interop.entries import check_file, check_one_of
from rnnjax.interop.form import NetworkForm
from rnnjax.interop.programs import form_to_program, program_to_form
from rnnjax.interop.safetensors import read_safetensors, safetensors_bytes
from rnnjax.interop.torch_entries import (
    TorchOptions,
    form_from_module,
    form_from_state_dict,
    form_to_state_dict,
    is_torch_module,
)
from rnnjax.interop.torch_files import read_torch_file
from rnnjax.settings import HParams, TaskSpec
from rnnjax.settings.vocabulary import Vocabulary
from rnnjax.storage.files import atomic_write
from rnnjax.studies.load_networks import IMPORTED, LoadedNetwork


def network_of_form(form: NetworkForm, vocabulary: Vocabulary | None = None) -> Network:
    """A network here that computes what a neutral form describes.

    Args: vocabulary: the token of each id of a network of texts; then `sample` and `evaluate` read and write texts.

    Raises: BadInput for arrays that do not fit, a form that no `Spec` describes, or a vocabulary of another size.
    """
    reads_ids = vocabulary is not None or form.embedding is not None
    task = TaskSpec(name=IMPORTED if vocabulary is None else "text", tokens=token_kind(vocabulary))
    carry = "reset" if form.layers and form.layers[0].backward is not None else "carried"
    loss = "cross_entropy" if reads_ids else "squared_error"
    spec, params = form_to_program(form, task=task, carry=carry, loss=loss)
    if vocabulary is not None and (len(vocabulary), len(vocabulary)) != (spec.inputs, spec.outputs):
        raise BadInput(f"vocabulary: got {len(vocabulary)} tokens; expected {spec.inputs}, as the network reads, and "
                       f"{spec.outputs}, as it predicts")  # fmt: skip
    loaded = LoadedNetwork(IMPORTED, 0, spec, HParams(), jax.tree.map(jnp.asarray, params), vocabulary or "")
    return Network(loaded)


def token_kind(vocabulary: Vocabulary | None) -> Any:
    """What the tokens of a vocabulary are, as `TaskSpec.tokens` has it."""
    if vocabulary is None or isinstance(vocabulary, str):
        return "characters"
    return "bytes" if all(token.startswith("<0x") for token in vocabulary) else "words"


def form_of_network(network: Network) -> NetworkForm:
    """The neutral form of a network here. Raises: BadInput for one that other libraries do not have."""
    if not isinstance(network, Network):
        raise BadInput(f"network: got {type(network).__name__}; expected a Network, as of load_network or run.network")
    return program_to_form(network.spec, network.params)


def from_torch(
    source: Any,
    *,
    part: str | None = None,
    activation: str = "tanh",
    embedding: str | None = None,
    readout: str | None = None,
    vocabulary: Vocabulary | None = None,
) -> Network:
    """A network of torch as a network here: `nn.RNN`, `nn.GRU` or `nn.LSTM`, an embedding before it, a readout behind.

    torch is never imported. Windows are read time first, whatever batch_first was.

    Args:
        source: a module, a state dict (name -> tensor or array), or a file: .safetensors, or .pt with weights alone.
        part: the module that alone is read, such as "encoder"; None = all, of which none may be left over.
        activation: of nn.RNN: tanh or relu; a state dict does not hold it, a module does.
        embedding, readout: names of these modules; None = found by their names and sizes.
        vocabulary: the token of each id, of a network of texts.

    Raises:
        BadInput: entries that are missing, misnamed or left over; sizes that do not fit; weights that are not finite; a
            layer that no cell here has (a projection, another activation); a file that holds code.

    Example:
        >>> shapes = {"weight_ih_l0": (6, 2), "weight_hh_l0": (6, 2), "bias_ih_l0": (6,), "bias_hh_l0": (6,)}
        >>> state_dict = {name: jax.numpy.ones(shape) for name, shape in shapes.items()}
        >>> imported = rj.from_torch(state_dict)
        >>> imported
        Network(gru 2, imported)
        >>> imported(jax.numpy.zeros((5, 2))).shape  # [T, D] -> h [T, H]
        (5, 2)
    """
    check_one_of("activation", activation, ("tanh", "relu"))
    options = TorchOptions(activation, False, part, embedding, readout)
    if is_torch_module(source):
        form = form_from_module(source, options)
    elif isinstance(source, Mapping):
        form = form_from_state_dict(source, options)
    elif isinstance(source, str | PathLike):
        form = form_from_state_dict(read_torch(Path(source)), options)
    else:
        raise BadInput(f"source: got {type(source).__name__}; expected a module, a state dict or a file")
    return network_of_form(form, vocabulary)


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The state dict of a file. Raises: BadInput for a file that is not there, or of another kind."""
    check_file(path)
    return read_safetensors(path) if path.suffix == ".safetensors" else read_torch_file(path)


def to_torch(
    network: Network,
    file: str | PathLike[str] | None = None,
    *,
    names: tuple[str, str, str] = ("embedding", "rnn", "readout"),
) -> dict[str, np.ndarray]:
    """The weights of a network as the entries of a state dict of torch, in NumPy.

    The second bias of torch's cells is 0, but for b_hn of a GRU. A readout that is the identity is left out.

    Args:
        file: a .safetensors file that is written too. names: of the modules of the embedding, the recurrent layers and
            the readout; "" = no module.

    Raises: BadInput for a cell, layer normalisation or initial state that torch does not have, or another kind of file.

    Example:
        >>> list(rj.to_torch(imported, names=("", "", "")))
        ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """
    entries = form_to_state_dict(form_of_network(network), names)
    if file is not None:
        if Path(file).suffix != ".safetensors":
            raise BadInput(f"file: got {str(file)!r}; expected a name that ends in .safetensors")
        with atomic_write(Path(file)) as stream:
            stream.write(safetensors_bytes(entries))
    return entries
