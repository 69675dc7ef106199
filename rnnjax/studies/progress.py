"""Progress of a study: a live bar on a terminal, plain lines elsewhere."""

import math
import shlex
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from rnnjax.reports.formatting import escape_controls

QUIET_SECONDS = 10.0  # seconds between plain lines
DisplayMode = Literal["live", "plain", "none"]  # a bar on a terminal, else plain lines; plain lines; nothing
COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


class Clock:
    """Seconds by phase. Compiling is taken out of the phase in which it happened.

    What other threads compile meanwhile takes no time of its own: the wait for it is a phase.
    """

    def __init__(self, before: dict[str, float]) -> None:
        """`before` are the seconds of earlier attempts at the same study."""
        self.seconds = {name: before.get(name, 0.0) for name in ("compile", "train", "probe", "io", "report")}
        self.compilations = 0
        self._thread = threading.get_ident()

    def _compiled(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == COMPILE_EVENT:
            self.compilations += 1
            self.seconds["compile"] += duration_secs if threading.get_ident() == self._thread else 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started, compiled = time.monotonic(), self.seconds["compile"]
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - started - (self.seconds["compile"] - compiled)

    @classmethod
    @contextmanager
    def running(cls, before: dict[str, float]) -> Iterator["Clock"]:
        """A clock that hears of compilations while the context lasts."""
        clock = cls(before)
        jax.monitoring.register_event_duration_secs_listener(clock._compiled)
        try:
            yield clock
        finally:
            jax.monitoring.unregister_event_duration_listener(clock._compiled)


class Pace:
    """Speed and time left of a group, from all that was measured after its first chunk, which also traces programs.

    The mean over all of it moves little: no estimate jumps with one slow chunk or one probe.
    """

    def __init__(self, clock: Clock, last: int, stops: Sequence[int]) -> None:
        """`last` is the last step of training; at `stops` probes and checkpoints take time of their own."""
        self._clock, self._last, self._stops = clock, last, stops
        self._start: tuple[int, float, float] | None = None

    def measure(self, step: int) -> tuple[float, float]:
        """Optimizer steps per second, and seconds left; NaN at first."""
        train, rest = self._clock.seconds["train"], self._clock.seconds["probe"] + self._clock.seconds["io"]
        if self._start is None:
            self._start = step, train, rest
            return math.nan, math.nan
        first, train_before, rest_before = self._start
        seconds = max(train - train_before, 1e-9) / (step - first)  # of a step
        points = [sum(one > first for one in self._stops if one <= step), sum(one > step for one in self._stops)]
        of_stops = (rest - rest_before) / max(points[0], 1) * points[1]
        return 1 / seconds, seconds * (self._last - step) + of_stops


class Display:
    """Progress of one study, on stderr; results go to the run folder."""

    def __init__(self, mode: DisplayMode = "live") -> None:
        self.console = Console(stderr=True, highlight=False, force_jupyter=False, quiet=mode == "none")
        self._is_live = mode == "live" and self.console.is_terminal
        columns = [TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[words]}")]
        self._bar = Progress(*columns, console=self.console, transient=True, disable=not self._is_live)
        self._task: TaskID | None = None
        self._last_line = 0.0
        self._work: dict[str, float] = {}
        self._words = ""

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """One line that stays; names and paths in it may hold terminal escape codes."""
        self.console.print(escape_controls(line), markup=False, soft_wrap=True)

    def plan(self, work: dict[str, float]) -> None:
        """The groups that are to be trained, in order, and what each costs in comparison with the others."""
        self._work = work

    def begin(self, group: str, steps: int, runs: int) -> None:
        """A group, or a part of it, of `steps` optimizer steps."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        names = list(self._work)
        which = f" ({1 + names.index(group)} of {len(names)})" if len(names) > 1 else ""
        self._group, self._steps, self._runs, self._name = group, steps, runs, f"{group}{which}"
        self._task = self._bar.add_task(self._name, total=steps, words="compiling")
        self._started, self._words = time.monotonic(), ""
        self.say(f"{self._name}: {runs:,} run{'s' if runs > 1 else ''} of {steps:,} steps; compiling ...")

    def advance(self, step: int, losses: str, speed: float, left: float) -> None:
        """Now at `step`. Args: losses: in words. speed: steps per second of each run. left: seconds of this group."""
        assert self._task is not None
        self._words = losses
        known = math.isfinite(speed)
        pace = (
            [f"{speed:,.0f} steps/s for each of {self._runs:,} runs", f"{format_duration(left)} left"] if known else []
        )
        words = ", ".join([losses, *pace, *self._left_in_all(step, left)])
        self._bar.update(self._task, completed=step, words=words)
        if not self._is_live and time.monotonic() - self._last_line > QUIET_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"{self._name}: step {step:,} of {self._steps:,}, {words}")

    def finish(self, step: int) -> None:
        """The line of a group that stays."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        seconds = format_duration(time.monotonic() - self._started)
        losses = f", {self._words}" if self._words else ""
        self.say(f"{self._name}: {self._runs:,} runs at step {step:,}{losses} ({seconds})")

    def show_all(self, done: float, total: float, words: str) -> None:
        """A bar over several groups that are trained at once."""
        if self._task is None:
            self._task = self._bar.add_task("study", total=total)
        self._bar.update(self._task, completed=done, total=total, words=words)
        if not self._is_live and words and time.monotonic() - self._last_line > QUIET_SECONDS:
            self._last_line = time.monotonic()
            self.say(words)

    def _left_in_all(self, step: int, left: float) -> list[str]:
        """The time left of the study, at the pace of this group."""
        later = sum(list(self._work.values())[list(self._work).index(self._group) + 1 :]) if self._work else 0
        if not later or not math.isfinite(left) or step >= self._steps:
            return []
        seconds = left / (1 - step / self._steps) * later / self._work[self._group]
        return [f"about {format_duration(left + seconds)} in all"]


def format_duration(seconds: float) -> str:
    """As 1:05 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def resume_command(folder: Path, options: str = "", own_code: str = "") -> str:
    """The command that goes on with a run folder: as this one was begun, by the script of a checkout or by `rnnjax`."""
    code = f" --import {shlex.quote(own_code)}" if own_code else ""
    command = "python scripts/study.py" if Path(sys.argv[0]).name == "study.py" else "rnnjax study"
    return f"{command} --resume {shlex.quote(str(shortest(folder)))}{options}{code}"


def shortest(path: Path) -> Path:
    """A path as seen from the working directory, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
