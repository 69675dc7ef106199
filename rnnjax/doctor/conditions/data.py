"""Faults of the data and of their arrays."""

from rnnjax.doctor.conditions.types import Comparison, Condition, Limit

DATA = (
    Condition(
        "suspicious_values", "fault", "The data contain values that may be codes for missing ones.",
        "kinds of such values",
        (Limit("suspicious_values", above=0.0),),
        "Codes such as -9999 or 1e20 are numbers to a program: they set the scale of their column and dominate a "
        "squared error.",
        "Declare them as missing with --set task.missing_values=..., and choose with --set "
        "task.missing=interpolate, drop or mask.",
        Comparison(),
    ),
    Condition(
        "wrong_axis", "fault",
        "The batch axis comes first: successive inputs follow each other along the second axis of the batch.",
        "how much more they are related along the second axis, 0 to 1",
        (Limit("wrong_axis", above=0.5),),
        "Arrays [B, T, ...] were given where time comes first, [T, B, ...]: the network reads different sequences "
        "as successive steps.",
        "Swap the first two axes of inputs and targets: jnp.swapaxes(x, 0, 1).",
        Comparison(),
    ),
    Condition(
        "target_leak", "fault", "The input contains the target (leakage).",
        "share of targets that an input column gives",
        (Limit("target_leak", above=0.99),),
        "The targets are not shifted relative to the inputs, or the target is one of the input columns: the network "
        "only has to copy.",
        "Shift by one step, targets = inputs[1:] and inputs = inputs[:-1]; remove the target's column from the inputs.",
        Comparison(),
    ),
    Condition(
        "unscaled", "fault", "Inputs or targets are not scaled: their magnitude is far from 1.",
        "|log10 of the root mean square|",
        (Limit("size", above=1.0),),
        "Large raw values saturate the units and small ones have almost no effect; no learning rate suits columns of "
        "different magnitude.",
        "Standardise by the mean and standard deviation of the training part, and invert this for the predictions.",
        Comparison(
            "identical", "r2", "zero,tanh,all,task.scale=100,offset=1000",
            "zero,tanh,targets,task.scale=100,offset=1000",
            "held-out R^2, standardised instead of scaled by 100 and shifted by 1,000",
        ),
    ),
    Condition(
        "classes_as_numbers", "fault", "The targets are classes, but the loss treats them as numbers.",
        "share that a table of the last target saves, minus that of a line",
        (Limit("classes_as_numbers", above=0.15),),
        "The targets are whole numbers without an order, such as ids of symbols: the squared error makes the "
        "network predict a number between two classes.",
        "Give the targets as integers, let the network have one output for each class, and use a softmax cross-"
        "entropy.",
        Comparison(),
    ),
)  # fmt: skip
