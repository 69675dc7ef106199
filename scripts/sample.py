"""Let a trained network write: reads a prompt, then its own output."""

import argparse
from pathlib import Path

from rnnjax import command, devices
from rnnjax.errors import BadInput


def arguments() -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="OUT", help="the run folder of a study")
    parser.add_argument("--arm", metavar="A", help="which arm; default the first")
    parser.add_argument("--seed", type=int, metavar="N", help="which of the arm's seeds; default the first")
    parser.add_argument(
        "--prompt", default="", metavar="TEXT", help="what the network reads first; default a line end or space"
    )
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="> 0; default 1")
    parser.add_argument("--greedy", action="store_true", help="always the most likely character")
    parser.add_argument("--length", type=int, default=500, metavar="N", help="characters to write; default 500")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="seed of the drawing; default 0")
    asked = parser.parse_args()
    if not 0 < asked.temperature < float("inf"):
        raise BadInput(f"--temperature: got {asked.temperature}; expected number > 0 and finite. Use --greedy for 0")
    if asked.length < 1:
        raise BadInput(f"--length: got {asked.length}; expected integer >= 1")
    return asked


def main() -> None:
    asked = arguments()
    devices.prepare()
    from rnnjax.speak import write  # imports JAX, which a bad argument never reaches

    temperature = 0.0 if asked.greedy else asked.temperature
    print(write(asked.folder, asked.arm, asked.seed, asked.prompt, temperature, asked.length, asked.random))


if __name__ == "__main__":
    command.run(main)
