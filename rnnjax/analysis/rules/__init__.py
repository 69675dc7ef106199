"""The rules that judge a claim: each turns a criterion into measurements, see `measurement`.

A rule is one function, one line of `RULES` and one of `FEWEST_SEEDS`.
"""

from collections.abc import Callable, Mapping, Sequence

from rnnjax.analysis.measurement import Measurement
from rnnjax.analysis.results import ArmResult
from rnnjax.analysis.rules.associations import correlation_rule, explained_rule, variance_share_rule
from rnnjax.analysis.rules.differences import difference_rule, equal_rule
from rnnjax.analysis.rules.effects import contrast_rule, interaction_rule, trend_rule
from rnnjax.analysis.rules.rankings import additive_rule, best_rule, largest_factor_rule
from rnnjax.analysis.rules.single_arms import bound_rule, exact_rule, number_rule, share_rule, spread_rule
from rnnjax.config.schema import Criterion

RULES: dict[str, Callable[[Criterion, Sequence[ArmResult]], list[Measurement]]] = {
    "bound": bound_rule,
    "exact": exact_rule,
    "number": number_rule,
    "difference": difference_rule,
    "equal": equal_rule,
    "best": best_rule,
    "share": share_rule,
    "explained": explained_rule,
    "contrast": contrast_rule,
    "trend": trend_rule,
    "interaction": interaction_rule,
    "spread": spread_rule,
    "widest": largest_factor_rule,
    "additive": additive_rule,
    "correlation": correlation_rule,
    "variance_share": variance_share_rule,
}

FEWEST_SEEDS: Mapping[str, int] = dict.fromkeys(RULES, 2) | {  # of each arm, for a verdict
    "exact": 1,
    "share": 1,
    "spread": 8,
    "explained": 8,
    "correlation": 8,
    "variance_share": 8,
}
