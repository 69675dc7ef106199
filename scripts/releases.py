"""Train the same networks on several releases of Python and JAX in turns: state hashes and the time of a step."""

from benchmarks.releases.compare import main
from rnnjax.cli.common import run_command

if __name__ == "__main__":
    run_command(main)
