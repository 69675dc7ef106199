"""Trials of the promises of rnnjax: kills, damage, full disks, races, signals, bad input, and large sizes.

Each kind of fault is a module with `trials(count, seed, folder)`, which yields one `Trial` after the other; `kinds.py`
lists them. tests/faults/ runs the same code with small numbers.
"""
