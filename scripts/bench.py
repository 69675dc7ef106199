"""Time one optimizer step of one run: rnnjax against what one would use instead, all in one process and in turns."""

from rnnjax.cli.bench import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
