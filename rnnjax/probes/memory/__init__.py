"""Probes of what a state retains: recall of earlier symbols, linear readouts."""
