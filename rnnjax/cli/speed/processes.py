"""Processes that time something on request: one line of JSON for each request and each answer."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rnnjax.errors import BadInput


class Worker:
    """A process, and what it wrote when it was ready."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.requests, self.answers = process.stdin, process.stdout
        self.greeting = self.receive()

    def receive(self) -> dict[str, Any]:
        """Raises BadInput where the process has ended."""
        line = self.answers.readline() if self.answers else ""
        if not line:
            raise BadInput(f"{self.name}: the process has ended; its messages stand above")
        return json.loads(line)

    def ask(self, **request: Any) -> dict[str, Any]:
        print(json.dumps(request), file=self.requests, flush=True)
        return self.receive()


@contextmanager
def open_worker(name: str, command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Worker]:
    """Start a process; it ends with the context, when its input does."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=dict(environment), text=True) as process:
        yield Worker(name, process)
