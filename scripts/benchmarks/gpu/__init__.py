"""A check of one accelerator: correctness, reproducibility and speed in one call. Begin reading: `check.py`.

Every section is a module with `measurements(quick)`, a generator of (name, function without arguments) pairs. A section
runs in a process of its own, so that a crash of the device or a hang ends that section only. `training.py` is the one
module that uses rnnjax's own functions.
"""
