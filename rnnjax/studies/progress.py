"""Progress of a study: a live bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

QUIET_SECONDS = 10.0  # seconds between plain lines
COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


class Clock:
    """Seconds by phase. Compiling is taken out of the phase in which it happened."""

    def __init__(self, before: dict[str, float]) -> None:
        """`before` are the seconds of earlier attempts at the same study."""
        self.seconds = {name: before.get(name, 0.0) for name in ("compile", "train", "probe", "io", "report")}
        self.compilations = 0

    def _compiled(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == COMPILE_EVENT:
            self.compilations += 1
            self.seconds["compile"] += duration_secs

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


class Display:
    """Progress of one study, on stderr; results go to the run folder."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        ]
        self._bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._task: TaskID | None = None
        self._last_line = 0.0

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """One line that stays."""
        self.console.print(line, markup=False, soft_wrap=True)

    def begin(self, description: str, steps: int) -> None:
        """A new phase of `steps` optimizer steps."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(description, total=steps, speed="")
        self._description, self._steps = description, steps

    def advance(self, step: int, run_steps_per_second: float) -> None:
        """Now at `step`; the speed is that of all runs together."""
        assert self._task is not None
        speed = f"{run_steps_per_second:,.0f} run-steps/s"
        self._bar.update(self._task, completed=step, speed=speed)
        if not self.console.is_terminal and time.monotonic() - self._last_line > QUIET_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"{self._description}: step {step:,} of {self._steps:,}, {speed}")
