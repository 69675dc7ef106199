"""Errors of the environment and of input: each is one line for the user and one exit code for the shell."""


class RnnjaxError(Exception):
    """Shown as `rnnjax: error: <message>`, without a traceback; the process ends with `exit_code`."""

    exit_code = 1


class BadInput(RnnjaxError, ValueError):
    """A config, file or argument that breaks a rule."""

    exit_code = 2


class NotApplicable(BadInput):
    """A probe that does not apply to an arm; a study leaves it out there if it applies to other arms."""


class FolderRefused(RnnjaxError, ValueError):
    """The run folder is busy, holds another config, or is not ours."""

    exit_code = 3


class DamagedState(RnnjaxError):
    """No checkpoint verifies; never answered by a silent fresh start."""

    exit_code = 4


class AllDiverged(RnnjaxError):
    """Every run left the finite numbers."""

    exit_code = 5


class StorageFailed(RnnjaxError):
    """The disk is full, read-only or gone."""

    exit_code = 6


class ClusterFailed(RnnjaxError):
    """The scheduler or the workers of a cluster are gone; what they have trained is saved."""

    exit_code = 7


class Stopped(RnnjaxError):
    """A signal asked to stop; `command` goes on from what is saved."""

    def __init__(self, signal_number: int, command: str, saved: str = "stopped and saved") -> None:
        super().__init__(f"{saved}; to go on: {command}")
        self.saved = saved
        self.exit_code = 128 + signal_number
