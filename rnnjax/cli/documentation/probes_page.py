"""docs/probes.md: every probe with its description and the values that it measures, from `PROBES`."""

from rnnjax.cli.documentation.markdown import code, first_line, page, table
from rnnjax.probes import PROBES

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
    from rnnjax.probes import all_metrics  # type: ignore[attr-defined]

    metrics = all_metrics()
    rows = [[code(name), first_line(probe), ", ".join(map(code, metrics[name]))] for name, probe in PROBES.items()]
    return page("Probes", INTRODUCTION, table(["probe", "measures", "values"], rows))
