"""Tables of networks of one text, from finished run folders: sizes, losses, times, choices, temperatures."""

from benchmarks.text.recipe import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
