"""Numerical methods that several probes share: linear fits, repetition in sequences, word vectors, discriminants."""
