"""Try the promises of rnnjax under faults, damage, bad input and large sizes; results/faults.json and faults.md."""

from benchmarks.faults.command import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
