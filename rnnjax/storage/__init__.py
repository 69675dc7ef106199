"""Files that survive a kill: atomic writes, the run folder and its lock, manifest, checkpoints, TensorBoard events.

May import: the root modules. Knows nothing of networks or results.
Begin reading: `files.py` (atomic writes), then `run_folder.py` and `checkpoints.py`.
"""
