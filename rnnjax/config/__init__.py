"""Study files: from TOML and `--set` to a `Study`, or to one line with the mistake.

May import: the root modules. Never loads JAX, so that a bad value is refused within milliseconds.
Begin reading: `schema.py` (the tables of a study file), then `load.py` (file -> Study), `arms.py` (axes -> arms).
"""
