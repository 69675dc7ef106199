"""Run studies: train every arm for every seed, draw the curves, judge the statements, write the report."""

import argparse
from pathlib import Path

from rnnjax import devices
from rnnjax.cli import common as command
from rnnjax.config import fields
from rnnjax.config import load as config


def arguments() -> argparse.Namespace:
    parser = command.build_parser(__doc__, fields.field_help())
    parser.add_argument("configs", nargs="+", type=Path, metavar="CONFIG", help="study files (configs/studies/*.toml)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run folder; default runs/<study>")
    parser.add_argument("--seeds", type=int, metavar="N", help="how many seeds (42, 43, ...) instead of the file's")
    parser.add_argument("--steps", metavar="N", help="short for --set steps=N")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting; may be repeated"
    )
    parser.add_argument(
        "--arm",
        action="append",
        default=[],
        metavar="PATTERN",
        help="run only these arms ('normal,*'); may be repeated",
    )
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--strict", action="store_true", help="with --resume: refuse another machine or version")
    parser.add_argument(
        "--max-runs", type=int, default=10_000, metavar="N", help="refuse larger studies (default 10,000)"
    )
    command.add_import_option(parser)
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    overrides = [*asked.set, *([] if asked.steps is None else [f"steps={asked.steps}"])]
    studies = [config.load_study(path, overrides, asked.seeds, asked.max_runs, asked.arm) for path in asked.configs]
    folders = command.run_folders([study.name for study in studies], asked.out)
    devices.prepare()
    if own := command.run_user_code(asked.own_code):  # part of what decides the results
        studies = [study._replace(config=study.config | {"own_code_sha256": own}) for study in studies]
    from rnnjax.studies.prepare import prepare_study
    from rnnjax.studies.run import run_study

    for study in studies[1:]:
        prepare_study(study)  # so that a mistake in the last study is told before the first is trained
    for study, folder in zip(studies, folders, strict=True):
        begun = folder.exists() or len(studies) == 1  # of several, those that were not begun yet are
        run_study(study, folder, asked.resume and begun, asked.strict)
