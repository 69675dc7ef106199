#!/usr/bin/env bash
# Flax NNX: SimpleCell computes in float32 where GRUCell and LSTMCell compute in the dtype of their inputs and weights.
#
# Expected: with parameters, state and inputs in float64 every recurrent cell of flax.nnx returns a float64 state;
#   dtype, the dtype of the computation, is left out and so "inferred from the inputs and the parameters".
# Instead (flax 0.12.8): GRUCell, LSTMCell and OptimizedLSTMCell return float64. SimpleCell casts all of it to float32,
#   without a warning where it is called step by step; nnx.RNN(SimpleCell(...)) ends in a TypeError of scan, whose
#   carry changes its dtype. SimpleCell(..., dtype=float64) computes in float64.
# Why it matters: a comparison of gradients in float64 (finite differences, weights of another framework) has an error of
#   1e-8 for this one cell, which looks like a wrong equation.
# Way around: pass dtype as well as param_dtype to SimpleCell.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet flax==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu JAX_ENABLE_X64=1 "$folder/env/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

jax.config.update("jax_enable_x64", True)
INPUTS = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 3)))


def build(kind, **more):
    return kind(3, 4, rngs=nnx.Rngs(0), param_dtype=jnp.float64, **more)


def start(cell):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), cell.initialize_carry((2, 3), nnx.Rngs(1)))


print("flax", version("flax"), "jax", version("jax"))
state_dtypes = {}
for kind in (nnx.GRUCell, nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.SimpleCell):
    cell = build(kind)
    _, h = cell(start(cell), INPUTS[:, 0])
    state_dtypes[kind.__name__] = str(h.dtype)
print("dtype of the state after one step:", state_dtypes)

cell, exact = build(nnx.SimpleCell), build(nnx.SimpleCell, dtype=jnp.float64)
error = float(jnp.abs(cell(start(cell), INPUTS[:, 0])[1] - exact(start(exact), INPUTS[:, 0])[1]).max())
print("SimpleCell against itself with dtype=float64: largest difference", error)

try:
    nnx.RNN(cell)(INPUTS, initial_carry=start(cell))
    refused = False
except TypeError as raised:
    refused = True
    print("nnx.RNN of it: TypeError:", str(raised).splitlines()[0])
whole = nnx.RNN(exact)(INPUTS, initial_carry=start(exact)).dtype == jnp.float64

others = {name: kept for name, kept in state_dtypes.items() if name != "SimpleCell"}
as_described = set(others.values()) == {"float64"} and state_dtypes["SimpleCell"] == "float32"
as_described = as_described and 1e-10 < error < 1e-6 and refused and whole
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
