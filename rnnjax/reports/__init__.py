"""Reports: figures, tables, report.html, report.md and CSV files, the site and the ledger of all statements.

May import: the root modules, `config`, `storage` and `analysis`. Never loads JAX.
Begin reading: `document.py` (a report as plain values), then `build.py` (values from results) and `render.py` (files).
"""
