"""Recurrent networks of other libraries: their weights in one neutral form, and that form as a network here.

May import: the root modules, `networks` and `storage`. No library is imported but for an object of its own.
Begin reading: `form.py` (the neutral form), `layouts.py` (the table of block orders, read in both directions), then
`programs.py` (settings and parameters here) and `torch_entries.py` as an example of a library.
"""
