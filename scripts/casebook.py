"""Measure the doctor: how often a planted fault is found and named first, how often a healthy network gets an alarm."""

from benchmarks.doctor.measure import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
