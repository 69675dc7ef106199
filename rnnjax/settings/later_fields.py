"""Names of settings that came after the first studies.

They are no part of a run's identity where all arms have their default: a study that was made before them stays known by
what it was known by, and its folder, which lacks them, is read with the defaults.
"""

TEXT_FIELDS = ("tokens", "vocabulary_limit", "document_token")
SERIES_FIELDS = (
    *("targets", "inputs", "known_inputs", "horizon", "forecast", "lags", "differences", "season", "fold", "gaps"),
)
SEQUENCE_FIELDS = (
    *("sequences", "predict", "summary", "class_weights", "batches", "buckets", "known_steps", "split", "folds"),
    *("sequence_column", "order_column", "group_column", "time_column", "split_column"),
)
TABLE_FIELDS = (  # of `TaskSpec`
    *("delimiter", "decimal", "thousands", "units", "header", "skip_lines", "index", "where", "order"),
    *("missing_values", "missing", "copy_length", *SERIES_FIELDS, *SEQUENCE_FIELDS),
)

NETWORK_FIELDS = (  # of `Spec`
    *("embedding", "tied", "remat", "parallel", "dtype", "state_size", "gate_biases", "layer_sizes", "recurrence"),
)
CELL_FIELDS = ("step_size", "damping", "stiffness")  # of `HParams`
