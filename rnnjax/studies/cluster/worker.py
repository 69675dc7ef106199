"""The function that a worker of dask calls. It sets JAX up before it unpickles the job, which imports JAX."""

import hashlib
import os
import pickle
import socket
import threading
from pathlib import Path

from rnnjax import devices
from rnnjax.errors import BadInput
from rnnjax.storage.manifest import instruction_sets
from rnnjax.studies.cluster.events import event_sender
from rnnjax.studies.cluster.outcome import PartOutcome

_ONE_AT_A_TIME = threading.Lock()  # whatever the number of threads of a worker
_PREPARED: list[int] = []


def run_job(payload: bytes, topic: str, cpu_devices: int, folder: str, isa: list[str]) -> PartOutcome:
    """Train a part. Args: payload: a pickled `PartJob`. folder: from which paths of data are seen; others: as below."""
    with _ONE_AT_A_TIME:
        try:
            prepare_process(cpu_devices, folder, isa)
        except BadInput as error:
            return PartOutcome("BadInput", f"worker on {socket.gethostname()}: {error}")
        from rnnjax.studies.cluster.train_part import train_part

        return train_part(pickle.loads(payload), event_sender(topic))


def prepare_process(cpu_devices: int, folder: str, isa: list[str]) -> None:
    """Set up JAX with as many devices as the process that asks has: the bits depend on their number.

    Args: isa: the instruction sets of the machine that asks. Raises: BadInput.
    """
    if not Path(folder).is_dir():
        raise BadInput(f"no folder {folder!r}; expected the working directory on a shared file system")
    os.chdir(folder)
    if not _PREPARED:
        if instruction_sets() != isa:
            use_own_cache()
        devices.prepare(cpu_devices)
        _PREPARED.append(cpu_devices)
    elif [cpu_devices] != _PREPARED:
        raise BadInput(f"has {_PREPARED[0]} JAX devices, and this study needs {cpu_devices}; start it again")


def use_own_cache() -> None:
    """Keep compiled programs apart from those of other machines, whose instructions this one may not have."""
    cache = os.environ.get(devices.CACHE, str(Path.home() / ".cache" / "rnnjax"))
    if cache:
        own = hashlib.sha256(" ".join(instruction_sets()).encode()).hexdigest()[:12]
        os.environ[devices.CACHE] = str(Path(cache) / f"cpu-{own}")
