"""Recurrent networks as pure functions: cells, initial states, unrolling over time, layers, sampling, Flax bridge.

May import: the root modules. No files, clocks, prints or global random state.
Begin reading: `cells/classic.py` (equations), then `unroll.py` (the scan and its backward pass), `model.py` (layers).
"""
