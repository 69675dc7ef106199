"""Simulate the rules of claims on seeds drawn at a statement's boundary: the shares of wrong verdicts, as JSON."""

from benchmarks.judge.simulate import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
