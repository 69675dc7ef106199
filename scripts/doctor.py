"""Diagnose a recurrent network and list remedies: of a run folder, or of a small network trained on your file."""

from rnnjax.cli.common import run_command
from rnnjax.cli.doctor import main

if __name__ == "__main__":
    run_command(main)
