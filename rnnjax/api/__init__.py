"""The public functions of `import rnnjax`: training, studies, results, networks, tasks and registries from Python.

`rnnjax/__init__.py` loads them on first use, by name.

May import: every package but `cli`.
Begin reading: `train.py`, then `studies.py` and `results.py`.
"""
