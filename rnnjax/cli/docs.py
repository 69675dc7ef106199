"""Write the generated pages of docs/ and the generated tables of README.md from the registries of the code."""

import argparse

from rnnjax import devices
from rnnjax.cli.common import build_parser


def build_options() -> argparse.ArgumentParser:
    return build_parser(__doc__)


def main() -> None:
    build_options().parse_args()
    devices.prepare()
    from rnnjax.cli.documentation import ROOT, write_pages  # imports JAX

    for path in write_pages(ROOT):
        print(f"done: {path}")
