"""summary.json: verdicts and metrics of a study; and the phrases that the report shares with it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.measurement import CONFIRMED, REFUTED, UNRESOLVED, Measurement
from rnnjax.analysis.results import Results, shared_unit
from rnnjax.analysis.statistics import LOOKED_UP
from rnnjax.analysis.verdicts import DEFINITION, DOCUMENTED, PARTLY_CONFIRMED, PARTLY_REFUTED, Judgement
from rnnjax.config.schema import Criterion, Study
from rnnjax.reports.formatting import format_value


def summary(results: Results, judgements: Sequence[Judgement]) -> dict[str, Any]:
    """The content of summary.json."""
    study = results.study
    return {
        "study": study.name,
        "title": study_title(study),
        "question": study.file.question,
        "arms": [
            {
                "name": arm.name,
                "axes": arm.axes,
                "runs": len(arm.seeds),
                "diverged": int(np.sum(arm.diverged_at >= 0)),
                "metrics": {
                    name: metric_summary(values, shared_unit([arm], name)) for name, values in arm.metrics.items()
                },
            }
            for arm in results.arms
        ],
        "claims": [claim_summary(judgement) for judgement in judgements],
    }


def study_title(study: Study) -> str:
    """The title of a study: its question where its file gives none."""
    return study.file.title or " ".join(study.file.question.split())


def metric_summary(values: np.ndarray, unit: str) -> dict[str, Any]:
    interval = stats.estimate_mean(values)
    kept = values[np.isfinite(values)]
    return {
        "values": [float(f"{value:.6g}") for value in values],
        "mean": interval and interval.estimate,
        "iqm": float(stats.iqm(kept)) if len(kept) else None,
        "ci95": interval and [interval.low, interval.high],
        "unit": unit,
    }


def claim_summary(judgement: Judgement) -> dict[str, Any]:
    headline = decisive(judgement)
    return {
        "id": judgement.claim.id,
        "text": judgement.claim.text,
        "source": judgement.claim.source,
        "stated": judgement.claim.stated,
        "verdict": judgement.verdict,
        **(headline.interval.to_json() if headline else stats.NO_INTERVAL),
        "expected": judgement.claim.expected,
        "why": reasons(judgement),
    }


MEASURED_VERDICT = {  # that a measurement has which stands for a statement of this verdict
    DEFINITION: CONFIRMED,
    DOCUMENTED: CONFIRMED,
    PARTLY_CONFIRMED: UNRESOLVED,
    PARTLY_REFUTED: UNRESOLVED,
}
MOST = 6  # measurements of one criterion in a sentence


def decisive(judgement: Judgement) -> Measurement | None:
    """The measurement to show first: one that has the verdict of the whole, else the first."""
    found = [m for _, _, measurements in judgement.criteria for m in measurements]
    wanted = MEASURED_VERDICT.get(judgement.verdict, judgement.verdict)
    return next((m for m in found if m.verdict == wanted), found[0] if found else None)


def reasons(judgement: Judgement) -> str:
    """Each criterion, its verdict and its measurements, in one paragraph."""
    parts = []
    for criterion, verdict, measurements in judgement.criteria:
        values = measured(measurements, verdict)
        parts.append(f"{criterion_text(criterion)}: {verdict}. Needed {needed(measurements)}; measured {values}.")
    return " ".join(filter(None, [*parts, remarks(judgement)]))


def criterion_text(criterion: Criterion) -> str:
    """The reading and the sentence of a criterion, or its metric where it has neither."""
    return ": ".join(filter(None, (criterion.reading, criterion.text))) or criterion.metric


def remarks(judgement: Judgement) -> str:
    """The runs that a verdict leaves out, and the values that were looked up."""
    found = []
    if judgement.excluded:
        found.append(f"{judgement.excluded} diverged runs are not in these numbers.")
    if judgement.falling:
        falls = f"{', '.join(judgement.falling)} over the last tenth of training"
        found.append(f"The training loss was still falling, and more steps may change this: {falls}.")
    if judgement.looked_up:
        found.append(f"Looked up, not measured: {'; '.join(judgement.looked_up)}.")
    return " ".join(found)


def measured(measurements: Sequence[Measurement], verdict: str) -> str:
    """At most `MOST` measurements with their intervals, first those with the criterion's verdict: they decide it."""
    if not measurements:
        return "too few seeds to tell"
    order = [verdict, REFUTED, UNRESOLVED, CONFIRMED]
    ranked = sorted(measurements, key=lambda m: order.index(m.verdict))
    more = f"; and {len(ranked) - MOST} more" if len(ranked) > MOST else ""
    return "; ".join(map(measurement_text, ranked[:MOST])) + more


def measurement_text(measurement: Measurement) -> str:
    """As "tanh 0.57 [0.56, 0.58], n = 32 (t, 95%)"; a value from documentation has no method of an interval."""
    method = measurement.interval.method
    value = f"{measurement.what} {format_value(measurement.interval)}"
    return value if method == LOOKED_UP else f"{value} ({method})"


def needed(measurements: Sequence[Measurement]) -> str:
    """The range that confirms a measurement of a criterion."""
    if not measurements:
        return "more seeds"
    first = measurements[0]
    if first.needed:
        return first.needed
    if first.low == -np.inf:
        return f"at most {first.high:.4g}"
    return f"at least {first.low:.4g}" if first.high == np.inf else f"{first.low:.4g} to {first.high:.4g}"
