"""Measure the cost of training on sequences of different lengths, and of segments that are computed again."""

from benchmarks.sequences.speed import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
