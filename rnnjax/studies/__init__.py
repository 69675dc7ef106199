"""Running a study: validate it, train its groups, store what was measured, load it again, sample from its networks.

May import: every package but `doctor` and `cli`.
Begin reading: `run.py`, the story of a study from its file to its report; then `group.py`, one group in training.
"""
