"""The machine and the notebook: devices, and how progress is shown there. Loads no JAX by itself."""

import sys
import threading
from typing import Literal, get_args

from rnnjax import devices
from rnnjax.errors import BadInput
from rnnjax.settings.checks import check_value

ProgressMode = Literal["auto", "plain", "none"]


def setup_devices() -> None:
    """Make every CPU core a device and keep compiled programs between processes (in `~/.cache/rnnjax`).

    Optional: without it JAX runs with its own defaults. Call it before the first array of JAX. The bits of trained
    networks depend on the number of devices; with this call they are those of the command line.

    Raises:
        BadInput: JAX has already started with other devices, or the platform in JAX_PLATFORMS is missing.

    Example:
        >>> import rnnjax as rj
        >>> rj.setup_devices()
    """
    try:
        devices.prepare()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"setup_devices: JAX has already started; call it before the first array ({reason})") from None


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return "ipykernel" in sys.modules


def has_terminal() -> bool:
    """Whether this code may handle signals and draw a progress bar: on the main thread of a script or a shell."""
    return threading.current_thread() is threading.main_thread() and not in_notebook()


def display_mode(progress: ProgressMode) -> Literal["live", "plain", "none"]:
    """How progress is shown. Raises: BadInput for a word that is none of "auto", "plain", "none"."""
    if progress not in get_args(ProgressMode):
        check_value("progress", ProgressMode, progress, "run")
    if progress == "auto":
        return "live" if has_terminal() else "plain"
    return progress
