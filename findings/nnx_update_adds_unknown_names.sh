#!/usr/bin/env bash
# Flax NNX: nnx.update with a misnamed weight adds a new attribute and leaves the layer untrained, without an error.
#
# Expected: nnx.update(model, loaded) with the recurrent weights under the name "weight" (PyTorch, Equinox), where
#   the layer's own name is "kernel", raises an error, as PyTorch's load_state_dict does.
# Instead (flax 0.12.8): a leaf of an unknown name is set as a new attribute of the module. The weights that
#   the cell reads keep their random start, the call succeeds and the outputs are exactly those of the random start.
#   A wrong shape under the right name is taken too: a GRU of 3 units with a (3, 3) kernel in place of (3, 9) runs,
#   each gate having one column for all units.
# Why it matters: recurrent cells name their matrices differently in every framework, so weights carried over are
#   the usual case. A GRU with a random recurrent matrix and the right input matrix produces plausible outputs.
# Way around: nnx.replace_by_pure_dict(state, loaded) raises for an unknown name; compare the paths and shapes of
#   nnx.to_pure_dict(nnx.state(model)) and of the loaded tree before the update.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet flax==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/env/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import jax
import jax.numpy as jnp
from flax import nnx

HIDDEN = 3
INPUTS = jnp.ones((1, 4, 2))
TRAINED = jnp.full((HIDDEN, 3 * HIDDEN), 0.5)


def fresh():
    return nnx.RNN(nnx.GRUCell(2, HIDDEN, rngs=nnx.Rngs(0)))


def shapes(model):
    return jax.tree.map(jnp.shape, nnx.to_pure_dict(nnx.state(model)))


print("flax", version("flax"), "jax", version("jax"))
start = fresh()(INPUTS)

misnamed = fresh()
nnx.update(misnamed, {"cell": {"dense_h": {"weight": TRAINED}}})
unchanged = bool(jnp.array_equal(misnamed(INPUTS), start))
added = hasattr(misnamed.cell.dense_h, "weight")
print("after the update under a wrong name: attribute added", added, "| outputs those of the random start", unchanged)

named = fresh()
nnx.update(named, {"cell": {"dense_h": {"kernel": TRAINED}}})
changed = not bool(jnp.array_equal(named(INPUTS), start))
print("after the update under the right name: outputs changed", changed)

narrow = fresh()
nnx.update(narrow, {"cell": {"dense_h": {"kernel": TRAINED[:, :HIDDEN]}}})
taken = shapes(narrow)["cell"]["dense_h"]["kernel"] == (HIDDEN, HIDDEN)
print("a kernel of another shape is taken:", taken, "| outputs", narrow(INPUTS)[0, -1])

try:
    nnx.replace_by_pure_dict(nnx.state(fresh()), {"cell": {"dense_h": {"weight": TRAINED}}})
    refused = False
except ValueError as error:
    refused = True
    print("replace_by_pure_dict:", error)

as_described = added and unchanged and changed and taken and refused
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
