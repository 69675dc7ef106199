"""The time of one optimizer step, against other implementations: the parts of `rnnjax bench`.

May import: every package. Begin reading: `contenders.py`; the command is `cli/bench.py`.
"""
