"""The commands: arguments in, exit code out. `scripts/study.py` and its like call these.

May import: every package. JAX is loaded only after all arguments are accepted.
Begin reading: `common.py`, then `study.py`; `documentation/` generates the reference pages of docs/.
"""
