#!/usr/bin/env bash
# Orbax: the leaf "rnn.kernel" and the leaf "kernel" below "rnn" are stored in one place; one of them is lost.
#
# Expected: a checkpoint of {"rnn": {"kernel": a}, "rnn.kernel": b} gives back a and b; or saving is refused.
#   (Names with a slash, as Haiku has them, are kept apart.)
# Instead (orbax-checkpoint 0.12.8): the path of a leaf is joined with dots, so both leaves are written to
#   "rnn.kernel". Save and restore succeed, with and without a target tree, and both leaves come back with the same
#   values, of a or of b, whichever was written last. The same for {"layers": [a, b], "layers.1": c}.
#   Only leaves of different shapes give an error.
# Why it matters: flat names with dots are what PyTorch's state_dict uses ("rnn.weight_hh_l0"). A checkpoint that
#   holds imported flat weights beside the nested tree made from them, or a reference copy beside the trained
#   parameters, loses one set; both have the same shapes, so nothing is noticed.
# Way around: nest the two under names of their own ({"ours": ..., "imported": ...}), or replace the dots in names
#   before saving.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/env/bin/python" -I - <<'PYTHON'
import os
import sys
import tempfile
from importlib.metadata import version

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp


def restored(tree, target=None):
    path = os.path.join(tempfile.mkdtemp(dir=os.getcwd()), "checkpoint")
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, tree)
        checkpointer.wait_until_finished()
        return checkpointer.restore(path, target)


print("orbax-checkpoint", version("orbax-checkpoint"), "jax", version("jax"))
one, two, three = (jnp.full(2, float(value)) for value in (1, 2, 3))
checks = []
for target in (False, True):
    tree = {"rnn": {"kernel": one}, "rnn.kernel": two}
    found = restored(tree, tree if target else None)
    print("saved   ", tree, "\nrestored", found, "with a target" if target else "without a target")
    checks.append(np.array_equal(found["rnn"]["kernel"], found["rnn.kernel"]))
tree = {"layers": [one, two], "layers.1": three}
found = restored(tree)
print("saved   ", tree, "\nrestored", found)
checks.append(np.array_equal(found["layers"][1], found["layers.1"]))
tree = {"rnn": {"kernel": one}, "rnn/kernel": two}
found = restored(tree)
print("saved   ", tree, "\nrestored", found)
checks.append(np.array_equal(found["rnn"]["kernel"], one) and np.array_equal(found["rnn/kernel"], two))
tree = {"ours": {"rnn": {"kernel": one}}, "imported": {"rnn.kernel": two}}
found = restored(tree)
print("saved   ", tree, "\nrestored", found)
checks.append(np.array_equal(found["imported"]["rnn.kernel"], two))
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON
