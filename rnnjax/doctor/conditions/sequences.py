"""Faults of sets of sequences: of their data, their padding, and rows of several sequences."""

from rnnjax.doctor.conditions.types import Comparison, Condition, Limit
from rnnjax.doctor.indicators.dependence import MIN_EFFECT
from rnnjax.doctor.sequences.label_fit import SIGNIFICANT

SEQUENCE_DATA = (
    Condition(
        "empty_sequences", "fault", "There are sequences without a step.",
        "sequences without a step",
        (Limit("empty", above=0.0),),
        "A sequence without a step has no last state: programs read the initial state, the last step of the padding, "
        "or another sequence in its place.",
        "Remove them with their labels, and find out why they are empty.",
        Comparison(),
    ),
    Condition(
        "length_leak", "fault", "The length of a sequence alone gives its label away.",
        "share of the loss of the class shares, or of the variance, that the length alone saves",
        (Limit("length_leak", above=0.4),),
        "The classes were recorded, cut or filled up to different lengths: a network can count steps instead of "
        "reading them.",
        "Cut all sequences to lengths that do not depend on the class. Where the length belongs to the question, "
        "compare with a predictor that reads nothing else.",
        Comparison(),
    ),
    Condition(
        "overlap", "fault", "Held-out sequences stand in the training part too.",
        "share of the held-out sequences with a copy, or nearly one, in the training part",
        (Limit("overlap", above=0.02),),
        "Sequences occur several times in the data, or were cut from one recording so that they overlap: the held-out "
        "part measures what is known by heart.",
        "Remove copies before the split, or keep them in one part: task.split=group with a column of their source.",
        Comparison(),
    ),
    Condition(
        "shuffled_labels", "fault", "The labels fit the sequences no better than shuffled ones.",
        "probability of a fit as good as this if the labels were shuffled",
        (Limit("label_fit", above=SIGNIFICANT),),
        "Neither a simple predictor nor the networks find anything in the sequences that tells of their labels: labels "
        "and sequences are in different orders, or the sequences do not contain the answer.",
        "Verify for some sequences that the label is their own, in the file and after each step of your program.",
        Comparison(),
        explains_shortfall=True,
    ),
)  # fmt: skip
SEQUENCE_PROGRAM = (
    Condition(
        "state_leak", "fault", "The state leaks from one sequence to the next one in its row.",
        "largest effect of a sequence on another one, as a share of the largest effect",
        (Limit("other_sequence", above=MIN_EFFECT),),
        "The state is not reset, or only a part of it or a step late, where a new sequence begins: what is predicted "
        "for a sequence depends on its neighbours in the row.",
        "Put the initial state back before the first step of each sequence, in every layer and direction: carry = "
        "jnp.where(starts[:, None], start, carry).",
        Comparison(),
    ),
    Condition(
        "padding_read", "fault", "Outputs depend on the padding.",
        "largest change of an output that counts when only padding changes, in standard deviations of the outputs",
        (Limit("padding_read", above=MIN_EFFECT),),
        "Steps of padding are read as if they belonged to the sequence: by the backward direction, by a mean or "
        "normalisation over time, before a sequence that is padded in front, or by taking the last step for the end.",
        "Keep the state at steps of padding, jnp.where(mask, new, old), reverse each sequence within its length, take "
        "means over its own steps, and read its last valid step.",
        Comparison(),
    ),
)  # fmt: skip
