#!/usr/bin/env bash
# Pallas: lowering a kernel for a GPU needs absl-py, which jax does not install; the error asks for another jaxlib.
#
# Expected: a kernel is lowered for CUDA on a machine without a GPU, as every other jitted function of jax is, in an
#   environment made by "pip install jax".
# Instead (jax 0.10.2): ValueError: "Cannot lower pallas_call on platform: gpu. To use Pallas on GPU, install jaxlib GPU."
#   What is missing is absl-py, which the module of the lowering imports and which is no dependency of jax. With it the
#   same jaxlib, built for CPUs, lowers the kernel. Flax and orbax bring it along, so it works beside them by chance.
# Why it matters: whoever checks on a CPU that a recurrent kernel lowers for a GPU installs gigabytes of CUDA and has the
#   same error again.
# Way around: pip install absl-py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
cat > lower.py << 'PYTHON'
from importlib.metadata import version

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

STATE = jnp.ones(128)


def kernel(state_ref, output_ref):
    output_ref[...] = jnp.tanh(state_ref[...])


step = pl.pallas_call(kernel, out_shape=jax.ShapeDtypeStruct(STATE.shape, STATE.dtype))
try:
    jax.jit(step).trace(STATE).lower(lowering_platforms=("cuda",))
    print("jax", version("jax"), "lowers")
except ValueError as error:
    print("jax", version("jax"), "ValueError:", str(error).split(".")[0])
PYTHON
export JAX_PLATFORMS=cpu
without=$("$folder/env/bin/python" -I lower.py)
"$folder/env/bin/pip" install --quiet absl-py==2.5.1
with=$("$folder/env/bin/python" -I lower.py)
echo "without absl-py: $without"
echo "with absl-py 2.5.1: $with"
if [[ "$without" == *"Cannot lower pallas_call on platform: gpu" && "$with" == *" lowers" ]]; then
  echo "as described"
else
  echo "CHANGED"
  exit 1
fi
