#!/usr/bin/env bash
# NumPy with bfloat16 arrays from JAX: one NaN leaves np.sort unsorted and gives np.median a plain number.
#
# Expected: np.sort puts NaN last and the rest in order, and np.median of data with a NaN is NaN: so it is
#   for float16, float32 and float64.
# Instead (numpy 2.4.6, ml_dtypes 0.6.0): for bfloat16, the type of a JAX bfloat16 array taken to NumPy, every
#   comparison with NaN is false and the sort does not treat it: [3, nan, 1, 2] comes back as it was, argsort is
#   [0, 1, 2, 3], for each kind of sort. np.median looks for NaN in the last place, where it is not, and can return
#   an ordinary number. No warning. jnp.sort of the same array is right, as is np.nanmedian.
# Why it matters: losses, gradient norms and activations of networks trained in bfloat16 are ranked and summarised
#   on the host. A run that diverged then hides in a plausible median, and "the best five seeds" by argsort are not.
# Way around: .astype(np.float32) before NumPy orders anything (exact for every bfloat16).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6 ml_dtypes==0.6.0
cd "$folder"
JAX_PLATFORMS=cpu "$folder/env/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import jax.numpy as jnp
import numpy as np

print(*(f"{name} {version(name)}" for name in ("numpy", "ml_dtypes", "jax")))
losses = np.asarray(jnp.array([3.0, jnp.nan, 1.0, 2.0], jnp.bfloat16))
checks = []
for kind in ("quicksort", "stable", "heapsort"):
    print(f"{kind}: sort {np.sort(losses, kind=kind)}, argsort {np.argsort(losses, kind=kind)}")
    checks.append(np.argsort(losses, kind=kind).tolist() == [0, 1, 2, 3])
for name in ("float16", "float32"):
    print(f"{name}: sort {np.sort(losses.astype(name))}, argsort {np.argsort(losses.astype(name))}")
    checks.append(np.argsort(losses.astype(name)).tolist() == [2, 3, 0, 1])
print("jnp.sort", jnp.sort(jnp.asarray(losses)))
checks.append(jnp.argsort(jnp.asarray(losses)).tolist() == [2, 3, 0, 1])

numbers = jnp.asarray(np.random.default_rng(0).normal(size=1000), jnp.bfloat16).at[500].set(jnp.nan)
norms = np.asarray(numbers)
medians = np.median(norms), np.median(norms.astype(np.float32)), np.nanmedian(norms)
print("1000 numbers, one NaN: median", medians[0], "| as float32", medians[1], "| nanmedian", medians[2])
checks += [bool(np.isfinite(medians[0])), bool(np.isnan(medians[1])), bool(np.isfinite(medians[2]))]
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON
