"""The generated texts of a report, and the arms whose texts the page shows first."""

from rnnjax.analysis.results import Results, rank_arms
from rnnjax.reports.document import Sample
from rnnjax.reports.tables import baseline_arm
from rnnjax.settings.vocabulary import ids_to_text


def samples(results: Results) -> list[Sample]:
    """The text that the first seed of each arm generates after training."""
    roles = sample_roles(results)
    return [
        Sample(arm.name, probe.removeprefix("text_"), int(arm.probe_steps[-1]), text, roles.get(arm.name, ""))
        for arm in results.arms
        for vocabulary in [results.data_by_arm[arm.name].vocabulary]
        for probe in arm.values_of_kind("text")
        if arm.was_measured(probe)[-1]
        for text in [ids_to_text(arm.probes[probe][0, -1], vocabulary)]
    ]


def sample_roles(results: Results) -> dict[str, str]:
    """The baseline and the arms of the lowest and the highest final loss, among those that generate a text."""
    arms = [arm for arm in results.arms if arm.values_of_kind("text")]
    baseline = baseline_arm(results.study, results.arms).name
    ranked = [arm.name for arm, _ in rank_arms(arms, "final_loss", "lowest")]
    named = [(baseline, "baseline"), *[(name, "lowest final loss") for name in ranked[:1]]]
    named += [(name, "highest final loss") for name in ranked[1:][-1:]]
    roles: dict[str, str] = {}
    for name, role in named:
        roles[name] = f"{roles[name]}, {role}" if name in roles else role
    return roles
