"""Several processes and machines for one study: dask.distributed gives out the parts of its groups as tasks.

The process that was asked holds the run folder, plans the parts and writes the results; a worker holds the lock of one
part and trains it from its newest checkpoint. Only `engine.py` imports dask.
Begin reading: `train.py`, then `worker.py`.
"""
