"""Studies on several processes: their speed, what the engine costs, and what kills at random times change."""

from benchmarks.cluster.check import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
