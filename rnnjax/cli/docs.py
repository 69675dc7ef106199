"""Write the generated pages of docs/ from the registries of the code."""

import argparse
from pathlib import Path

from rnnjax import devices
from rnnjax.cli import common as command


def build_options() -> argparse.ArgumentParser:
    parser = command.build_parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"), metavar="DIR", help="the folder; default docs")
    return parser


def main() -> None:
    options = build_options().parse_args()
    devices.prepare()
    from rnnjax.cli.documentation import write_pages  # imports JAX

    for path in write_pages(options.out):
        print(f"done: {path}")
