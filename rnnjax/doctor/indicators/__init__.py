"""Indicators: the scalars that conditions compare with their limits, one module per source.

Begin reading: `types.py`, then `compute.py`, which calls the sources: `data`, `outputs`, `gradients`, `dependence`,
`free_running` and `curves`.
"""
