"""Time exponents and fixed points of many networks, beside a NumPy loop: results/bench/dynamics.json and .md."""

from benchmarks.dynamics.speed import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
