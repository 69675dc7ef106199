"""The tasks by name. A factory takes the settings and the text of the user's file as the shell read it, or None."""

from collections.abc import Callable

from rnnjax.settings import TaskSpec
from rnnjax.tasks.grammar import grammar_task
from rnnjax.tasks.recall import recall_task
from rnnjax.tasks.series import series_task
from rnnjax.tasks.text import text_task
from rnnjax.types import Task

TASKS: dict[str, Callable[[TaskSpec, str | None], Task]] = {
    "grammar": grammar_task,
    "text": text_task,
    "series": series_task,
    "recall": recall_task,
}
