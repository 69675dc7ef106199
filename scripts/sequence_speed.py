"""What training on sequences of different lengths costs, against torch, padding and equal lengths; and segments."""

from benchmarks.sequences.speed import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
