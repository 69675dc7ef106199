"""The parts of a network that exporters need, and what they refuse alike."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.api.interop import form_of_network
from rnnjax.api.networks import Network
from rnnjax.errors import BadInput
from rnnjax.interop.form import NetworkForm
from rnnjax.networks.model import reads_whole_sequences
from rnnjax.settings import Spec

LARGEST_TABLE = 4_096  # ids of a network without an embedding: the identity in its place has the square of it


class ExportForm(NamedTuple):
    """The neutral form of a network with what it does not hold."""

    form: NetworkForm
    reads_ids: bool
    last_only: bool  # one output for a whole sequence, that of its last step


def form_to_export(network: Network) -> ExportForm:
    """The neutral form of a network. Raises: BadInput for a network that other libraries do not have."""
    form = form_of_network(network)
    return ExportForm(form, reads_ids(network), is_last_only(network.spec))


def is_last_only(spec: Spec) -> bool:
    """Whether there is one output for a whole sequence. Raises: BadInput where it is the mean over the steps."""
    if reads_whole_sequences(spec) and spec.task.summary == "mean":
        raise BadInput("task.summary: got 'mean', which is no layer of other libraries; expected 'last'")
    return reads_whole_sequences(spec)


def reads_ids(network: Network) -> bool:
    """Whether the inputs of a network are ids."""
    return bool(network.vocabulary) or network.spec.embedding > 0


def with_table(export: ExportForm) -> NetworkForm:
    """The form with an embedding where ids are read: the identity where the network has none.

    Raises: BadInput for so many ids that the identity is out of proportion.
    """
    form = export.form
    dtype = form.layers[0].forward["kernel"].dtype
    return form._replace(embedding=id_table(export.reads_ids, form.embedding, form.layers[0].inputs, dtype))


def id_table(reads_ids: bool, embedding: Any, size: int, dtype: Any = np.float32) -> Any:
    """The vector of each id: the embedding, or the identity [size, size]; None where no ids are read."""
    if embedding is not None or not reads_ids:
        return embedding
    if size > LARGEST_TABLE:
        raise BadInput(f"embedding: got none for {size:,} ids; expected one, or at most {LARGEST_TABLE:,} ids")
    return np.eye(size, dtype=dtype)
