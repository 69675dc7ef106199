"""How long exponents and fixed points of many networks take, beside a NumPy loop over the networks."""
