"""Differences between two sets of results of the same studies: verdicts, with the reason, and numbers.

Two means differ here where their 95% intervals have no point in common; of two independent means with equal errors, 6
in 1,000 do so by chance.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rnnjax.errors import BadInput
from rnnjax.storage.sealed import read_sealed_json

SAME_CRITERIA = "the same criteria, measured anew"
CRITERION = re.compile(r"(?:^|(?<=\. ))(.+?): (confirmed|refuted|unresolved)\. Needed (.+?); measured ")  # of `reasons`


class VerdictChange(NamedTuple):
    """A statement whose verdict is another one now."""

    id: str
    before: str
    after: str
    reason: str


class NumberChange(NamedTuple):
    """A mean over seeds whose interval has moved away; `before` and `after` are (mean, low, high)."""

    study: str
    arm: str
    metric: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]


class Changes(NamedTuple):
    """All changes, and out of how many verdicts and numbers."""

    verdicts: list[VerdictChange]
    numbers: list[NumberChange]
    compared_verdicts: int
    compared_numbers: int
    not_compared: list[str]  # statements, and arms of a study, that only one of the two has


def compare_results(old: Path, folders: Sequence[Path]) -> Changes:
    """Args: old: a folder with a folder of the same name for each of `folders`. Raises BadInput, DamagedState."""
    changes = Changes([], [], 0, 0, [])
    for folder in folders:
        if not (old / folder.name / "summary.json").is_file():
            raise BadInput(f"{old}: has no results of {folder.name}")
        before, after = (read_sealed_json(path / "summary.json") for path in (old / folder.name, folder))
        verdicts = common_by(before["claims"], after["claims"], "id")
        arms = common_by(before["arms"], after["arms"], "name")
        numbers = [pair for was, new in arms for pair in common_means(was, new)]
        changes = Changes(
            [*changes.verdicts, *changed_verdicts(verdicts)],
            [*changes.numbers, *(NumberChange(folder.name, *each) for each in numbers if is_apart(*each[2:]))],
            changes.compared_verdicts + len(verdicts),
            changes.compared_numbers + len(numbers),
            [*changes.not_compared, *only_in_one(folder.name, before, after)],
        )
    return changes


def common_by(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """The pairs (before, after) of the entries that both have under a key."""
    known = {entry[key]: entry for entry in before}
    return [(known[entry[key]], entry) for entry in after if entry[key] in known]


def common_means(was: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
    """(arm, metric, interval before, interval after) of the means that an arm has in both."""
    for name, after in new["metrics"].items():
        before = was["metrics"].get(name)
        pair = [(each["mean"], *each["ci95"]) for each in (before, after) if each and each["ci95"]]
        if len(pair) == 2 and None not in pair[0] + pair[1]:  # null: an end that is infinite
            yield new["name"], name, *pair


def is_apart(before: tuple[float, float, float], after: tuple[float, float, float]) -> bool:
    """Whether two intervals (mean, low, high) have no point in common; rounding is no difference."""
    gap = max(after[1] - before[2], before[1] - after[2])
    return gap > 1e-6 * max(abs(before[0]), abs(after[0]))


def only_in_one(study: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The statements, and the arms of a study, that one of the two results lacks."""
    ids = {claim["id"] for claim in before["claims"]} ^ {claim["id"] for claim in after["claims"]}
    arms = {arm["name"] for arm in before["arms"]} ^ {arm["name"] for arm in after["arms"]}
    return sorted(ids) + [f"{study}: arm {name}" for name in sorted(arms)]


def changed_verdicts(claims: Sequence[Any]) -> Iterator[VerdictChange]:
    for was, new in claims:
        if was["verdict"] != new["verdict"]:
            yield VerdictChange(new["id"], was["verdict"], new["verdict"], verdict_reason(was["why"], new["why"]))


def verdict_reason(was: str, new: str) -> str:
    """Why a verdict differs: other criteria, another limit of one, or another measurement under the same.

    Args: was, new: what the summaries say of the criteria, see `summary.reasons`.
    """
    before, after = (
        {text: (verdict, needed) for text, verdict, needed in CRITERION.findall(why)} for why in (was, new)
    )
    both = [text for text in after if text in before]
    limits = [text for text in both if before[text][1] != after[text][1]]
    turned = [f"{text}: {before[text][0]}, now {after[text][0]}" for text in both if before[text][0] != after[text][0]]
    parts = [
        f"{len(after) - len(both)} criteria are new" if len(after) > len(both) else "",
        f"{len(before) - len(both)} are gone" if len(before) > len(both) else "",
        f"other limits: {'; '.join(limits)}" if limits else "",
        "; ".join(turned),
    ]
    return "; ".join(filter(None, parts)) or SAME_CRITERIA


def changes_markdown(changes: Changes) -> str:
    """The page of the changes."""
    numbers = [
        f"| {change.study} | {cell(change.arm)} | {change.metric} "
        f"| {interval_text(change.before)} | {interval_text(change.after)} |"
        for change in changes.numbers
    ]
    verdicts = [f"| {each.id} | {each.before} | {each.after} | {cell(each.reason)} |" for each in changes.verdicts]
    return "\n".join(
        [
            "# What changed in the results",
            "",
            f"{len(verdicts)} of {changes.compared_verdicts} verdicts differ.",
            "",
            "| statement | before | now | reason |",
            "| --- | --- | --- | --- |",
            *verdicts,
            "",
            f"{len(numbers)} of {changes.compared_numbers} means over seeds have intervals that do not meet.",
            "",
            "| study | arm | metric | before | now |",
            "| --- | --- | --- | --- | --- |",
            *numbers,
            "",
            *([f"Not in both: {', '.join(changes.not_compared)}."] if changes.not_compared else []),
            "",
        ]
    )


def cell(text: str) -> str:
    """A text as a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def interval_text(interval: tuple[float, float, float]) -> str:
    mean, low, high = interval
    return f"{mean:.4g} \\[{low:.4g}, {high:.4g}\\]"
