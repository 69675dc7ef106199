"""Probes of the memory of states: recall of earlier symbols, linear readouts."""
