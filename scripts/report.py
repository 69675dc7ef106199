"""Render the reports of finished studies again, judge a study again, build a site, or update generated tables."""

from rnnjax.cli.common import run_command
from rnnjax.cli.report import main

if __name__ == "__main__":
    run_command(main)
