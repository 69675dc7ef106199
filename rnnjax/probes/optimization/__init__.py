"""Probes of optimisation: clipping, the direction of an epoch, which steps of a window a gradient covers."""
