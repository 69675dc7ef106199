"""The metrics of the probe of novel words: strings that no network has read, in the place of known words."""

from rnnjax.settings.metrics import CORRELATION, SHARE, Metric, suffixed_metrics

ANOVA_SOURCE = "two-way analysis of variance with one observation per cell, summed over the H components"
SHARE_METRICS = {
    "string_share": Metric(
        "share of the variance of in-place vectors due to the novel string", source=ANOVA_SOURCE, range=SHARE
    ),
    "word_share": Metric(
        "share of the variance of in-place vectors due to the replaced word", source=ANOVA_SOURCE, range=SHARE
    ),
    "interaction_share": Metric(
        "share of the variance of in-place vectors due to neither the string nor the replaced word alone",
        source=ANOVA_SOURCE,
        range=SHARE,
    ),
}
FACTORIAL_METRICS = {
    **SHARE_METRICS,
    **suffixed_metrics(SHARE_METRICS, "_known", "only strings all of whose letters occur in the text"),
    "neighbours_human_strings": Metric(
        "share of humans among the 5 known words nearest to a string in the place of man, mean over strings",
        range=SHARE,
    ),
    "neighbours_animal_strings": Metric(
        "share of animals among the 5 known words nearest to a string in the place of lion, mean over strings",
        range=SHARE,
    ),
    "probe_human": Metric(
        "share of the strings in the place of man that a linear probe fitted on the vectors of all other words "
        "classifies as human",
        range=SHARE,
    ),
    "probe_animal": Metric(
        "share of the strings in the place of lion that a linear probe fitted on the vectors of all other words "
        "classifies as animal",
        range=SHARE,
    ),
    "similarity_strings_man": Metric(
        "mean cosine of the vectors of the strings in the place of man with that of man", range=CORRELATION
    ),
}

CENTRED = "after subtraction of the mean word vector"
SIMILARITY_METRICS = {
    f"similarity_zog_man{ending}": Metric(
        f"cosine of the vectors of zog in the place of man and of man, {where}", range=CORRELATION
    )
    for ending, where in {
        "": "each the mean state at the last letter",
        "_letters": "each the mean state over all letters",
        "_space": "each the mean state at the space after the word",
    }.items()
}
PAIR_METRICS = {
    "same_category_mean": Metric("mean cosine of the vectors of two known words of one category", range=CORRELATION),
    "cross_category_mean": Metric(
        "mean cosine of the vectors of two known words of different categories", range=CORRELATION
    ),
    "cross_category_p95": Metric("95th percentile of the cosine of two known words of different categories"),
    "zog_man_lion": Metric(
        "cosine of the vectors of zog in the place of man and of zog in the place of lion", range=CORRELATION
    ),
}
NEIGHBOUR_METRICS = {
    "neighbours_human": Metric(
        "share of humans among the 5 known words nearest to zog in the place of man", range=SHARE
    ),
    "neighbours_animal_lion": Metric(
        "share of animals among the 5 known words nearest to zog in the place of lion", range=SHARE
    ),
}
IN_CONTEXT_METRICS = {
    **SIMILARITY_METRICS,
    **suffixed_metrics(SIMILARITY_METRICS, "_centred", CENTRED),
    **PAIR_METRICS,
    **suffixed_metrics(PAIR_METRICS, "_centred", CENTRED),
    **suffixed_metrics(NEIGHBOUR_METRICS, "", f"by cosine {CENTRED}"),
    **suffixed_metrics(NEIGHBOUR_METRICS, "_raw", "by cosine"),
    "zog_shift": Metric("|zog in the place of man - zog in the place of lion| / |man - lion|"),
    "halves_deviation": Metric("1 - cosine of the vectors of man from every other occurrence and from the rest"),
    "zog_deviation": Metric("1 - similarity_zog_man"),
    "deviation_ratio": Metric("zog_deviation / halves_deviation"),
    "map": Metric(
        "known words, zog in the place of man and zog in the place of lion, in the plane of the first two principal "
        "components of the known words",
        kind="map",
    ),
}

NOVEL_WORDS_METRICS = {
    **IN_CONTEXT_METRICS,
    **FACTORIAL_METRICS,
    "same_positions": Metric(
        "1 if zog in the place of man has the neighbouring words of man with the same counts, else 0", range=SHARE
    ),
}
