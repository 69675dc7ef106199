"""The time of one optimizer step, against other implementations. Begin reading: `bench.py`."""
