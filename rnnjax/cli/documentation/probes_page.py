"""docs/probes.md: every probe with its description and the values that it measures, from `PROBES`."""

from rnnjax.cli.documentation.markdown import code, first_line, page, table
from rnnjax.probes import PROBES, all_metrics

MOST_VALUES = 8  # of one probe in the table
INTRODUCTION = """\
A probe measures a network between two chunks of training. A study requests it in its table `[probes]`, by a number of
log-spaced points of training or by a list of steps:

```toml
[probes]
validation = 10
gradients = [0, 1_000, 10_000]
```

A probe that does not apply to an arm (its task or its cell) is left out for that arm. The values are described in
[metrics.md](metrics.md)."""


def probes_page() -> str:
    """The page: one row per probe."""
    metrics = all_metrics()
    rows = [[code(name), first_line(probe), list_values(name, list(metrics[name]))] for name, probe in PROBES.items()]
    return page("Probes", INTRODUCTION, table(["probe", "measures", "values"], rows))


def list_values(probe: str, names: list[str]) -> str:
    """The first values of a probe, and a link to all of them where there are more."""
    more = f", ... [all {len(names)}](metrics.md#probe-{probe})" if len(names) > MOST_VALUES else ""
    return ", ".join(map(code, names[:MOST_VALUES])) + more
