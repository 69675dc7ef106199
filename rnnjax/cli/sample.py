"""Sample from a trained network, which reads a prompt or the rows of its series, then its own output."""

import argparse
from pathlib import Path

from rnnjax import devices
from rnnjax.cli.common import add_import_option, build_parser
from rnnjax.errors import BadInput
from rnnjax.settings.checks import as_float32
from rnnjax.studies.own_code import run_user_code

MAX_LENGTH, MAX_BEAM = 100_000, 1_000  # larger values are typing mistakes
LARGEST_PENALTY = 5.0  # above it the score of a long text overflows float32
LAST_SEED = 2**32 - 1
EXCLUDED = {  # decoder: options that do not apply to it
    "beam": ("greedy", "temperature", "top_k", "top_p", "random"),
    "greedy": ("temperature", "top_k", "top_p", "random"),
}


def arguments() -> argparse.Namespace:
    """The parsed arguments. Raises: BadInput for every mistake that can be found without the network."""
    args = build_options().parse_args()
    check_range("--length", args.length, 1, MAX_LENGTH)
    check_range("--beam", args.beam, 1, MAX_BEAM)
    check_range("--min-length", args.min_length, 1, args.length)
    check_range("--random", args.random, 0, LAST_SEED)
    if args.temperature is not None and not 0 < as_float32(args.temperature) < float("inf"):
        raise BadInput(f"--temperature: got {args.temperature}; expected number > 0 and finite. Use --greedy for 0")
    if args.top_p is not None and not 0 < as_float32(args.top_p) <= 1:
        raise BadInput(f"--top-p: got {args.top_p}; expected number > 0 and <= 1")
    if args.interval is not None and not 0 < args.interval < 1:
        raise BadInput(f"--interval: got {args.interval}; expected number > 0 and < 1")
    if args.length_penalty is not None and not 0 <= args.length_penalty <= LARGEST_PENALTY:
        raise BadInput(f"--length-penalty: got {args.length_penalty}; expected number in 0..{LARGEST_PENALTY:g}")
    check_conflicts(args)
    return args


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="OUT", help="run folder of a study")
    parser.add_argument("--arm", metavar="A", help="arm; default the first")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the arm; default the first")
    parser.add_argument("--length", type=int, default=500, metavar="N", help="tokens or rows; default 500")
    text = parser.add_argument_group("for a text")
    text.add_argument("--prompt", metavar="TEXT", help="text to read first; default the start of the held-out text")
    text.add_argument("--temperature", type=float, metavar="T", help="softmax temperature, > 0; default 0.7")
    text.add_argument("--greedy", action="store_true", default=None, help="always the most likely token")
    text.add_argument("--top-k", type=int, metavar="K", help="sample from the K most likely tokens")
    text.add_argument("--top-p", type=float, metavar="P", help="sample from the smallest set with probability P")
    text.add_argument("--beam", type=int, metavar="W", help="beam search with W candidates")
    text.add_argument(
        "--length-penalty",
        type=float,
        metavar="A",
        help="with --beam: 0 to 5, > 0 prefers longer texts; default 0",
    )
    text.add_argument("--min-length", type=int, metavar="N", help="with --beam and --end: shortest text; default 0")
    text.add_argument("--end", metavar="CHAR", help="character, byte or word that ends the text; default none")
    text.add_argument(
        "--unknown", action="store_true", default=None, help="write <unk> too, which stands for tokens left out"
    )
    text.add_argument("--random", type=int, metavar="N", help="seed of the sampling; default 0")
    series = parser.add_argument_group("for a series")
    series.add_argument(
        "--from",
        dest="start",
        metavar="ROW",
        help="first row of the forecast: its label, such as a date, or its number; default the row after the last",
    )
    series.add_argument(
        "--interval", type=float, metavar="P", help="add intervals that hold a share P of the truths, such as 0.9"
    )
    add_import_option(parser)
    return parser


def check_range(name: str, value: int | None, lowest: int, highest: int) -> None:
    if value is not None and not lowest <= value <= highest:
        raise BadInput(f"{name}: got {value}; expected integer in {lowest}..{highest}")


def check_conflicts(args: argparse.Namespace) -> None:
    """Raises BadInput for two options of which one would have no effect."""
    given = [name for name, value in vars(args).items() if value is not None]
    for decoder, others in EXCLUDED.items():
        for other in others:
            if decoder in given and other in given:
                raise BadInput(f"--{decoder} and --{other.replace('_', '-')} are mutually exclusive")
    for option, needed in (("length_penalty", "beam"), ("min_length", "beam"), ("min_length", "end")):
        if option in given and needed not in given:
            raise BadInput(f"--{option.replace('_', '-')} requires --{needed}")


def main() -> None:
    args = arguments()
    devices.prepare()
    run_user_code(args.own_code)
    from rnnjax.studies.forecast_table import ForecastOptions
    from rnnjax.studies.sampling import SamplingOptions, sample_from_folder

    options = SamplingOptions(**{name: getattr(args, name) for name in SamplingOptions._fields})
    forecast = ForecastOptions(args.start, args.interval)
    print(sample_from_folder(args.folder, args.arm, args.seed, args.length, options, forecast))
