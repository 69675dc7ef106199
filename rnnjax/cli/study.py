"""Run studies: train every arm for every seed, log the curves, judge the claims, write the report."""

import argparse
import sys
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnjax import devices
from rnnjax.cli.common import HELP_WIDTH, add_import_option, build_parser, printable, run_folders
from rnnjax.config.included import find_study, included_studies
from rnnjax.config.load import load_study
from rnnjax.config.schema import Study
from rnnjax.config.toml_file import read_toml
from rnnjax.errors import BadInput
from rnnjax.storage.run_folder import holds_run
from rnnjax.studies.cluster.address import Address, check_engine, parse_address
from rnnjax.studies.cluster.slurm import write_job_script
from rnnjax.studies.own_code import run_user_code
from rnnjax.studies.registry_names import check_setting_names
from rnnjax.studies.resume import load_stored_study, stored_overrides

if TYPE_CHECKING:
    from rnnjax.studies.cluster.engine import Engine

IN_ITS_FOLDER = "."  # what --resume without a folder stands for


EPILOG = """\
All settings of --set, with type, default, range and meaning: rnnjax settings [NAME].

Examples:
  rnnjax study init --seeds 8 --steps 5000
  rnnjax study markdown --set task.path=notes.md --out runs/notes
  rnnjax study --resume runs/notes --steps 10000"""


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__, EPILOG)
    add = parser.add_argument
    add("configs", nargs="*", metavar="CONFIG", help="study files, or names of studies that come with rnnjax")
    add("--list", action="store_true", help="list the studies that come with rnnjax, with their questions")
    add("--out", type=Path, metavar="DIR", help="run folder; default runs/<study>")
    add("--seeds", type=int, metavar="N", help="number of seeds (42, 43, ...); default that of the file")
    add("--steps", metavar="N", help="same as --set steps=N")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting; repeatable")
    arms = "run only the arms that match, such as 'normal,*'; repeatable"
    add("--arm", action="append", default=[], metavar="PATTERN", help=arms)
    resume = "go on in a run folder, which knows its settings; with more --steps, --seeds, or arms of CONFIG"
    add("--resume", nargs="?", const=IN_ITS_FOLDER, metavar="FOLDER", help=resume)
    add("--keep", choices=("last", "best", "all"), help="checkpoints of a finished run; default that of the file")
    add("--init-from", metavar="FOLDER", help="start from the trained parameters of another run folder")
    strict = "refuse another machine or other versions, with --resume, and unlike machines with --cluster"
    add("--strict", action="store_true", help=strict)
    cluster = "train the groups by N processes here, or by the workers of a dask scheduler; slurm: writes a job script"
    add("--cluster", metavar="local:N|tcp://HOST:PORT|slurm:FILE", help=cluster)
    add("--max-runs", type=int, default=10_000, metavar="N", help="refuse studies with more runs; default 10,000")
    add_import_option(parser)
    return parser


def parse_arguments() -> argparse.Namespace:
    """The arguments, a folder after --resume as `out`. Raises BadInput for options that exclude each other."""
    asked = build_options().parse_args()
    asked.address = None if asked.cluster is None else parse_address(asked.cluster)
    asked.set += [] if asked.steps is None else [f"steps={asked.steps}"]
    folder = None if asked.resume in (None, IN_ITS_FOLDER) else Path(asked.resume)
    if folder is not None and (folder.is_file() or folder.suffix == ".toml"):  # `--resume CONFIG`: two arguments
        asked.configs, asked.resume, folder = [asked.resume, *asked.configs], IN_ITS_FOLDER, None
    if folder is None and not asked.configs and not asked.list:
        raise BadInput("the following arguments are required: CONFIG, or --resume FOLDER; see --help")
    if folder is not None and asked.out is not None and asked.out != folder:
        raise BadInput(f"--resume {folder} --out {asked.out}: expected one folder")
    if folder is not None and len(asked.configs) > 1:
        raise BadInput(f"--resume {folder}: got one folder for {len(asked.configs)} studies; expected one study")
    if not asked.configs and asked.init_from is not None:
        raise BadInput("--init-from requires CONFIG: a folder goes on from its own checkpoints")
    if not asked.configs and asked.arm:
        raise BadInput("--arm requires CONFIG: a folder goes on with all its arms")
    asked.out = folder or asked.out
    return asked


def study_list() -> str:
    """The studies that come with rnnjax: name and question."""
    questions = {name: read_toml(path).get("question", "") for name, path in included_studies().items()}
    width = max(map(len, questions)) + 4
    fill = textwrap.TextWrapper(HELP_WIDTH, subsequent_indent=" " * width, break_on_hyphens=False)
    lines = [fill.fill(f"  {name:<{width - 4}}  {' '.join(text.split())}") for name, text in questions.items()]
    return "\n".join(["studies that come with rnnjax; run one with `rnnjax study NAME`:", *lines])


def find_studies(names: Sequence[str]) -> list[Path]:
    """The files of the studies; a note for each that is not the one of its name that comes with rnnjax."""
    found = [find_study(name) for name in names]
    for study in found:
        if study.hidden is not None:
            words = f"{study.path}: used instead of the study of that name that comes with rnnjax"
            print(printable(words), file=sys.stderr)
    return [study.path for study in found]


def load_studies(asked: argparse.Namespace) -> list[Study]:
    """The studies of the files, or that of the folder. Raises BadInput, FolderRefused."""
    if not asked.configs:
        studies = [load_stored_study(asked.out, asked.set, asked.seeds, asked.max_runs)]
    elif asked.resume not in (None, IN_ITS_FOLDER) and holds_run(asked.out):  # the folder knows how its file was run
        overrides, seeds = stored_overrides(asked.out)
        seeds = seeds if asked.seeds is None else asked.seeds
        studies = [load_study(asked.configs[0], [*overrides, *asked.set], seeds, asked.max_runs, asked.arm)]
    else:
        studies = [load_study(path, asked.set, asked.seeds, asked.max_runs, asked.arm) for path in asked.configs]
    given = {"keep": asked.keep, "init_from": asked.init_from}
    changed = {name: value for name, value in given.items() if value is not None}
    return [study._replace(file=replace(study.file, **changed)) for study in studies]


def with_own_code(studies: Sequence[Study], file: Path | None) -> list[Study]:
    """The studies with the hash of the user's code, which is part of what decides the results. Raises BadInput."""
    own = run_user_code(file)
    for study in studies:
        if "own_code_sha256" in study.config and not own:
            raise BadInput(f"study {study.name}: was run with the code of your own; expected --import FILE.py again")
    return [study._replace(config=study.config | {"own_code_sha256": own}) for study in studies] if own else [*studies]


def check_study_names(studies: Sequence[Study], own_code: bool) -> None:
    """Raises BadInput for a name that no study can have: of a cell, a probe ..., or in a claim."""
    for study in [] if own_code else studies:
        check_setting_names(study)
    if any(study.file.claims for study in studies):
        from rnnjax.studies.claim_names import check_claim_names  # loads SciPy, which others need not wait for

        for study in studies:
            check_claim_names(study, own_code)


def main() -> None:
    asked = parse_arguments()
    if asked.list:
        print(study_list())
        return
    if asked.address is not None and asked.address.kind != "slurm":
        check_engine()
    asked.configs = find_studies(asked.configs)
    studies = load_studies(asked)
    check_study_names(studies, asked.own_code is not None)
    folders = run_folders([study.name for study in studies], asked.out)
    if asked.address is not None and asked.address.kind == "slurm":
        print(write_job_script(asked.address.script, sys.argv[1:], folders))
        return
    devices.prepare()
    studies = with_own_code(studies, asked.own_code)
    from rnnjax.studies.prepare import prepare_study
    from rnnjax.studies.run import run_study

    for study in studies[1:]:
        prepare_study(study)  # so that a mistake in the last study is told before the first is trained
    with connect_workers(asked.address) as engine:
        for study, folder in zip(studies, folders, strict=True):
            begun = holds_run(folder) or (len(studies) == 1 and not folder.is_dir())  # others are begun now
            own_code = str(asked.own_code or "")
            run_study(study, folder, asked.resume is not None and begun, asked.strict, own_code, engine=engine)


def connect_workers(address: Address | None) -> "AbstractContextManager[Engine | None]":
    """A connection to the workers of a cluster, where one is asked for. Raises BadInput."""
    if address is None:
        return nullcontext()
    from rnnjax.studies.cluster.engine import connected  # loads dask, which is an extra

    return connected(address)
