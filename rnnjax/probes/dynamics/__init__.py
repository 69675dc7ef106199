"""Probes of the dynamics: gradients, Jacobians and spectra, statistics of units, reservoir measures."""
