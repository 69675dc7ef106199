"""Parameters of Flax, Haiku and Equinox as networks here, and networks from here as their parameters."""

from typing import Any

from rnnjax.api.interop import form_of_network, network_of_form
from rnnjax.api.networks import Network
from rnnjax.interop.equinox_modules import form_from_equinox, form_to_equinox
from rnnjax.interop.flax_trees import form_from_linen, form_from_nnx, form_to_linen, form_to_nnx, nnx_tree
from rnnjax.interop.haiku_trees import form_from_haiku, form_to_haiku
from rnnjax.interop.trees import TreeOptions
from rnnjax.settings.vocabulary import Vocabulary
from rnnjax.types import Params


def from_linen(
    params: Any,
    *,
    activation: str = "tanh",
    bidirectional: bool | None = None,
    vocabulary: Vocabulary | None = None,
) -> Network:
    """Parameters of Flax linen as a network here: SimpleCell, MGUCell, GRUCell or LSTMCell, an Embed and a Dense.

    Cells are layers in the natural order of their names, wherever in the tree they are.

    Args:
        params: the tree, with or without {"params": ...} around it. activation: of SimpleCell. bidirectional: cells one
            after the other are the two directions of a layer; None = by names (`forward_rnn`) and sizes. vocabulary: as
            in `from_torch`.

    Raises: BadInput for parameters of other modules, or sizes that do not fit.

    Example:
        >>> import flax.linen as nn
        >>> variables = nn.RNN(nn.LSTMCell(4)).init(jax.random.key(0), jax.numpy.zeros((1, 5, 3)))  # [B, T, D]
        >>> rj.from_linen(variables)
        Network(lstm 4, imported)
    """
    return network_of_form(form_from_linen(params, TreeOptions(activation, bidirectional)), vocabulary)


def to_linen(network: Network) -> Params:
    """The weights as variables of Flax linen: {"params": {"Embed_0": ..., "RNN_0": {"cell": ...}, "Dense_0": ...}}.

    Raises: BadInput for a network that linen does not have.

    Example:
        >>> sorted(rj.to_linen(imported)["params"]["RNN_0"]["cell"])
        ['hn', 'hr', 'hz', 'in', 'ir', 'iz']
    """
    return form_to_linen(form_of_network(network))


def from_nnx(
    module: Any,
    *,
    activation: str = "tanh",
    bidirectional: bool | None = None,
    vocabulary: Vocabulary | None = None,
) -> Network:
    """A module of flax.nnx, or its state, as a network here; its cells, one Embed and one Linear.

    Args: activation: of a SimpleCell in a state; a module holds it. Others: as in `from_linen`.

    Raises: BadInput as `from_linen`, and for a cell with other functions or a residual.

    Example:
        >>> from flax import nnx
        >>> cell = nnx.GRUCell(3, 4, rngs=nnx.Rngs(0))
        >>> rj.from_nnx(nnx.RNN(cell))
        Network(gru 4, imported)
    """
    tree, found = nnx_tree(module)
    return network_of_form(form_from_nnx(tree, TreeOptions(found or activation, bidirectional)), vocabulary)


def to_nnx(network: Network, *, optimized: bool = False) -> Params:
    """The weights as pure dictionaries for cells of flax.nnx: {"embedding", "layers", "readout"}.

    `nnx.update(cell, tree["layers"][0]["forward"])` puts them into a cell.

    Args: optimized: an LSTM as `nnx.OptimizedLSTMCell` has it, else as `nnx.LSTMCell`.

    Raises: BadInput for a network that nnx does not have: its GRUCell has no place for b_hn.

    Example:
        >>> tree = rj.to_nnx(rj.from_nnx(nnx.RNN(cell)))
        >>> sorted(tree["layers"][0]["forward"])
        ['dense_h', 'dense_i']
        >>> nnx.update(cell, tree["layers"][0]["forward"])
    """
    return form_to_nnx(form_of_network(network), optimized)


def from_haiku(
    params: Any,
    *,
    activation: str = "relu",
    bidirectional: bool | None = None,
    vocabulary: Vocabulary | None = None,
) -> Network:
    """Parameters of Haiku as a network here: VanillaRNN (with ReLU, as Haiku has it), GRU, LSTM, an Embed and a Linear.

    The GRU is `gru_before` here; the 1 that Haiku adds to the forget gate when it runs is part of the bias here.

    Args: as in `from_linen`; cells are found by the names of their modules, lstm, gru and vanilla_rnn.

    Raises: BadInput for parameters of other modules, or sizes that do not fit.

    Example:
        >>> zeros = jax.numpy.zeros
        >>> rj.from_haiku({"lstm/linear": {"w": zeros((5, 8)), "b": zeros(8)}}).spec.inputs  # H = 8 / 4, D = 5 - H
        3
    """
    return network_of_form(form_from_haiku(params, TreeOptions(activation, bidirectional)), vocabulary)


def to_haiku(network: Network) -> Params:
    """The weights as parameters of Haiku under its default names: {"lstm/linear": {"w", "b"}, "linear": ...}.

    Raises: BadInput for a network that Haiku does not have, such as an elman cell without ReLU.

    Example:
        >>> list(rj.to_haiku(rj.from_haiku({"gru": {"w_i": zeros((3, 6)), "w_h": zeros((2, 6)), "b": zeros(6)}})))
        ['gru']
    """
    return form_to_haiku(form_of_network(network))


def from_equinox(module: Any, *, bidirectional: bool | None = None, vocabulary: Vocabulary | None = None) -> Network:
    """A module of Equinox as a network here: its cells in the order of its fields, an Embedding and a Linear.

    Args: as in `from_linen`.

    Raises: BadInput for other layers, or sizes that do not fit.

    Example:
        >>> import equinox as eqx  # doctest: +SKIP
        >>> rj.from_equinox(eqx.nn.GRUCell(3, 4, key=jax.random.key(0)))  # doctest: +SKIP
        Network(gru 4, imported)
    """
    return network_of_form(form_from_equinox(module, TreeOptions("tanh", bidirectional)), vocabulary)


def to_equinox(network: Network) -> dict[str, Any]:
    """The weights as layers of Equinox: {"embedding": ..., "layers": [[cell of each direction], ...], "readout": ...}.

    Raises: BadInput for a cell that Equinox does not have, or where it is not installed.

    Example:
        >>> rj.to_equinox(imported)["layers"][0][0].hidden_size  # doctest: +SKIP
        2
    """
    return form_to_equinox(form_of_network(network))
