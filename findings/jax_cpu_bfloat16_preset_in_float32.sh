#!/usr/bin/env bash
# JAX on CPUs: a product with the preset BF16_BF16_F32 is computed in float32, without a word.
#
# Expected: jnp.matmul(x, y, precision=DotAlgorithmPreset.BF16_BF16_F32) of float32 arrays rounds the operands to
#   bfloat16, as the preset's name says and as GPUs do, or raises where the backend has no such algorithm.
# Instead (jax 0.10.2, CPU): it is accepted and the result is the float32 product: far nearer to the exact product than
#   rounded operands allow. Compiled or not, under vmap too. Nothing is said.
# Why it matters: a study of recurrent networks that compares float32 with bfloat16 by this setting, tried on a laptop,
#   compares float32 with itself: "bfloat16 changes nothing" follows from the setting and not from the network.
# Way around: round the operands oneself (jax.lax.reduce_precision(x, 8, 7), or astype(bfloat16) and back), or compare one
#   product with a rounded one before the study.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/env/bin/python" -I -W error - <<'PYTHON'
import sys
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np

print(*(f"{name} {version(name)}" for name in ("jax", "jaxlib", "numpy")))
rng = np.random.default_rng(0)
x, y = rng.normal(size=(8, 64)).astype(np.float32), rng.normal(size=(64, 32)).astype(np.float32)
exact = x.astype(np.float64) @ y.astype(np.float64)
rounded = (np.asarray(jnp.asarray(one, jnp.bfloat16), np.float64) for one in (x, y))
left, right = rounded
by_rounded = left @ right
preset = jax.lax.DotAlgorithmPreset.BF16_BF16_F32
product = lambda a, b: jnp.matmul(a, b, precision=preset)
ways = {
    "as it is": product(x, y),
    "compiled": jax.jit(product)(x, y),
    "under vmap": jax.vmap(product)(jnp.stack([x, x]), jnp.stack([y, y]))[0],
}
checks = []
for name, found in ways.items():
    to_exact, to_rounded = (float(np.abs(np.asarray(found, np.float64) - one).max()) for one in (exact, by_rounded))
    print(f"{name}: {to_exact:.1e} from the exact product, {to_rounded:.1e} from that of rounded operands")
    checks.append(to_exact < 1e-4 < 1e-2 < to_rounded)
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON
