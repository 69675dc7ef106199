"""Recurrent cells by name. Begin reading: `classic.py` (Elman, leaky and gated cells), then `build.py` (their parts).

May import: as the package `networks`.
"""

from collections.abc import Callable
from typing import cast

import flax.linen as nn

from rnnjax.errors import BadInput
from rnnjax.networks.cells.build import LAYER_NORM_EPSILON, build_cell, input_projection, with_layer_norm
from rnnjax.networks.cells.classic import elman, gru, gru_before, leaky, lstm, minimal
from rnnjax.networks.cells.exponential import slstm
from rnnjax.networks.cells.input_gated import min_gru, min_lstm
from rnnjax.networks.cells.state_space import lru, s4d
from rnnjax.networks.cells.structured import antisymmetric, cornn, exprnn, indrnn
from rnnjax.networks.flax_bridge import from_flax
from rnnjax.networks.fused import fused_kind
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup
from rnnjax.types import Cell, OpaqueCell

__all__ = [
    "CELLS",
    "LAYER_NORM_EPSILON",
    "LINEAR_CELLS",
    "NATIVE_CELLS",
    "OWN_OPAQUE_CELLS",
    "build_cell",
    "build_spec_cell",
    "elman",
    "gru",
    "gru_before",
    "input_projection",
    "leaky",
    "lstm",
    "minimal",
    "nonlinear_reason",
    "with_layer_norm",
]

CELLS: dict[str, Callable[[Spec, HParams], Cell | OpaqueCell]] = {
    "elman": elman,
    "leaky": leaky,
    "minimal": minimal,
    "gru": gru,
    "lstm": lstm,
    "gru_before": gru_before,
    "flax_simple": from_flax(nn.SimpleCell),
    "flax_gru": from_flax(nn.GRUCell),
    "flax_mgu": from_flax(nn.MGUCell),
    "flax_lstm": from_flax(nn.LSTMCell),
    "flax_optimized_lstm": from_flax(nn.OptimizedLSTMCell),
    "min_gru": min_gru,
    "min_lstm": min_lstm,
    "lru": lru,
    "s4d": s4d,
    "indrnn": indrnn,
    "antisymmetric": antisymmetric,
    "exprnn": exprnn,
    "cornn": cornn,
    "slstm": slstm,
}

NATIVE_CELLS = ("elman", "leaky", "minimal", "gru", "lstm", "gru_before")  # made of `INITIALIZERS` alone
LINEAR_CELLS = ("min_gru", "min_lstm", "lru", "s4d")  # linear in the state, which `parallel` asks for
OWN_OPAQUE_CELLS = (*LINEAR_CELLS, "cornn", "gru_before")  # of rnnjax, not one product of the state and then a gate


def build_spec_cell(spec: Spec, hp: HParams) -> Cell | OpaqueCell:
    """The cell of a spec, with layer normalisation if `spec.layer_norm`.

    Raises: BadInput for a name not in CELLS, for `parallel` of a cell that is not linear in its state, and for
        `recurrence = "fused"` of one that has no such kernel.
    """
    cell = lookup(CELLS, spec.cell, "cell")(spec, hp)
    if spec.parallel and (isinstance(cell, Cell) or cell.linear is None):
        raise BadInput(f"parallel: got true; expected false: {nonlinear_reason(spec)}")
    if spec.recurrence == "fused":
        cell = cast(Cell, cell)._replace(fused=fused_kind(spec))
    return with_layer_norm(cell, spec.dtype) if spec.layer_norm and isinstance(cell, Cell) else cell


def nonlinear_reason(spec: Spec) -> str:
    """Why a cell cannot be run by an associative scan, and which ones can."""
    return f"the state of '{spec.cell}' is not linear in the one before, as that of {', '.join(LINEAR_CELLS)} is"
