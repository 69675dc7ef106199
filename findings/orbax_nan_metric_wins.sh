#!/usr/bin/env bash
# Orbax: a checkpoint whose metric is NaN becomes the best one, and the best one is deleted.
#
# Expected: CheckpointManager(best_fn=..., best_mode="min", max_to_keep=1) keeps the checkpoint with the lowest
#   loss. A checkpoint whose loss is NaN is worse than any with a finite loss; under "max" likewise.
# Instead (orbax-checkpoint 0.12.8): the checkpoints are sorted by the metric with Python's comparison, for which
#   NaN is neither smaller nor greater, so the order depends on where the NaN stands in the list. A NaN saved last
#   stays last, which is the place of the best: best_step() names it, and max_to_keep deletes the finite best
#   checkpoint. The next checkpoint, whatever its loss, then takes the place of the NaN in the same way.
#   No warning, in both modes.
# Why it matters: in recurrent networks one exploding gradient makes one evaluation NaN. "Keep the best" is meant
#   as the protection against that, and here it is what deletes the good parameters.
# Way around: let best_fn return a finite or infinite number only, for instance
#   lambda metrics: metrics["loss"] if math.isfinite(metrics["loss"]) else math.inf      (-math.inf for "max").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/env/bin/python" -I - <<'PYTHON'
import math
import os
import sys
import tempfile
from importlib.metadata import version

import jax.numpy as jnp
import orbax.checkpoint as ocp

NAN = math.nan


def kept(mode, values, best_fn, max_to_keep):
    """(value, steps kept, best step) after each save; the step counts from 0."""
    options = ocp.CheckpointManagerOptions(max_to_keep=max_to_keep, best_fn=best_fn, best_mode=mode)
    rows = []
    with ocp.CheckpointManager(tempfile.mkdtemp(dir=os.getcwd()), options=options) as manager:
        for step, value in enumerate(values):
            manager.save(step, args=ocp.args.StandardSave({"kernel": jnp.full(3, step)}), metrics={"value": value})
            manager.wait_until_finished()
            rows.append((value, sorted(manager.all_steps()), manager.best_step()))
    return rows


def finite(metrics):
    return metrics["value"] if math.isfinite(metrics["value"]) else math.inf


print("orbax-checkpoint", version("orbax-checkpoint"), "jax", version("jax"))
LOSSES = [3.0, 2.0, 1.0, NAN, 4.0]
lowest = kept("min", LOSSES, lambda metrics: metrics["value"], 1)
highest = kept("max", [0.1, 0.9, NAN, 0.2], lambda metrics: metrics["value"], 1)
three = kept("min", LOSSES, lambda metrics: metrics["value"], 3)
cured = kept("min", LOSSES, finite, 1)
for name, rows in {"min, keep 1": lowest, "max, keep 1": highest, "min, keep 3": three, "way around": cured}.items():
    print(name)
    for step, (value, steps, best) in enumerate(rows):
        print(f"  step {step} value {value}: kept {steps}, best_step {best}")
as_described = (
    [row[1:] for row in lowest[2:]] == [([2], 2), ([3], 3), ([4], 4)]
    and [row[1:] for row in highest[1:]] == [([1], 1), ([2], 2), ([3], 3)]
    and three[-1][2] == 4
    and cured[-1][1:] == ([2], 2)
)
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
