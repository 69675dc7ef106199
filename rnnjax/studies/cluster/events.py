"""Events of a worker, which the process that asked shows as progress. The record is on the disk."""

import contextlib
from collections.abc import Callable
from typing import Any

Send = Callable[[dict[str, Any]], None]


def event_sender(topic: str) -> Send:
    """Sends events of a topic from a task of dask; outside a worker to nobody."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return lambda event: None

    def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            worker.log_event(topic, event)

    return send
