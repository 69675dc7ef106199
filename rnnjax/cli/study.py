"""Run studies: train every arm for every seed, log the curves, judge the claims, write the report."""

import argparse
from pathlib import Path

from rnnjax import devices
from rnnjax.cli.common import add_import_option, build_parser, run_folders, run_user_code
from rnnjax.config import fields
from rnnjax.config.load import load_study


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__, fields.field_help())
    add = parser.add_argument
    add("configs", nargs="+", type=Path, metavar="CONFIG", help="study files, such as configs/studies/*.toml")
    add("--out", type=Path, metavar="DIR", help="run folder; default runs/<study>")
    add("--seeds", type=int, metavar="N", help="number of seeds (42, 43, ...); default that of the file")
    add("--steps", metavar="N", help="same as --set steps=N")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting; repeatable")
    add(
        "--arm",
        action="append",
        default=[],
        metavar="PATTERN",
        help="run only the arms that match, such as 'normal,*'; repeatable",
    )
    add("--resume", action="store_true", help="continue an interrupted study")
    add("--strict", action="store_true", help="with --resume: refuse another machine or other versions")
    add("--max-runs", type=int, default=10_000, metavar="N", help="refuse studies with more runs; default 10,000")
    add_import_option(parser)
    return parser


def main() -> None:
    asked = build_options().parse_args()
    overrides = [*asked.set, *([] if asked.steps is None else [f"steps={asked.steps}"])]
    studies = [load_study(path, overrides, asked.seeds, asked.max_runs, asked.arm) for path in asked.configs]
    folders = run_folders([study.name for study in studies], asked.out)
    devices.prepare()
    if own := run_user_code(asked.own_code):  # part of what decides the results
        studies = [study._replace(config=study.config | {"own_code_sha256": own}) for study in studies]
    from rnnjax.studies.prepare import prepare_study
    from rnnjax.studies.run import run_study

    for study in studies[1:]:
        prepare_study(study)  # so that a mistake in the last study is told before the first is trained
    for study, folder in zip(studies, folders, strict=True):
        begun = folder.exists() or len(studies) == 1  # of several, those that were not begun yet are
        run_study(study, folder, asked.resume and begun, asked.strict)
