"""A table as a user writes it, read or refused."""

import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.read import Table, read_table


def table(text: str, **fields: str) -> Table:
    return read_table(text, TaskSpec(name="series", **fields))  # type: ignore[arg-type]


def refusal(text: str, **fields: str) -> str:
    with pytest.raises(BadInput) as refused:
        table(text, **fields)
    message = str(refused.value)
    assert "\n" not in message
    return message
