"""Diagnose a recurrent network and list remedies: of a run folder, a small network trained on your file, or your own.

With --text, --series or --sequences four seeds of a small network are trained on the file first, in less than a
minute. With --model the weights of another library are read: .safetensors, .pt, .keras, .h5, .onnx.
"""

import argparse
import json
from pathlib import Path

from rnnjax import devices
from rnnjax.cli.common import add_import_option, build_parser, printable, run_folders
from rnnjax.config.load import load_study
from rnnjax.config.schema import Study
from rnnjax.errors import BadInput
from rnnjax.storage.run_folder import holds_run
from rnnjax.studies.own_code import run_user_code

CONFIGS = Path(__file__).parents[1] / "doctor" / "configs"
FILES = ("text", "series", "sequences")  # options that name a file to train on
EPILOG = "writes doctor.json and doctor.html into the run folder"


def arguments() -> argparse.Namespace:
    """The parsed arguments. Raises: BadInput unless exactly one of the five is given."""
    args = build_options().parse_args()
    given = [name for name in ("folder", *FILES, "model") if getattr(args, name) is not None]
    if len(given) != 1:
        got = " and ".join(given) or "nothing to examine"
        raise BadInput(f"got {got}; expected one of OUT, --text, --series, --sequences and --model")
    if (args.model is None) != (args.data is None):
        raise BadInput("--model and --data require each other: weights, and what the network reads")
    if args.folder is not None and args.out is not None:
        raise BadInput("--out requires --text, --series, --sequences or --model: a run folder is examined in place")
    if args.columns is not None and args.series is None and args.sequences is None:
        raise BadInput("--columns requires --series or --sequences")
    if args.set and args.model is not None:
        raise BadInput("--set requires --text, --series or --sequences: a model is examined as it is")
    if args.set and args.folder is not None:
        raise BadInput("--set requires --text, --series or --sequences: a run folder is examined as it was trained")
    if args.arm is not None and args.folder is None:
        raise BadInput("--arm requires a run folder")
    return args


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__, EPILOG)
    add = parser.add_argument
    add("folder", nargs="?", type=Path, metavar="OUT", help="run folder of a study")
    add("--arm", metavar="A", help="arm of the study; default its baseline, else the first")
    add("--text", type=Path, metavar="FILE", help="train on this text and examine the result")
    add("--series", type=Path, metavar="FILE", help="train on this CSV file and examine the result")
    add("--sequences", type=Path, metavar="FILE", help="train on this CSV, .jsonl, .npz or .ts file and examine both")
    add("--model", type=Path, metavar="FILE", help="weights of another library: .safetensors, .pt, .keras, .onnx")
    add("--data", type=Path, metavar="FILE", help="of --model: a text, a series (.npy), or inputs and targets (.npz)")
    add("--columns", metavar="A,B", help="columns of --series or --sequences; default all")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting of that run; repeatable")
    add("--out", type=Path, metavar="DIR", help="folder of a file or a model; default runs/doctor-*")
    add_import_option(parser)
    return parser


def diagnostic_study(args: argparse.Namespace) -> Study | None:
    """The study that trains on the user's file; None where nothing is trained. Raises BadInput."""
    if args.folder is not None or args.model is not None:
        return None
    kind = next(name for name in FILES if getattr(args, name) is not None)
    changes = [f"task.path={toml_string(str(getattr(args, kind)))}"]
    if args.columns is not None:
        changes.append(f"task.columns={toml_string(args.columns)}")
    return load_study(CONFIGS / f"doctor_{kind}.toml", [*changes, *args.set])


def toml_string(text: str) -> str:
    """A string in TOML syntax, which for paths is that of JSON."""
    return json.dumps(text, ensure_ascii=False)


def main() -> None:
    args = arguments()
    study = diagnostic_study(args)
    file = args.text or args.series or args.sequences or args.model
    folder = args.folder or args.out or Path("runs") / f"doctor-{file.stem}"
    if study is not None:
        run_folders([study.name], folder)
    devices.prepare()
    run_user_code(args.own_code)
    from rich.console import Console  # the imports below load JAX; bad arguments are refused before

    from rnnjax.doctor import report
    from rnnjax.doctor.diagnosis import headline
    from rnnjax.doctor.examine_run import examine_folder
    from rnnjax.doctor.sequence_file import examine_file, is_trainable
    from rnnjax.studies.run import run_study

    found = None if study is None or args.sequences is None else examine_file(study.arms[0].spec.task)
    title = str(file)
    if found is not None:
        print(printable(f"{file}, before any network: {headline(found)}"))
    if args.model is not None:
        from rnnjax.cli.doctor_model import examine_model

        found = examine_model(args.model, args.data, devices.available_memory())
    elif found is None or is_trainable(found):
        if study is not None:
            run_study(study, folder, resume=holds_run(folder))
        arm, found = examine_folder(folder, args.arm)
        title = f"{file or folder}: {arm}"
    report.write(folder, title, found)  # first: a reader of the terminal's text, such as head, may end the program
    report.print_diagnosis(Console(highlight=False), title, found)
    print(printable(f"done: {folder / 'doctor.html'}"))
