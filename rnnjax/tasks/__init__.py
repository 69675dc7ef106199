"""Learning problems with exact reference losses: grammar, text, series, recall, sequences; and their windows.

A factory in `TASKS` takes the settings and the text of the user's file as the shell read it (of an .npz file its
arrays), or None.

May import: the root modules. No files, clocks, prints or global random state.
Begin reading: `windows.py` (how a sequence is cut), then `text.py` or `grammar.py`.
"""

from collections.abc import Callable
from typing import Any

from rnnjax.settings import TaskSpec
from rnnjax.tasks.grammar_task import grammar_task
from rnnjax.tasks.recall import recall_task
from rnnjax.tasks.sequences.task import sequences_task
from rnnjax.tasks.series import series_task
from rnnjax.tasks.text import text_task
from rnnjax.types import Task

TASKS: dict[str, Callable[[TaskSpec, Any], Task]] = {
    "grammar": grammar_task,
    "text": text_task,
    "series": series_task,
    "recall": recall_task,
    "sequences": sequences_task,
}
