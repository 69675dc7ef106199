#!/usr/bin/env bash
# safetensors: a transposed NumPy matrix is written with the right shape and the wrong values.
#
# Expected: safetensors.numpy.save_file({"kernel": weight.T}) stores the transposed matrix, as np.save and
#   safetensors 0.7.0 do, or refuses it, as safetensors.torch does ("non contiguous tensor").
# Instead (safetensors 0.8.0): the memory of the array is written as it lies, under the shape of the view. The file
#   loads without an error, the shape is right and the values are those of the untransposed matrix cut into rows of
#   another length. The docstring asks for contiguous arrays, nothing checks it. (Issue 825 of the project.)
#   jax arrays are copied on the way (safetensors.flax) and come out right.
# Why it matters: every move between PyTorch ([4H, D], applied as W x) and JAX, Flax or Keras ([D, 4H],
#   applied as x W) transposes every kernel. For a square recurrent matrix the file holds exactly W instead of W.T:
#   right shape, right norm, right spectrum, and a network that runs.
# Way around: np.ascontiguousarray on every array before saving, or read the file back and compare.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for release in 0.7.0 0.8.0; do
    python3 -m venv "$folder/env-$release"
    "$folder/env-$release/bin/pip" install --quiet "safetensors==$release" numpy==2.4.6
done
cd "$folder"
cat >transposed.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load_file, save_file

kernel = np.arange(6, dtype=np.float32).reshape(3, 2)
recurrent = np.arange(4, dtype=np.float32).reshape(2, 2)
views = {"kernel": kernel.T, "recurrent_kernel": recurrent.T}
copies = {name: np.ascontiguousarray(view) for name, view in views.items()}
print("safetensors", version("safetensors"), "numpy", version("numpy"))
equal = {}
for name, arrays in {"copies": copies, "views": views}.items():
    save_file(arrays, "weights.safetensors")
    found = load_file("weights.safetensors")
    for key in arrays:
        print(f"  {name}: {key} {arrays[key].tolist()} -> {found[key].tolist()}")
    equal[name] = all(np.array_equal(arrays[key], found[key]) for key in arrays)
untransposed = np.array_equal(found["recurrent_kernel"], recurrent)
is_copied = version("safetensors") == "0.7.0"
as_described = equal == {"copies": True, "views": is_copied} and untransposed != is_copied
print("  as described" if as_described else "  CHANGED")
sys.exit(not as_described)
PYTHON
for release in 0.7.0 0.8.0; do
    "$folder/env-$release/bin/python" -I transposed.py
done
