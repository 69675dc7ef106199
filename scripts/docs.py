"""Write the generated pages of docs/ and the generated tables of README.md from the registries of the code."""

from rnnjax.cli.common import run_command
from rnnjax.cli.docs import main

if __name__ == "__main__":
    run_command(main)
