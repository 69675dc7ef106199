#!/usr/bin/env bash
# Keras on JAX: unroll=True ignores zero_output_for_mask, so Bidirectional's padding depends on how the loop is built.
#
# Expected: unroll is a question of speed. LSTM(unroll=True) gives the outputs of LSTM(unroll=False) with the same
#   weights and mask; with zero_output_for_mask=True the outputs at masked steps are 0 in both.
# Instead (keras 3.15.1, JAX backend): with unroll=True the outputs at masked steps repeat the last valid output
#   although zeros were asked for; unroll=False gives zeros. Bidirectional turns zero_output_for_mask on
#   by itself: unrolled, its forward half holds the last valid output over the padding, its backward half 0.
#   States and valid outputs agree. No warning.
# Why it matters: an own pooling, attention or loss over all steps that counts on the zeros (a sum over time, say)
#   gets copies of the last output instead, depending on an option of speed: a model trained with the loop and
#   unrolled for inference on short sequences predicts something else.
# Way around: leave unroll=False where masked outputs are read, or multiply the outputs by the mask.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
KERAS_HOME="$folder" KERAS_BACKEND=jax JAX_PLATFORMS=cpu "$folder/env/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from keras import layers

INPUTS = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)


def pair(build):
    """Outputs [B, T, H] of the looped and of the unrolled layer with equal weights."""
    looped, unrolled = build(False), build(True)
    looped(INPUTS), unrolled(INPUTS)
    unrolled.set_weights(looped.get_weights())
    return np.asarray(looped(INPUTS, mask=MASK)), np.asarray(unrolled(INPUTS, mask=MASK))


BUILDERS = {
    "LSTM": lambda u: layers.LSTM(2, return_sequences=True, zero_output_for_mask=True, unroll=u),
    "GRU": lambda u: layers.GRU(2, return_sequences=True, zero_output_for_mask=True, unroll=u),
    "SimpleRNN": lambda u: layers.SimpleRNN(2, return_sequences=True, zero_output_for_mask=True, unroll=u),
    "Bidirectional(LSTM)": lambda u: layers.Bidirectional(layers.LSTM(2, return_sequences=True, unroll=u)),
}
print("keras", version("keras"), "jax", version("jax"), "| mask of the sequence shown", MASK[0].astype(int))
checks = []
for name, build in BUILDERS.items():
    looped, unrolled = pair(build)
    print(name, "looped  ", looped[0].round(3).tolist(), sep="\n  ")
    print("  unrolled", unrolled[0].round(3).tolist(), sep="\n  ")
    checks.append(np.allclose(looped[MASK], unrolled[MASK], atol=1e-5))
    checks.append(bool((looped[~MASK] == 0).all()))
    checks.append(np.array_equal(unrolled[0, 3:, :2], np.repeat(unrolled[:1, 2, :2], 2, axis=0)))
    if name.startswith("Bi"):
        checks.append(bool((unrolled[0, 3:, 2:] == 0).all()))
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON
