#!/usr/bin/env bash
# Keras: load_weights of a deeper model's file into a shallower model succeeds and leaves the other layers out.
#
# Expected: model.load_weights(file) raises where the file has layers that the model does not have, as it does where a
#   layer is missing in the file, or has another shape or another number of arrays; skip_mismatch is False by default.
# Instead (keras 3.15.1, JAX backend): the weights of two stacked LSTM layers load into a model of one, which then has
#   the first layer alone. No error, no warning. Layers are matched by class and number, so the order of
#   layers of different classes is not compared either: GRU, LSTM takes the file of LSTM, GRU.
# Why it matters: a checkpoint of a stack of recurrent layers that is loaded by code with one layer less (a changed
#   setting, a loop that is off by one) gives a model that runs, predicts badly, and looks like a bad training.
# Way around: compare the number of arrays first, or load the .keras file with keras.models.load_model and copy with
#   set_weights(get_weights()), which raises.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
KERAS_HOME="$folder" KERAS_BACKEND=jax JAX_PLATFORMS=cpu "$folder/env/bin/python" -I -W error::UserWarning - <<'PYTHON'
import sys
from importlib.metadata import version

import keras
import numpy as np
from keras import layers

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


def stack(*kinds):
    """Recurrent layers of 3 units, each of which returns sequences."""
    parts = [getattr(layers, kind)(3, return_sequences=True) for kind in kinds]
    return keras.Sequential([keras.Input((None, 3)), *parts])


def load(source, target):
    """What load_weights says, and whether the target then gives the outputs of the source."""
    source.save_weights("model.weights.h5")
    try:
        target.load_weights("model.weights.h5")
    except ValueError as error:
        return f"ValueError: {str(error).splitlines()[0][:60]}", False
    return "loaded", bool(np.allclose(np.asarray(source(X)), np.asarray(target(X)), atol=1e-6))


print("keras", version("keras"), "jax", version("jax"))
CASES = {  # file, model -> whether it loads
    (("LSTM", "LSTM"), ("LSTM", "LSTM")): True,
    (("LSTM", "LSTM"), ("LSTM",)): True,
    (("LSTM", "GRU"), ("GRU", "LSTM")): True,
    (("LSTM",), ("LSTM", "LSTM")): False,
    (("LSTM",), ("GRU",)): False,
}
checks = []
for (stored, wanted), loads in CASES.items():
    answer, same = load(stack(*stored), stack(*wanted))
    print(f"file of {' + '.join(stored)} into {' + '.join(wanted)}: {answer}; same outputs: {same}")
    checks.append((answer == "loaded") == loads and same == (loads and stored == wanted))
deep, shallow = stack("LSTM", "LSTM"), stack("LSTM")
load(deep, shallow)
first = all(map(np.array_equal, shallow.get_weights(), deep.get_weights()[:3]))
print("the model of one layer has the first layer of the file:", first)
checks.append(first)
try:
    shallow.set_weights(deep.get_weights())
    checks.append(False)
except ValueError as error:
    print("set_weights raises:", str(error).splitlines()[0][:70])
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON
