#!/usr/bin/env bash
# Pallas: a kernel that lowers for a GPU, and that jax.vmap batches in the interpreter, does not lower for a GPU batched.
#
# Expected: jax.vmap of a pallas_call adds an axis to its grid, as it does in the interpreter and as Triton does, so
#   that a recurrent kernel written for one network runs for many networks, each with weights of its own.
# Instead (jax 0.10.2): the default GPU back end of pallas_call, Mosaic GPU, ends in an AssertionError without a message
#   while it lowers. Lowering needs no GPU, so this can be tried on any machine.
# Why it matters: what was tested on a CPU with interpret=True, batched, fails on the first GPU, and the error does not
#   say that vmap is the reason.
# Way around: write the batch as an axis of the grid with a BlockSpec for each array, or compiler_params of Triton, which
#   lower batched.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6 absl-py==2.5.1
cd "$folder"
JAX_PLATFORMS=cpu "$folder/env/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

NETWORKS, UNITS = 4, 128
STATES = jnp.asarray(np.random.default_rng(0).normal(size=(NETWORKS, UNITS)), jnp.float32)
WEIGHTS = jnp.asarray(np.random.default_rng(1).normal(size=(NETWORKS, UNITS)), jnp.float32)


def kernel(weight_ref, state_ref, output_ref):
    output_ref[...] = jnp.tanh(weight_ref[...] * state_ref[...])


def step(weight, state, **options):
    return pl.pallas_call(kernel, out_shape=jax.ShapeDtypeStruct(state.shape, state.dtype), **options)(weight, state)


def step_of_all(weights, states):
    row = pl.BlockSpec((1, UNITS), lambda network: (network, 0))
    shape = jax.ShapeDtypeStruct(states.shape, states.dtype)
    call = pl.pallas_call(kernel, grid=(NETWORKS,), in_specs=[row, row], out_specs=row, out_shape=shape)
    return call(weights, states)


def lowering(function, *arguments):
    try:
        jax.jit(function).trace(*arguments).lower(lowering_platforms=("cuda",))
    except AssertionError as error:
        return f"AssertionError({str(error)!r})"
    return "lowers"


print("jax", version("jax"))
found = {
    "one network": lowering(step, WEIGHTS[0], STATES[0]),
    "vmap": lowering(jax.vmap(step), WEIGHTS, STATES),
    "an axis of the grid": lowering(step_of_all, WEIGHTS, STATES),
    "vmap, Triton": lowering(
        jax.vmap(lambda weight, state: step(weight, state, compiler_params=triton.CompilerParams())), WEIGHTS, STATES
    ),
}
for name, outcome in found.items():
    print(f"{name}: {outcome}")
interpreted = jax.vmap(lambda weight, state: step(weight, state, interpret=True))(WEIGHTS, STATES)
right = bool(jnp.allclose(interpreted, jnp.tanh(WEIGHTS * STATES), atol=1e-6))
print("vmap in the interpreter is right:", right)

as_described = right and list(found.values()) == ["lowers", "AssertionError('')", "lowers", "lowers"]
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
