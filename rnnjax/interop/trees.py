"""Nested trees of parameters: entries by path, cells found in them, and cells arranged as layers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import Entries
from rnnjax.interop.form import Layer, NetworkForm, Readout
from rnnjax.types import Params


class TreeOptions(NamedTuple):
    """What a tree of parameters does not hold."""

    activation: str = "tanh"  # of a plain recurrent cell
    bidirectional: bool | None = None  # cells one after the other are the two directions of a layer; None = by sizes


class FoundCell(NamedTuple):
    """A cell of a tree."""

    path: str
    cell: str
    params: Params


def flatten(tree: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested mappings and sequences by path, joined by slashes."""
    if isinstance(tree, Mapping):
        items: Any = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    else:
        return {path: tree}
    return {
        name: leaf
        for key, branch in items
        if branch is not None
        for name, leaf in flatten(branch, f"{path}/{key}".lstrip("/")).items()
    }


def open_tree(tree: Any, source: str) -> Entries:
    """The entries of a tree. Raises: BadInput for anything but a tree with arrays."""
    if not isinstance(tree, Mapping) or not flatten(tree):
        raise BadInput(f"{source}: got {type(tree).__name__}; expected a tree of parameters, nested dictionaries")
    return Entries(flatten(tree), source)


def parents(entries: Entries, ending: str) -> list[str]:
    """The paths P for which there is an entry P/ending, in natural order: layer_2 before layer_10."""
    tail = f"/{ending}"
    found = [name[: -len(tail)] for name in entries.arrays if name.endswith(tail)]
    return sorted([*found, *([""] if ending in entries.arrays else [])], key=natural_key)


def natural_key(path: str) -> list[Any]:
    """A key of sorting that takes digits as numbers."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)|/", path) if part]


def join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def arrange(
    cells: Sequence[FoundCell], options: TreeOptions, source: str, readout: Readout | None = None
) -> tuple[Layer, ...]:
    """Cells as layers of one or two directions.

    Two directions are those under `forward...` and `backward...`; cells one after the other where asked for, or where
    their sizes fit no stack of single directions.

    Raises: BadInput where there is no cell, or an odd number for two directions.
    """
    if not cells:
        raise BadInput(f"{source}: got no recurrent cell; expected the parameters of at least one")
    backward = [cell for cell in cells if "backward" in cell.path.lower()]
    forward = [cell for cell in cells if cell not in backward]
    if not backward and pairs_fit(cells, options, readout):
        forward, backward = list(cells[::2]), list(cells[1::2])
    if backward and len(forward) != len(backward):
        raise BadInput(
            f"{source}: got {len(forward)} forward and {len(backward)} backward cells; expected as many of both"
        )
    activation = options.activation
    return tuple(
        Layer(cell.cell, cell.params, backward[i].params if backward else None, activation_of(cell.cell, activation))
        for i, cell in enumerate(forward)
    )


def activation_of(cell: str, activation: str) -> str:
    """The activation of a layer: the one given for a plain recurrent cell, else tanh."""
    return activation if cell == "elman" else "tanh"


def pairs_fit(cells: Sequence[FoundCell], options: TreeOptions, readout: Readout | None) -> bool:
    """Whether cells one after the other are two directions: as asked for, else where sizes fit that alone."""
    if options.bidirectional is not None or len(cells) % 2:
        return bool(options.bidirectional)
    sizes = [(len(cell.params["kernel"]), len(cell.params["recurrent_kernel"])) for cell in cells]
    last = None if readout is None else len(readout.kernel)
    single = [sizes[0][0], *(hidden for _, hidden in sizes)]
    stacked = [inputs for inputs, _ in sizes] == single[:-1] and last in (None, single[-1])
    widths = [sizes[0][0], *(2 * hidden for _, hidden in sizes[::2])]
    paired = sizes[::2] == sizes[1::2] and [inputs for inputs, _ in sizes[::2]] == widths[:-1]
    return not stacked and paired and last in (None, widths[-1])


def read_ends(entries: Entries, names: tuple[str, str, str]) -> tuple[np.ndarray | None, Readout | None]:
    """The embedding and the readout of what the cells have left. Args: names: of the leaves: table, kernel, bias.

    Raises: BadInput for more than one of each.
    """
    table, kernel, bias = names
    tables = [path for path in parents(entries, table) if join(path, table) in entries.left]
    heads = [path for path in parents(entries, kernel) if join(path, kernel) in entries.left]
    for kind, found in (("embedding", tables), ("dense layer", heads)):
        if len(found) > 1:
            raise BadInput(f"{entries.source}: got {len(found)} of the kind {kind} ({', '.join(found)}); expected one")
    embedding = entries.take(join(tables[0], table)) if tables else None
    if not heads:
        return embedding, None
    weight = entries.take(join(heads[0], kernel))
    offset = entries.take_if(join(heads[0], bias))
    return embedding, Readout(weight, np.zeros(weight.shape[-1], weight.dtype) if offset is None else offset)


def tree_form(
    entries: Entries, cells: Sequence[FoundCell], options: TreeOptions, names: tuple[str, str, str], hint: str = ""
) -> NetworkForm:
    """The form of the cells of a tree and of what is left of it. Raises: BadInput as `arrange` and `read_ends`."""
    embedding, readout = read_ends(entries, names)
    entries.finish(hint)
    return NetworkForm(arrange(cells, options, entries.source, readout), embedding, readout, source=entries.source)


def concatenated(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Blocks side by side; None where all are missing. Raises: BadInput where only some are."""
    found = [array for array in arrays if array is not None]
    if found and len(found) < len(arrays):
        raise BadInput(f"bias: got {len(found)} of {len(arrays)} blocks; expected all or none")
    return np.concatenate(found, axis=-1) if found else None
