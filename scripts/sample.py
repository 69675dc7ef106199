"""Sample from a trained network, which reads a prompt or the end of its training series, then its own output."""

from rnnjax.cli.common import run_command
from rnnjax.cli.sample import main

if __name__ == "__main__":
    run_command(main)
