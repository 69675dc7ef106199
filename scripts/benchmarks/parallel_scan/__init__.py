"""Times of a layer that is linear in its state by an associative scan. Begin reading: `measure.py`."""
