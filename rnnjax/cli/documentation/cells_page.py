"""docs/cells.md: every cell with its equation, its size and its source, from `CELLS`."""

import re

import jax

from rnnjax.cli.documentation.markdown import code, docstring, page, table
from rnnjax.networks.cells import CELLS, LINEAR_CELLS, build_spec_cell
from rnnjax.settings import HParams, Spec

INPUTS, HIDDEN = 32, 64  # of the networks whose parameters are counted
INTRODUCTION = f"""\
A cell is chosen by `cell` ([settings.md](settings.md)); your own is a function ([extending.md](extending.md)).
u = x W + b is the projected input, r = h R the recurrent input, s the logistic sigmoid, `*` elementwise, and the carry
is what one step hands to the next. Parameters are counted for D = {INPUTS} inputs and H = {HIDDEN} hidden units,
without the readout."""
PARALLEL = """\
The state of a cell that is *linear in the state* follows s' = a * s + b, where a and b depend on the input alone. All a
and b of a window are computed at once. `parallel = true` solves the recurrence of a window by an associative scan, in
about 2 log2 T rounds of elementwise work over the whole window; without it, step by step. Masks, sequences that are
packed into one row, layers and both directions work either way. The two agree within rounding: in tests within 1e-10
(relative, float64) and 2e-5 (float32), so that a run with `parallel = true` is another run, with other last bits. An
associative scan needs about twice the arithmetic and pays where many units of a device would be idle: on 2 CPU cores
it is slower and compiles longer ([measured](../results/bench/parallel_scan.md)).

`parallel = true` with another cell is refused, as are `dropout` and `layer_norm` of a cell whose state has no product
with one recurrent kernel."""
PRECISION = """\
`dtype = "bfloat16"` rounds the operands of all matrix products, and of the products of their gradients, to bfloat16 (8
significant bits) and adds up in float32. States, gates, biases, parameters and the optimizer stay in float32. On a CPU
it is no faster, because the rounding is computed as well; on a GPU it asks for the tensor cores (not yet measured).
Cells of Flax compute in a dtype of their own and are refused. What it changes in verdicts on starts, rates and
activations is measured in [results/precision](../results/precision/report.md)."""
FLAX = """\
`flax_simple`, `flax_gru`, `flax_mgu`, `flax_lstm` and `flax_optimized_lstm` are the cells of Flax with their own
initializers ([extending.md](extending.md#a-flax-cell))."""


def cells_page() -> str:
    """The page: one row per cell of rnnjax, then what cells that are linear in the state and bfloat16 do."""
    rows = [row(name) for name in CELLS if not name.startswith("flax")]
    cells = table(["cell", "equation", "parameters", "linear in the state", "source"], rows)
    sections = ["## Cells of Flax", FLAX, "## Windows in parallel", PARALLEL, "## bfloat16", PRECISION]
    return page("Cells", INTRODUCTION, cells, *sections)


def row(name: str) -> list[str]:
    cell = build_spec_cell(Spec(cell=name, inputs=INPUTS, hidden=HIDDEN), HParams())
    count = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(cell.init, jax.random.key(0))))
    source = re.search(r"Source: (.*)", " ".join(docstring(CELLS[name]).split()))
    where = source[1].rstrip(".") if source else ""
    return [code(name), equation(name), f"{count:,}", "yes" if name in LINEAR_CELLS else "no", where]


def equation(name: str) -> str:
    """The first paragraph of the docstring, and the second where the first has no equation."""
    first, second = (" ".join(part.split()) for part in docstring(CELLS[name]).split("\n\n")[:2])
    return first if " = " in first or "' = " in first else f"{first} {second.partition(' Source: ')[0]}"
