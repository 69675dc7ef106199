"""The effects that the training of a study may have, in one place."""

from typing import NamedTuple

from rnnjax.config.schema import Study
from rnnjax.errors import Stopped
from rnnjax.storage.run_folder import RunFolder
from rnnjax.studies.callback import Callback
from rnnjax.studies.progress import Clock, Display, resume_command
from rnnjax.studies.signals import Interruption


class RunContext(NamedTuple):
    """The effects that training may have."""

    study: Study
    run: RunFolder
    display: Display
    clock: Clock
    interruption: Interruption
    callback: Callback | None = None


def stop_where_asked(context: RunContext, saved: str) -> None:
    """Raises Stopped where a signal has come. Args: saved: what a resumed study need not do again, for the message."""
    if context.interruption.number:
        own_code = context.run.manifest.get("own_code", "")
        command = resume_command(context.run.path, own_code=own_code)
        raise Stopped(context.interruption.number, command, saved)
