"""The threads of orbax: they do not outlive a save, and what they print of errors that are raised is not shown."""

import contextlib
import gc
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator


def call_in_daemon(function: Callable[[], None]) -> None:
    """Call a function in a thread whose own threads do not keep the process alive, and wait for it.

    Where the folder of a checkpoint cannot be made, orbax's threads wait five minutes for it, and Python at its end
    waits for threads that are no daemons. A thread is one if that which started it is.
    """
    errors: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


@contextlib.contextmanager
def quiet_orbax() -> Iterator[None]:
    """Keeps orbax's tracebacks off the terminal: it logs errors that it also raises, and when one leaf has failed, the
    threads of the others report to an event loop that is closed by then, or leave futures that nobody awaits.
    """
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    levels, hook = [logger.level for logger in loggers], sys.unraisablehook
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    sys.unraisablehook = lambda what: None if "loop is closed" in str(what.exc_value) else hook(what)
    try:
        yield
    except Exception as error:
        time.sleep(0.2)  # for the threads that are late
        traceback.clear_frames(error.__traceback__)  # for the futures: they complain when they are freed
        gc.collect()
        raise
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        sys.unraisablehook = hook
