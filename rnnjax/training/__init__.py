"""Training as pure functions: losses, optimizers, schedules, one training step, many runs in parallel.

May import: the root modules and `networks`. No files, clocks, prints or global random state.
Begin reading: `step.py` (one run), then `parallel.py` (many runs, in blocks over devices).
"""
