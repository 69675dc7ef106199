"""When a run is looked at and saved. Pure arithmetic on optimizer steps."""

import numpy as np


def probe_points(asked: int | list[int], steps: int, log_every: int) -> list[int]:
    """At most so many points of training: the end, if 2 or more step 0, and log-spaced whole rows of the record.

    Where a list of steps is asked for: these, rounded up to whole rows, and no later than the end.
    """
    if isinstance(asked, list):
        return round_to_rows(asked, steps, log_every)
    if asked == 1:
        return [steps]
    spaced = np.geomspace(min(log_every, steps), steps, asked - 1)[:-1]
    rows = np.unique(np.round(spaced / log_every).astype(int))
    inner = {int(row) * log_every for row in rows if 0 < row * log_every < steps}
    return sorted({0, steps} | inner)


def round_to_rows(asked: list[int], steps: int, log_every: int) -> list[int]:
    """The ends of the rows in which these steps lie."""
    return sorted({min(-(-step // log_every) * log_every, steps) for step in asked})


def regular_points(every: int, steps: int, log_every: int) -> list[int]:
    """Every so many steps, rounded up to whole rows of the record, and the end."""
    every = -(-every // log_every) * log_every
    return sorted({*range(every, steps, every), steps})


def next_stop(step: int, stops: list[int], longest: int) -> int:
    """The end of the next chunk: the next stop, or `longest` steps on if that comes first."""
    return min(min(stop for stop in stops if stop > step), step + longest)
