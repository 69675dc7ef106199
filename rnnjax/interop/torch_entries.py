"""torch: a state dict, or a module, as the neutral form, and back. torch itself is never imported here.

Names are those of `nn.RNN`, `nn.LSTM`, `nn.GRU` (`weight_ih_l0`, `weight_hh_l0_reverse` ...), of their cells (without
`_l0`), and `weight`, `bias` of `nn.Embedding` and `nn.Linear`, each behind the name of its module.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import Entries
from rnnjax.interop.form import Layer, NetworkForm, Readout
from rnnjax.interop.layouts import Weights, export_weights, import_weights
from rnnjax.types import Params

CELLS = {"rnn": "elman", "gru": "gru", "lstm": "lstm"}
ROWS = {1: "elman", 3: "gru", 4: "lstm"}  # rows of weight_hh / hidden -> cell
ENTRY = re.compile(r"(?:(?P<module>.*)\.)?(?P<kind>weight|bias)_(?P<part>ih|hh|hr)(?P<place>_l\d+(_reverse)?)?")
PROJECTION = "has a projection (proj_size), which no cell here has; expected an LSTM without"


class TorchOptions(NamedTuple):
    """What a state dict does not hold."""

    activation: str = "tanh"  # of nn.RNN
    batch_first: bool = False
    part: str | None = None  # the module of the state dict that alone is read
    embedding: str | None = None  # the name of the module; None = found
    readout: str | None = None
    notes: tuple[str, ...] = ()


def form_from_state_dict(arrays: Mapping[str, Any], options: TorchOptions = TorchOptions()) -> NetworkForm:  # noqa: B008
    """The neutral form of the entries of a state dict.

    Raises: BadInput for entries that are missing, misnamed or left over, or whose sizes do not fit.
    """
    entries = Entries(part_of(arrays, options.part), "state dict")
    modules = recurrent_modules(entries)
    layers = tuple(layer for module, places in modules.items() for layer in read_module(entries, module, places))
    layers = tuple(
        layer._replace(activation=options.activation) if layer.cell == "elman" else layer for layer in layers
    )
    width = layers[-1].hidden * len(layers[-1].directions)
    readout = read_readout(entries, options.readout, width)
    embedding = read_embedding(entries, options.embedding, layers[0].inputs)
    if embedding is None and readout is None and options.readout is None:
        embedding, readout = read_unbiased(entries, layers[0].inputs, width)
    elif readout is None:
        readout = read_unbiased(entries, -1, width)[1]
    entries.finish("name the recurrent module by part=")
    return NetworkForm(layers, embedding, readout, options.batch_first, "torch", options.notes)


def part_of(arrays: Mapping[str, Any], part: str | None) -> dict[str, Any]:
    """The entries of one module, or all. Raises: BadInput for a module that has none."""
    if not isinstance(arrays, Mapping) or not arrays:
        raise BadInput(f"state dict: got {type(arrays).__name__} {'' if arrays else 'without entries'}".strip()
                       + "; expected a mapping of names to tensors")  # fmt: skip
    if part is None:
        return dict(arrays)
    found = {name: array for name, array in arrays.items() if name.startswith(f"{part}.")}
    if not found:
        modules = sorted({name.rpartition(".")[0] for name in arrays} - {""})
        raise BadInput(f"part: got {part!r}; expected one of: {', '.join(modules)}")
    return found


def recurrent_modules(entries: Entries) -> dict[str, list[str]]:
    """Module -> its places `_l0`, `_l1` ("" of a single cell) in order. Raises: BadInput where there is none."""
    found: dict[str, list[str]] = {}
    for name in entries.arrays:
        match = ENTRY.fullmatch(name)
        if match is None:
            continue
        if match["part"] == "hr":
            raise BadInput(f"state dict: '{name}' {PROJECTION}")
        place = (match["place"] or "").removesuffix("_reverse")
        places = found.setdefault(match["module"] or "", [])
        if place not in places:
            places.append(place)
    if not found:
        names = list(entries.arrays)
        close = [name for name in names if difflib.get_close_matches(name.rpartition(".")[2], ["weight_ih_l0"], 1, 0.6)]
        listed = ", ".join(f"'{name}'" for name in (close or names)[:3])
        raise BadInput(f"state dict: has no 'weight_ih_l0' of a recurrent layer; the nearest: {listed}")
    return {module: sorted(places, key=lambda place: int(place[2:] or 0)) for module, places in found.items()}


def read_module(entries: Entries, module: str, places: Sequence[str]) -> list[Layer]:
    """The layers of one recurrent module."""
    prefix = f"{module}." if module else ""
    missing = [f"_l{i}" for i in range(int(places[-1][2:] or 0) + 1) if places != [""] and f"_l{i}" not in places]
    for place in missing:
        entries.take(f"{prefix}weight_ih{place}")
    layers = []
    for place in places:
        cell, forward = read_direction(entries, prefix, place)
        has_backward = any(f"{prefix}weight_{part}{place}_reverse" in entries for part in ("ih", "hh"))
        backward = read_direction(entries, prefix, f"{place}_reverse")[1] if has_backward else None
        layers.append(Layer(cell, forward, backward))
    return layers


def read_direction(entries: Entries, prefix: str, place: str) -> tuple[str, Params]:
    """The cell and the parameters of one layer and direction; G is the rows of weight_hh over its columns."""
    name = f"{prefix}weight_hh{place}"
    recurrent = entries.take(name)
    rows, hidden = recurrent.shape if recurrent.ndim == 2 else (0, 1)
    gates = rows // max(hidden, 1)
    if rows != gates * hidden or gates not in ROWS:
        raise BadInput(f"state dict: '{name}' has the shape {list(recurrent.shape)}; expected [G x H, H] with G = 1 "
                       "(RNN), 3 (GRU) or 4 (LSTM)")  # fmt: skip
    kernel = entries.take(f"{prefix}weight_ih{place}")
    if kernel.ndim != 2 or len(kernel) != rows:
        raise BadInput(
            f"state dict: '{prefix}weight_ih{place}' has the shape {list(kernel.shape)}; expected [{rows}, D]"
        )
    biases = read_biases(entries, prefix, place, rows)
    return ROWS[gates], import_weights("torch", ROWS[gates], Weights(kernel, recurrent, *biases))


def read_biases(entries: Entries, prefix: str, place: str, rows: int) -> tuple[Any, Any]:
    """Both biases, or none (bias=False). Raises: BadInput where there is only one."""
    names = [f"{prefix}bias_{part}{place}" for part in ("ih", "hh")]
    if not any(name in entries for name in names):
        strays = [name for name in entries.left if name.startswith(f"{prefix}bias") and not ENTRY.fullmatch(name)]
        return tuple(entries.take(name) for name in names) if strays else (None, None)  # type: ignore[return-value]
    return entries.take(names[0], (rows,)), entries.take(names[1], (rows,))


def read_readout(entries: Entries, name: str | None, width: int) -> Readout | None:
    """The linear layer behind the last recurrent layer: the one that is named, or the only one with a bias."""
    if name is None:
        biased = [each.removesuffix(".bias") for each in entries.left if each.endswith(".bias")]
        heads = [each for each in biased if f"{each}.weight" in entries and entries.arrays[f"{each}.weight"].ndim == 2]
        if len(heads) > 1:
            listed = ", ".join(heads)
            raise BadInput(f"state dict: got several linear layers ({listed}); expected one, or readout= and part=")
        if not heads:
            return None
        name = heads[0]
    weight = entries.take(f"{name}.weight")
    if weight.ndim != 2 or weight.shape[1] != width:
        raise BadInput(f"state dict: '{name}.weight' has the shape {list(weight.shape)}; expected [O, {width}], behind "
                       "the last recurrent layer")  # fmt: skip
    bias = entries.take_if(f"{name}.bias", (len(weight),))
    return Readout(weight.T.copy(), np.zeros(len(weight), weight.dtype) if bias is None else bias)


def read_embedding(entries: Entries, name: str | None, width: int) -> np.ndarray | None:
    """The table in front: the module that is named, or the one with `emb` in its name."""
    if name is None:
        named = [each for each in entries.left if each.endswith("weight") and "emb" in each.lower()]
        if not named:
            return None
        name = named[0].removesuffix(".weight")
    table = entries.take(f"{name}.weight")
    if table.ndim != 2 or table.shape[1] != width:
        raise BadInput(f"state dict: '{name}.weight' has the shape {list(table.shape)}; expected [V, {width}], the "
                       "inputs of the first recurrent layer")  # fmt: skip
    return table


def read_unbiased(entries: Entries, inputs: int, width: int) -> tuple[np.ndarray | None, Readout | None]:
    """Of the matrices that are left the first [V, inputs] as the embedding, and [O, width] as a readout of no bias."""
    embedding, readout = None, None
    for name in [each for each in entries.left if each.endswith("weight") and entries.arrays[each].ndim == 2]:
        columns = entries.arrays[name].shape[1]
        if embedding is None and readout is None and columns == inputs and is_in_front(entries, name):
            embedding = entries.take(name)
        elif readout is None and columns == width:
            weight = entries.take(name)
            readout = Readout(weight.T.copy(), np.zeros(len(weight), weight.dtype))
    return embedding, readout


def is_in_front(entries: Entries, name: str) -> bool:
    """Whether an entry stands before the first recurrent one, as the module of an embedding does."""
    names = list(entries.arrays)
    return names.index(name) < min(i for i, each in enumerate(names) if ENTRY.fullmatch(each))


def form_to_state_dict(form: NetworkForm, names: tuple[str, str, str]) -> dict[str, np.ndarray]:
    """The entries of a state dict; layers of different sizes are modules of one layer: `rnn.0.`, `rnn.1.` ...

    Args: names: of the modules of the embedding, the recurrent layers and the readout; "" = no module.

    Raises: BadInput for a cell that torch does not have.
    """
    embedding, recurrent, readout = (f"{name}." if name else "" for name in names)
    entries = {} if form.embedding is None else {f"{embedding}weight": form.embedding}
    stacked = len({layer.hidden for layer in form.layers}) == 1
    for number, layer in enumerate(form.layers):
        check_activation(layer)
        module = recurrent if stacked else f"{recurrent}{number}."
        for suffix, params in zip(("", "_reverse"), layer.directions, strict=False):
            weights = export_weights("torch", layer.cell, params)
            for part, array in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), weights, strict=True):
                assert array is not None
                entries[f"{module}{part}_l{number if stacked else 0}{suffix}"] = array
    if form.readout is not None:
        entries |= {f"{readout}weight": form.readout.kernel.T.copy(), f"{readout}bias": form.readout.bias}
    return entries


def check_activation(layer: Layer) -> None:
    """Raises: BadInput for an activation that nn.RNN does not have."""
    if layer.activation not in ("tanh", "relu"):
        raise BadInput(f"activation: got '{layer.activation}', which torch does not have; expected tanh or relu")


def is_torch_module(value: Any) -> bool:
    """Whether a value is an nn.Module, without an import of torch."""
    return any(base.__module__ == "torch.nn.modules.module" for base in type(value).__mro__)


def form_from_module(module: Any, options: TorchOptions) -> NetworkForm:
    """The neutral form of an nn.Module of recurrent layers, an embedding and a linear layer.

    What the state dict does not hold (activation, batch_first, dropout, the part of each module) is read off the
    modules. Raises: BadInput as `form_from_state_dict`, and for modules that a network here does not have.
    """
    parts = {name: part for name, part in module.named_modules() if not any(True for _ in part.children())}
    if options.part is not None:
        parts = {
            name: part for name, part in parts.items() if name == options.part or name.startswith(f"{options.part}.")
        }
    kinds = {name: type(part).__name__ for name, part in parts.items()}
    check_modules(kinds)
    recurrent = [parts[name] for name, kind in kinds.items() if kind.lower().removesuffix("cell") in CELLS]
    known = {kind: next((name for name in kinds if kinds[name] == kind), None) for kind in ("Embedding", "Linear")}
    found = options._replace(
        batch_first=any(getattr(part, "batch_first", False) for part in recurrent),
        embedding=options.embedding or known["Embedding"],
        readout=options.readout or known["Linear"],
        activation=getattr(recurrent[0], "nonlinearity", options.activation) if recurrent else options.activation,
        notes=dropout_notes(parts),
    )
    return form_from_state_dict(module.state_dict(), found)


def check_modules(kinds: Mapping[str, str]) -> None:
    """Raises: BadInput for a module that a network here does not have."""
    allowed = ("Embedding", "Linear", "Dropout", "Identity", "CrossEntropyLoss", "MSELoss", "NLLLoss")
    for name, kind in kinds.items():
        if kind.lower().removesuffix("cell") not in CELLS and kind not in allowed:
            raise BadInput(f"module: got a {kind} '{name}', which a network here does not have; expected recurrent "
                           "layers, one Embedding and one Linear, or part= with the name of one module")  # fmt: skip


def dropout_notes(parts: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each module with dropout, which is off in the network here."""
    rates = {name: getattr(part, "dropout", None) or getattr(part, "p", None) for name, part in parts.items()}
    return tuple(f"{name or 'module'}: dropout {rate} is left out" for name, rate in rates.items() if rate)
