"""The doctor on networks with planted faults and on healthy ones. Begin reading: `measure.py`."""
