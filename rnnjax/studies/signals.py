"""Stopping on request: the first signal is remembered until the state can be saved, the second ends at once."""

import os
import signal
from types import FrameType
from typing import Any

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interruption:
    """A context in which SIGINT, SIGTERM and SIGHUP set `number` instead of ending the process.

    A signal that is ignored when the context is entered stays ignored: `nohup` and jobs in the background of a script
    ask for that. Without `handlers` no signal is handled: a notebook and other threads have their own ways to stop.
    """

    def __init__(self, handlers: bool = True) -> None:
        self.number = 0
        self._signals = STOP_SIGNALS if handlers else ()

    def __enter__(self) -> "Interruption":
        heeded = [number for number in self._signals if signal.getsignal(number) is not signal.SIG_IGN]
        self._before: dict[int, Any] = {number: signal.signal(number, self._asked) for number in heeded}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            os._exit(128 + number)  # a kill at any time is safe: nothing acknowledged is lost
        self.number = number
