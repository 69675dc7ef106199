"""Sets of sequences: what the doctor finds in the data alone, before any network reads them.

Begin reading: `data.py`, then `label_fit.py`, `lengths.py` and `duplicates.py`.
"""
