"""Probes of free-running generation: loops, decoders, exposure bias, errors by position."""
