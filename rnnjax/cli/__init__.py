"""The commands: arguments in, exit code out. `rnnjax study` and `scripts/study.py` are the same code.

May import: every package. JAX is loaded only after all arguments are accepted.
Begin reading: `command.py`, `common.py`, then `study.py`. `speed/` has what `bench.py` times, and `documentation/`
generates the reference pages of docs/.
"""
