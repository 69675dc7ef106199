"""What follows --cluster: workers to start here, a scheduler that is there, or a job script to write."""

import importlib.util
import re
from pathlib import Path
from typing import Literal, NamedTuple

from rnnjax.errors import BadInput

EXPECTED = "expected local:N (N processes here), tcp://HOST:PORT (of a dask scheduler) or slurm:FILE (a job script)"
MOST_LOCAL = 1_000


class Address(NamedTuple):
    """Where the workers of a study are."""

    kind: Literal["local", "scheduler", "slurm"]
    workers: int = 0  # kind local
    scheduler: str = ""  # kind scheduler
    script: Path = Path()  # kind slurm


def parse_address(text: str) -> Address:
    """The address of a cluster. Raises BadInput."""
    kind, _, rest = text.partition(":")
    if kind == "local" and re.fullmatch(r"[0-9]{1,9}", rest) and 1 <= int(rest) <= MOST_LOCAL:
        return Address("local", workers=int(rest))
    if kind in ("tcp", "tls") and re.fullmatch(r"//(\[[0-9a-fA-F:]+\]|[^\s/:]+):[0-9]{1,5}", rest):
        return Address("scheduler", scheduler=text)
    if kind == "slurm" and rest:
        return Address("slurm", script=Path(rest))
    raise BadInput(f"--cluster: got {text[:200]!r}; {EXPECTED}")


def check_engine() -> None:
    """Raises BadInput where dask.distributed is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise BadInput("--cluster requires dask.distributed; to install it: pip install 'rnnjax[cluster]'")
