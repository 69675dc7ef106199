"""The table of studies in the README: question, verdicts and runs, from the results."""

from collections.abc import Sequence

from rnnjax.cli.documentation.markdown import table
from rnnjax.reports.document import VERDICTS
from rnnjax.reports.ledger import Entry

STUDIES_BEGIN, STUDIES_END = "<!-- studies -->", "<!-- end of studies -->"
QUESTIONS = {  # short forms; a study that is not listed has its title
    "activation": "tanh against ReLU, sigmoid and no nonlinearity",
    "calibration": "unstated optimizer, reduction and state handling that reproduce the stated numbers",
    "clip": "effect of gradient clipping beyond a smaller step",
    "digits": "usual advice for long memory, on digits read pixel by pixel",
    "dynamics": "Lyapunov exponents and fixed points before and after training",
    "forcing": "exposure bias: teacher forcing, scheduled sampling, decoding",
    "grid": "hyperparameter grid of 48 networks, with a prediction exercise",
    "hidden": "number of hidden units",
    "identical": "causes of identical predictions",
    "init": "initialization of the recurrent kernel",
    "loops": "repetition: network or decoder",
    "memory": "longest lag that is learned: copying and adding, 10 to 500 steps",
    "parallel": "cells that are linear in their state against the LSTM",
    "plateau": "loss plateau: training problem or exact lower bound",
    "precision": "products in bfloat16: changed verdicts",
    "rate": "range of good learning rates",
    "reduction": "loss on the last time step only",
    "reservoir": "untrained recurrent kernels",
    "tbptt": "window of truncated back-propagation and memory",
    "zog": "representation of novel words",
}


def study_table(entries: Sequence[Entry]) -> str:
    """One row per study; the columns count its verdicts."""
    header = ["study", "question", *VERDICTS.values(), "runs"]
    return "\n" + table(header, [study_row(entry) for entry in entries]) + "\n\n"


def study_row(entry: Entry) -> list[str]:
    verdicts = [claim.verdict for claim in entry.statements]
    counts = [str(verdicts.count(verdict)) for verdict in VERDICTS]
    link = f"[{entry.name}](results/{entry.name}/report.md)"
    return [link, QUESTIONS.get(entry.name, entry.title), *counts, f"{entry.runs:,}"]
