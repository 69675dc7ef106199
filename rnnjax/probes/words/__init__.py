"""Probes of words: categories in the state space, novel words, substitution."""
