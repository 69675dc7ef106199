"""A job script for Slurm: one scheduler, one worker for each task of the job, and the study as it was asked for."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rnnjax.errors import BadInput
from rnnjax.storage.files import check_writable, write_text

SCRIPT = """\
#!/bin/bash
# Change the lines below to suit the cluster: each task is one worker, and trains one part of a group at a time.
#SBATCH --job-name=rnnjax
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=2
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
# In the last two minutes SIGTERM asks the study to save and stop; submitted again, it goes on.
set -euo pipefail
cd {folder}
export DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL=None  # a worker that compiles may not answer for minutes
export DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD=spawn
export DASK_DISTRIBUTED__ADMIN__TICK__LIMIT=1h  # of warnings that a worker did not answer
port=$((20000 + ${{SLURM_JOB_ID:-0}} % 10000))
address=tcp://$(hostname):$port

{python} -m distributed.cli.dask_scheduler --port "$port" --no-dashboard &
scheduler=$!
srun {python} -m distributed.cli.dask_worker "$address" --nthreads 1 --memory-limit 0 --no-dashboard \\
  --death-timeout 300 --local-directory "${{TMPDIR:-/tmp}}" &
workers=$!
trap 'kill $workers $scheduler 2> /dev/null || true' EXIT

resume=
for manifest in {manifests}; do [ ! -e "$manifest" ] || resume=--resume; done
{python} -m rnnjax.cli study {arguments} --cluster "$address" $resume &
study=$!
trap 'kill -TERM $study 2> /dev/null || true' TERM
code=0
wait $study || code=$?
if kill -0 $study 2> /dev/null; then  # a signal has ended the first wait
  code=0
  wait $study || code=$?
fi
exit $code
"""


def write_job_script(file: Path, arguments: Sequence[str], folders: Sequence[Path]) -> str:
    """Write a job script that runs `rnnjax study` with these arguments but for --cluster.

    Args: folders: of the runs; a job that is submitted again goes on in them. Returns: what to do next.
    Raises: BadInput where the file is there already. StorageFailed.
    """
    if os.path.lexists(file):
        raise BadInput(f"--cluster slurm:{file}: there is such a file; expected a new one")
    check_writable(file.absolute().parent)
    arguments = without_options(arguments)
    manifests = [] if "--resume" in arguments else [str(folder / "manifest.json") for folder in folders]
    names = {
        "folder": shlex.quote(str(Path.cwd())),
        "python": shlex.quote(sys.executable),
        "arguments": shlex.join(arguments),
        "manifests": shlex.join(manifests),
    }
    write_text(file, SCRIPT.format(**names))
    return f"{file}: set its #SBATCH lines, then: sbatch {shlex.quote(str(file))}"


def without_options(arguments: Sequence[str]) -> list[str]:
    """The arguments without --cluster and its value, in both of its forms, and without a bare --resume."""
    found, skip = [], False
    for argument, following in zip(arguments, [*arguments[1:], "--"], strict=True):
        bare = argument == "--resume" and following.startswith("--")
        if not (skip or bare or argument == "--cluster" or argument.startswith("--cluster=")):
            found.append(argument)
        skip = not skip and argument == "--cluster"
    return found
