"""Let a trained network speak: it reads a prompt, or the end of its series, then its own output."""

import argparse
from pathlib import Path

from rnnjax import devices
from rnnjax.checks import as_float32
from rnnjax.cli import common as command
from rnnjax.errors import BadInput

MAX_LENGTH, MAX_BEAM = 100_000, 1_000  # whoever asks for more has mistyped; a beam keeps two numbers for each place
LARGEST_PENALTY = 5.0  # above it the score of a long text leaves float32
LAST_SEED = 2**32 - 1
EXCLUDED = {  # a decoder: what would say nothing to it
    "beam": ("greedy", "temperature", "top_k", "top_p", "random"),
    "greedy": ("temperature", "top_k", "top_p", "random"),
}


def arguments() -> argparse.Namespace:
    """What the user asked for. Raises: BadInput for all that is known to be wrong without the network."""
    asked = build_options().parse_args()
    check_range("--length", asked.length, 1, MAX_LENGTH)
    check_range("--beam", asked.beam, 1, MAX_BEAM)
    check_range("--random", asked.random, 0, LAST_SEED)
    if asked.temperature is not None and not 0 < as_float32(asked.temperature) < float("inf"):
        raise BadInput(f"--temperature: got {asked.temperature}; expected number > 0 and finite. Use --greedy for 0")
    if asked.top_p is not None and not 0 < as_float32(asked.top_p) <= 1:
        raise BadInput(f"--top-p: got {asked.top_p}; expected number > 0 and <= 1")
    if asked.length_penalty is not None and not 0 <= asked.length_penalty <= LARGEST_PENALTY:
        raise BadInput(f"--length-penalty: got {asked.length_penalty}; expected number in 0..{LARGEST_PENALTY:g}")
    check_conflicts(asked)
    return asked


def build_options() -> argparse.ArgumentParser:
    parser = command.build_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="OUT", help="the run folder of a study")
    parser.add_argument("--arm", metavar="A", help="which arm; default the first")
    parser.add_argument("--seed", type=int, metavar="N", help="which of the arm's seeds; default the first")
    parser.add_argument("--length", type=int, default=500, metavar="N", help="characters or rows; default 500")
    text = parser.add_argument_group("for a text")
    text.add_argument("--prompt", metavar="TEXT", help="what the network reads first; default a line end or space")
    text.add_argument("--temperature", type=float, metavar="T", help="> 0; default 1")
    text.add_argument("--greedy", action="store_true", default=None, help="always the most likely character")
    text.add_argument("--top-k", type=int, metavar="K", help="draw from the K most likely characters")
    text.add_argument("--top-p", type=float, metavar="P", help="draw from the fewest that have probability P together")
    text.add_argument("--beam", type=int, metavar="W", help="search for the most likely text, keeping W at each step")
    text.add_argument("--length-penalty", type=float, metavar="A", help="of --beam: 0 to 5, > 0 for longer; default 0")
    text.add_argument("--end", metavar="CHAR", help="the character that ends the text; default none")
    text.add_argument("--random", type=int, metavar="N", help="seed of the drawing; default 0")
    command.add_import_option(parser)
    return parser


def check_range(name: str, value: int | None, lowest: int, highest: int) -> None:
    if value is not None and not lowest <= value <= highest:
        raise BadInput(f"{name}: got {value}; expected integer in {lowest}..{highest}")


def check_conflicts(asked: argparse.Namespace) -> None:
    """Raises BadInput for two options of which one would say nothing."""
    given = [name for name, value in vars(asked).items() if value is not None]
    for decoder, others in EXCLUDED.items():
        for other in others:
            if decoder in given and other in given:
                raise BadInput(f"--{decoder}: got --{other.replace('_', '-')} too; expected only one of the two")
    if "length_penalty" in given and "beam" not in given:
        raise BadInput("--length-penalty: got no --beam; expected one, whose texts it ranks")


def main() -> None:
    asked = arguments()
    devices.prepare()
    command.run_user_code(asked.own_code)
    from rnnjax.studies.sampling import SamplingOptions, sample_from_folder

    wishes = SamplingOptions(**{name: getattr(asked, name) for name in SamplingOptions._fields})
    print(sample_from_folder(asked.folder, asked.arm, asked.seed, asked.length, wishes))
