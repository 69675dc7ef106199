"""The progress of the parts of a study that workers train, on the display of the process that asked."""

import time
from collections.abc import Mapping
from typing import Any

from rnnjax.studies.progress import Display, format_duration


class ClusterDisplay:
    """Lines for parts that begin and end, and one bar over all of them.

    Args: parts: that are to be trained -> (steps, runs).
    """

    def __init__(self, display: Display, parts: Mapping[str, tuple[int, int]]) -> None:
        self._display, self._parts = display, parts
        self._names = {part: f"{part} ({n} of {len(parts)})" for n, part in enumerate(parts, 1)}
        self._step = dict.fromkeys(parts, 0)
        self._losses: dict[str, str] = {}
        self._begun: dict[str, float] = {}

    def plan(self, workers: int, groups: int) -> None:
        """The line before the first part."""
        text = f"{count(workers, 'worker')}: {count(len(self._parts), 'part')} of {count(groups, 'group')} to train"
        self._display.say(text)

    def show(self, event: Mapping[str, Any]) -> None:
        """An event of a worker; one about a part that is not ours is left out."""
        part, kind = event.get("part", ""), event.get("event")
        if part not in self._parts:
            return
        if kind == "begin":
            self._begin(part, event)
        elif kind == "line":
            self._display.say(event["line"])
        elif kind == "step" and part in self._begun:
            self._step[part], self._losses[part] = event["step"], event["losses"]
            self._show_bar()

    def _begin(self, part: str, event: Mapping[str, Any]) -> None:
        self._begun[part], self._step[part] = time.monotonic(), max(event["from"], 0)
        steps, runs = self._parts[part]
        again = f", attempt {event['attempt']}" if event["attempt"] > 1 else ""
        self._display.say(
            f"{self._names[part]}: {count(runs, 'run')} of {steps:,} steps on {event['host']}{again}; compiling ..."
        )

    def finish(self, part: str) -> None:
        """The line of a part that stays."""
        self._step[part], runs = self._parts[part]
        begun = self._begun.pop(part, None)
        took = "" if begun is None else f" ({format_duration(time.monotonic() - begun)})"
        self._display.say(
            f"{self._names[part]}: {runs:,} runs at step {self._step[part]:,}{self._losses_of(part)}{took}"
        )
        self._show_bar()

    def _show_bar(self) -> None:
        done = sum(self._step[part] * runs for part, (_, runs) in self._parts.items())
        total = sum(steps * runs for steps, runs in self._parts.values())
        at = [f"{part} at step {self._step[part]:,}{self._losses_of(part)}" for part in self._begun]
        self._display.show_all(done, total, "; ".join(at))

    def _losses_of(self, part: str) -> str:
        return f", {self._losses[part]}" if part in self._losses else ""


class CollectingDisplay(Display):
    """Shows nothing of groups that are only read from their checkpoints; notes about damage go to a display."""

    def __init__(self, display: Display) -> None:
        super().__init__("none")
        self._shown = display

    def say(self, line: str) -> None:
        if not (": going on from step" in line or line.endswith("compiling ...")):
            self._shown.say(line)

    def finish(self, step: int) -> None:
        """Nothing was trained."""


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
