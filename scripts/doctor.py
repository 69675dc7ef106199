"""What is wrong with a recurrent network, and what to do: of a run folder, or of your text or series."""

from rnnjax.cli.common import run_command
from rnnjax.cli.doctor import main

if __name__ == "__main__":
    run_command(main)
