"""docs/metrics.md: every metric with its unit and definition, from the probes and from `training_metrics`."""

from collections.abc import Mapping

from rnnjax.analysis.forecasts import forecast_metric_info
from rnnjax.analysis.predictions import prediction_metric_info
from rnnjax.cli.documentation.markdown import code, page, table
from rnnjax.probes import all_metrics
from rnnjax.settings.metrics import UNITS_OF_LOSS, Metric
from rnnjax.studies.metrics import training_metrics

INTRODUCTION = """\
A metric is one number per seed. Study files name it in `metric`:

- `final_loss`: a metric of training; `validation_loss`: the last value of a probe;
- `validation_loss@1000`: a probe at the point nearest to step 1,000;
- `loss@900-1000`: the mean of a curve over the steps in (900, 1000].

Kinds: *scalar* is one number per run, *lag* one number per distance, *text* a generated text, *map* points of a plane.
Only scalars can be judged. A unit in braces depends on the loss of the task:"""


def metrics_page() -> str:
    """The page: units, metrics of training, one section per probe."""
    names = sorted({name for units in UNITS_OF_LOSS.values() for name in units})
    rows = [[f"`{{{name}}}`", *(units[name] for units in UNITS_OF_LOSS.values())] for name in names]
    units = table(["unit", *map(code, UNITS_OF_LOSS)], rows)
    training = ["## Training", metric_table(training_metrics())]
    sections = [f"## Probe `{probe}`\n\n{metric_table(metrics)}" for probe, metrics in all_metrics().items() if metrics]
    return page("Metrics", INTRODUCTION, units, *training, *forecast_section(), *prediction_section(), *sections)


def forecast_section() -> list[str]:
    """The metrics of one column of a series, and of one further ahead."""
    text = "Of each target, here `level`, and with `task.horizon` = 7 also 7 rows ahead, at the end of training."
    return ["## Forecasts of a series", text, metric_table(forecast_metric_info(("level",), 7))]


def prediction_section() -> list[str]:
    """The metrics of predicted classes, and of predicted values and next rows."""
    classes = metric_table(prediction_metric_info("label", ("up",), ()))
    values = metric_table(prediction_metric_info("next", (), ("level",)))
    text = "Of held-out sequences at the end of training: of classes, here of one called `up`, and of a target `level`."
    return ["## Predictions of sequences", text, classes, values]


def metric_table(metrics: Mapping[str, Metric]) -> str:
    rows = [[code(name), m.unit, m.definition, m.better, m.kind, m.source] for name, m in metrics.items()]
    return table(["name", "unit", "definition", "better", "kind", "source"], rows)
