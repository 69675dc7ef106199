"""Make reports again from what finished studies stored, build the lab as a site, or write the ledger into a README."""

from rnnjax.cli.common import run_command
from rnnjax.cli.report import main

if __name__ == "__main__":
    run_command(main)
