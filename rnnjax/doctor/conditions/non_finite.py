"""Numbers that are not finite, and what they come from."""

from rnnjax.doctor.conditions.types import Comparison, Condition, Limit

NON_FINITE = (
    Condition(
        "unknown_ids", "fault", "The inputs contain ids that the network does not know.",
        "share of the inputs",
        (Limit("unknown_ids", above=0.0),),
        "An embedding or kernel has fewer rows than there are ids, such as a symbol that was added later, or "
        "another tokenizer. JAX raises no error: it reads the last row, or fills with NaN.",
        "Make the table as large as the vocabulary, or map unknown ids to one that it has.",
        Comparison(),
    ),
    Condition(
        "broken", "fault", "Outputs or loss are not finite, although all parameters are.",
        "share of networks",
        (Limit("broken", above=0.0),),
        "Training has not diverged: an operation of the program gives a number that is not finite for this batch.",
        "Guard this operation: a small constant within the logarithm, root or division, or jnp.where on its input "
        "as well as on its result.",
        Comparison(),
    ),
    Condition(
        "diverged", "fault", "Training has diverged: parameters or the training loss are NaN or infinite.",
        "share of networks",
        (Limit("diverged", above=0.0),),
        "A step was so large that a number overflowed: the learning rate is too high, or the gradient is not clipped.",
        "Divide the learning rate by 10, clip the gradient norm, and restart training.",
        Comparison(
            "rate", "failed", "rate=0.1", "rate=1",
            "share of runs that diverged or ended above the unigram level, rate 0.1 instead of 1",
        ),
    ),
)  # fmt: skip
