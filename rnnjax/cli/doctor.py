"""What is wrong with a recurrent network, and what to do: of a run folder, or of your text or series.

With --text or --series a small network is trained on the file first, four seeds, in less than a minute.
"""

import argparse
import json
from pathlib import Path

from rnnjax import devices
from rnnjax.cli import common as command
from rnnjax.config import load as config
from rnnjax.config.schema import Study
from rnnjax.errors import BadInput

CONFIGS = Path(__file__).parents[1] / "doctor" / "configs"
ABOUT = "doctor.json and doctor.html are written into the run folder"


def arguments() -> argparse.Namespace:
    """What the user asked for. Raises: BadInput unless it is exactly one of the three."""
    parser = command.build_parser(__doc__, ABOUT)
    parser.add_argument("folder", nargs="?", type=Path, metavar="OUT", help="the run folder of a study")
    parser.add_argument("--arm", metavar="A", help="which arm of it; default the first")
    parser.add_argument("--text", type=Path, metavar="FILE", help="train on this text first")
    parser.add_argument("--series", type=Path, metavar="FILE", help="train on this CSV file first")
    parser.add_argument("--columns", metavar="A,B", help="columns of --series; default all")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder of --text, --series; default runs/doctor-*")
    command.add_import_option(parser)
    asked = parser.parse_args()
    given = [name for name in ("folder", "text", "series") if getattr(asked, name) is not None]
    if len(given) != 1:
        raise BadInput(f"got {' and '.join(given) or 'nothing to examine'}; expected one of OUT, --text and --series")
    if asked.folder is not None and asked.out is not None:
        raise BadInput("--out: got a run folder to examine too; expected --text or --series, which are trained first")
    if asked.columns is not None and asked.series is None:
        raise BadInput("--columns: got no --series; expected one, whose columns they are")
    if asked.arm is not None and asked.folder is None:
        raise BadInput("--arm: got no run folder; expected one, whose arm it is")
    return asked


def diagnostic_study(asked: argparse.Namespace) -> Study | None:
    """The study that trains on the user's file; None where a run folder is examined. Raises BadInput."""
    if asked.folder is not None:
        return None
    kind = "text" if asked.text is not None else "series"
    changes = [f"task.path={toml_string(str(asked.text or asked.series))}"]
    if asked.columns is not None:
        changes.append(f"task.columns={toml_string(asked.columns)}")
    return config.load_study(CONFIGS / f"doctor_{kind}.toml", changes)


def toml_string(text: str) -> str:
    """A string as TOML writes it; for what stands in a path, as JSON does."""
    return json.dumps(text, ensure_ascii=False)


def main() -> None:
    asked = arguments()
    study = diagnostic_study(asked)
    file = asked.text or asked.series
    folder = asked.folder or asked.out or Path("runs") / f"doctor-{file.stem}"
    if study is not None:
        command.run_folders([study.name], folder)
    devices.prepare()
    command.run_user_code(asked.own_code)
    from rich.console import Console  # what is below imports JAX, which a bad argument never reaches

    from rnnjax.doctor import report
    from rnnjax.doctor.examine_run import examine_folder
    from rnnjax.studies import run as lab

    if study is not None:
        lab.run_study(study, folder, resume=folder.exists())
    arm, found = examine_folder(folder, asked.arm)
    title = f"{file or folder}: {arm}"
    report.print_diagnosis(Console(highlight=False), title, found)
    report.write(folder, title, found)
    print(f"done: {folder / 'doctor.html'}")
