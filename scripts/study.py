"""Run studies: train every arm for every seed, log the curves, judge the claims, write the report."""

from rnnjax.cli.common import run_command
from rnnjax.cli.study import main

if __name__ == "__main__":
    run_command(main)
