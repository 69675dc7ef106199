"""Tables of networks of one text, from finished run folders: sizes, losses, times, choices, temperatures."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnjax import devices
from rnnjax.cli.common import build_parser
from rnnjax.cli.documentation.markdown import table
from rnnjax.storage.files import write_text
from rnnjax.storage.manifest import read_manifest

NOTE = """\
Cross-entropy in nats per character of the held-out tenth. CPU seconds are those of the whole command (`time`, user +
system) for all seeds together: on idle cores no command takes longer, and two cores share them. Other programs ran on
the machine, so its wall seconds are none of an idle one."""
CHOICES = """\
A short training with one setting changed at a time; other seeds than above."""
WRITING = """\
Texts of the networks with 256 units, 16 of 1,000 characters each after 200 of the held-out text. Known words
occur in the training part; the loss is that under the longest n-grams of the training part: text that is as
predictable as the true one has its loss."""


def arguments() -> argparse.Namespace:
    parser = build_parser(__doc__)
    parser.add_argument(
        "--network",
        nargs=2,
        action="append",
        default=[],
        metavar=("OUT", "CPU"),
        help="run folder of configs/train/text.toml, and the CPU seconds that its command took; repeatable",
    )
    parser.add_argument("--choices", type=Path, metavar="OUT", help="run folder of configs/train/text_choices.toml")
    parser.add_argument("--writes", type=Path, metavar="OUT", help="the folder whose networks write texts")
    parser.add_argument("--output", type=Path, default=Path("results/text"), metavar="DIR", help="default results/text")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    devices.prepare()
    file = asked.output / "text.json"
    found = json.loads(file.read_text()) if file.exists() else {}  # what is not asked for stays
    if asked.network:
        found["sizes"] = [size_row(Path(folder), float(seconds)) for folder, seconds in asked.network]
    if asked.choices:
        found["choices"] = choice_rows(asked.choices)
    if asked.writes:
        found |= written_texts(asked.writes)
    write_text(file, json.dumps(found, indent=1) + "\n")
    write_text(asked.output / "text.md", markdown(found))
    print(f"done: {asked.output / 'text.md'}")


def written_texts(folder: Path) -> dict[str, Any]:
    """The measures of the texts of a folder's networks, and the losses of n-grams of its text."""
    from benchmarks.text.temperatures import temperature_rows, true_row
    from rnnjax.studies.datasets import load_tasks
    from rnnjax.studies.load_networks import load_networks

    networks = load_networks(folder, None)
    task = next(iter(load_tasks([networks[0].spec.task])[0].values()))
    rows = [true_row(task), *temperature_rows(networks, task)]
    return {"ngram_losses": list(task.ngram_losses), "temperatures": rows}


def size_row(folder: Path, cpu_seconds: float) -> dict[str, Any]:
    """The size, losses and costs of the networks in a folder."""
    from rnnjax.studies.load_results import load_results

    arm, manifest = load_results(folder).arms[0], read_manifest(folder) or {}
    [settings], [group] = manifest["config"]["arms"].values(), manifest["groups"].values()
    return {
        "hidden": settings["hidden"],
        "parameters": group["sizes"]["parameters"],
        "steps": settings["steps"],
        "seeds": manifest["config"]["seeds"],
        "held_out_losses": arm.metrics["validation_loss"].tolist(),
        "training_losses": arm.metrics["final_loss"].tolist(),
        "cpu_seconds": cpu_seconds,
        "wall_seconds": round(sum(manifest["seconds"].values()), 1),
    }


def choice_rows(folder: Path) -> list[dict[str, Any]]:
    """The losses of each choice, the lowest first."""
    from rnnjax.studies.load_results import load_results

    rows = [
        {"choice": arm.name, "held_out_losses": arm.metrics["validation_loss"].tolist()}
        for arm in load_results(folder).arms
    ]
    return sorted(rows, key=lambda row: mean(row["held_out_losses"]))


def markdown(found: dict[str, Any]) -> str:
    """The page."""
    ngrams = ", ".join(f"{loss:.3f}" for loss in found["ngram_losses"])
    sizes = [
        [
            str(row["hidden"]),
            f"{row['parameters']:,}",
            f"{row['steps']:,}",
            str(len(row["seeds"])),
            losses(row["training_losses"]),
            losses(row["held_out_losses"]),
            f"{row['cpu_seconds']:,.0f}",
            f"{row['cpu_seconds'] / 60:.1f}",
        ]
        for row in found["sizes"]
    ]
    choices = [[row["choice"], losses(row["held_out_losses"])] for row in found["choices"]]
    writing = [
        [str(row["temperature"]), f"{row['known_words']:.1%}", f"{row['fewest']:.1%}", f"{row['ngram_loss']:.2f}"]
        for row in found["temperatures"]
    ]
    names = ["hidden", "parameters", "steps", "seeds", "training", "held out", "CPU seconds", "minutes at most"]
    parts = [
        "# Networks of a book",
        f"{NOTE}\nn-grams of 1 to {len(found['ngram_losses'])} characters: {ngrams}.",
        table(names, sizes),
        "## Choices",
        CHOICES,
        table(["choice", "held out"], choices),
        "## Temperatures",
        WRITING,
        table(["temperature", "known words", "in the worst text", "n-gram loss"], writing),
    ]
    return "\n\n".join(parts) + "\n"


def losses(values: Sequence[float]) -> str:
    """The mean, and the values that it is of."""
    return f"{mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})"


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
