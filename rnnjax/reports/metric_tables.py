"""Wide tables as several narrow ones: by topic for the table of every metric, else in the order of the columns."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from rnnjax.reports.document import ReportSettings, ReportTable

MAX_COLUMNS = 7  # of a table on the page, the first one included
METRICS = "metrics"  # name of the table of every metric
OTHER = "Other metrics"

TOPICS: Mapping[str, str] = {  # topic -> words of metric names; a name belongs to the first topic with one of its words
    "Runs and sizes": "diverged failed collapsed identical parameters weights characters pass",
    "Generated text": "greedy sampled beam top cool valid invalid sentence zlib distinct period cycle surprisal",
    "Recurrent kernel": "spectral eigenvalue henrici radius recurrent",
    "Free running": "closed standstill return escape growth slope excess exposure error",
    "Memory": "memory horizon ngram trigram majority half cut context earlier early late last next loop",
    "States and units": "state hidden dead saturated stuck zero large unit mixing echo readout ridge start sensitivity",
    "Gradients": "gradient reach jacobian clip clipped harm unclipped counterfactual cosine norm",
    "Loss spikes": "jump jumps",
    "Words": "similarity category zog neighbours word string strings probe spelling suffix silhouette position",
    "Loss and speed": "loss steps chance floor accuracy r2",
}


def split_table(table: ReportTable, most: int = MAX_COLUMNS) -> list[ReportTable]:
    """The table as tables of at most `most` columns that share its first one; unchanged where it is narrow enough."""
    if len(table.columns) <= most:
        return [table]
    if table.name != METRICS:
        return _chunks(table, range(1, len(table.columns)), table.title, most)
    topics = [topic(column) for column in table.columns]
    groups = {name: [i for i in range(1, len(topics)) if topics[i] == name] for name in dict.fromkeys(topics[1:])}
    return [part for name, columns in groups.items() for part in _chunks(table, columns, name, most)]


def chosen_columns(table: ReportTable) -> ReportTable | None:
    """A wide table with the columns that it names to be shown first; None where it is narrow or names none."""
    places = [table.columns.index(column) for column in table.shown if column in table.columns]
    if len(table.columns) <= MAX_COLUMNS or not places:
        return None
    rows = [[row[i] for i in (0, *places)] for row in table.rows]
    return table._replace(columns=[table.columns[i] for i in (0, *places)], rows=rows)


def topic(column: str) -> str:
    """The topic of a metric, by the words of its name."""
    words = set(re.split(r"[_@ (]", column.partition(" (")[0]))
    return next((name for name, known in TOPICS.items() if words & set(known.split())), OTHER)


def settings_table(settings: ReportSettings) -> ReportTable | None:
    """Arms as rows, the fields in which they differ as columns; None where they do not differ."""
    fields = list(dict.fromkeys(field for values in settings.arms.values() for field in values))
    rows = [[arm, *(values.get(field) for field in fields)] for arm, values in settings.arms.items()]
    return ReportTable("settings", "Settings that differ between arms", ["arm", *fields], rows) if fields else None


def _chunks(table: ReportTable, columns: Sequence[int], title: str, most: int) -> list[ReportTable]:
    """The first column and these, in tables of nearly equal width."""
    count = -(-len(columns) // (most - 1))
    bounds = np.linspace(0, len(columns), count + 1).round().astype(int)
    return [
        table._replace(
            title=f"{title} ({number} of {count})" if count > 1 else title,
            columns=[table.columns[i] for i in (0, *columns[start:end])],
            rows=[[row[i] for i in (0, *columns[start:end])] for row in table.rows],
        )
        for number, (start, end) in enumerate(pairwise(bounds), 1)
    ]
