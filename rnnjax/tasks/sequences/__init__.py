"""Sets of sequences of different lengths, with labels, values or tags: their file forms, splits, batches and levels.

Begin reading: `raw.py` (the content of a file), then `task.py`, which makes a task of it.
"""
