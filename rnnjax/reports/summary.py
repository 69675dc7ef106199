"""summary.json: verdicts and metrics of a study; and the phrases that the report shares with it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.measurement import CONFIRMED, Measurement
from rnnjax.analysis.results import Results, shared_unit
from rnnjax.analysis.verdicts import DEFINITION, Judgement
from rnnjax.reports.formatting import format_value


def summary(results: Results, judgements: Sequence[Judgement]) -> dict[str, Any]:
    """The content of summary.json."""
    study = results.study
    return {
        "study": study.name,
        "title": study.file.title or study.name,
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


def decisive(judgement: Judgement) -> Measurement | None:
    """The measurement to show first: one that has the verdict of the whole, else the first."""
    found = [m for _, _, measurements in judgement.criteria for m in measurements]
    wanted = CONFIRMED if judgement.verdict == DEFINITION else judgement.verdict
    return next((m for m in found if m.verdict == wanted), found[0] if found else None)


def reasons(judgement: Judgement) -> str:
    """Each criterion, its verdict and its measurements, in one paragraph."""
    parts = []
    for criterion, verdict, measurements in judgement.criteria:
        values = "; ".join(
            f"{m.what} {format_value(m.interval)} ({m.interval.method})" for m in shortened(measurements)
        )
        words = criterion.text or criterion.metric
        parts.append(
            f"{words}: {verdict}. Needed {needed(measurements)}; measured {values or 'too few seeds to tell'}."
        )
    if judgement.excluded:
        parts.append(f"{judgement.excluded} diverged runs are not in these numbers.")
    if judgement.looked_up:
        parts.append(f"Looked up, not measured: {'; '.join(judgement.looked_up)}.")
    return " ".join(parts)


def shortened(measurements: Sequence[Measurement], most: int = 6) -> Sequence[Measurement]:
    """At most six measurements, those against the statement first."""
    return sorted(measurements, key=lambda m: ["refuted", "unresolved", "confirmed"].index(m.verdict))[:most]


def needed(measurements: Sequence[Measurement]) -> str:
    if not measurements:
        return "more seeds"
    low, high = measurements[0].low, measurements[0].high
    if low == -np.inf:
        return f"at most {high:.4g}"
    return f"at least {low:.4g}" if high == np.inf else f"{low:.4g} to {high:.4g}"
