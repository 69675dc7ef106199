"""A user's table, as pandas, R, Excel and loggers write it, as named columns of numbers and an index of its rows.

    text -> layout.py (delimiter, lines, names) -> choose.py (columns, index) -> notation.py (cells -> numbers)
         -> missing.py, order.py, suspicions.py -> read.py: Table

A table that can be read in two ways is refused with the option that answers. Every refusal names an option of TaskSpec
as `--set task.<name>=<value>`, which both `study.py` and `doctor.py` have.
"""
