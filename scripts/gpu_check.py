"""Check rnnjax on one GPU: training, bitwise reproducibility, agreement with the CPU and speed; figures as JSON."""

from benchmarks.gpu.check import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
