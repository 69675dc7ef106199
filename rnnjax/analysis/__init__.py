"""From per-seed results to verdicts: results of arms, statistics, the rules that judge a claim.

May import: the root modules and `config`. Never loads JAX.
Begin reading: `results.py` (what an arm has measured), then `rules/` (one rule per kind of claim) and `verdicts.py`.
"""
