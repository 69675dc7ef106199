"""Faults of the program: axes, gradients, losses and outputs that are not what they should be."""

from rnnjax.doctor.conditions.sequences import SEQUENCE_PROGRAM
from rnnjax.doctor.conditions.types import Comparison, Condition, Limit
from rnnjax.doctor.indicators.dependence import MIN_EFFECT

PROGRAM = (
    Condition(
        "distribution", "fault", "The outputs are squashed before the loss, which expects logits.",
        "lowest possible loss of such outputs / loss of chance",
        (Limit("distribution", above=0.1),),
        "A softmax, sigmoid, tanh, ReLU or clip stands before a loss that applies its own softmax: the loss cannot "
        "approach 0.",
        "Remove it from the network, or use -log of the target's probability as the loss if the outputs are "
        "probabilities.",
        Comparison(),
    ),
    Condition(
        "swapped_axes", "fault", "Time and batch are swapped: outputs depend on other streams, not on earlier steps.",
        "largest effect of one stream on another, as a share of the largest effect",
        (Limit("row_leak", above=MIN_EFFECT), Limit("memory", below=MIN_EFFECT)),
        "The scan runs along the batch axis: each example is processed as if it followed the previous example.",
        "Put the time axis where the scan expects it: jnp.swapaxes(x, 0, 1), or the module's time_major argument.",
        Comparison(
            "identical", "r2", "time,every,window=16",
            "batch,every,window=16",
            "held-out R^2, correct axes instead of swapped ones",
        ),
    ),
    Condition(
        "row_leak", "fault", "Streams of a batch are not independent: one stream's input changes another's output.",
        "largest effect of one stream on another, as a share of the largest effect",
        (Limit("row_leak", above=MIN_EFFECT),),
        "An operation mixes the batch axis: one carry for all streams, a mean over the batch, or a wrong reshape.",
        "Give each stream its own carry and take means over units only; verify by changing one stream.",
        Comparison(),
    ),
    Condition(
        "future", "fault", "Outputs depend on later inputs.",
        "largest effect on an earlier output, as a share of the largest effect",
        (Limit("future", above=MIN_EFFECT), Limit("predicts_next_input", above=0.5)),
        "The network is bidirectional, or normalises over time, although its target is the next input.",
        "Use a unidirectional network if the target is the next input.",
        Comparison(),
    ),
    Condition(
        "last_step", "fault", "Only the last step of a window contributes to the gradient.",
        "share of the gradient with respect to the outputs at the last step",
        (Limit("last_step", above=0.99),),
        "The loss uses the last output alone, or is overwritten at every step instead of accumulated.",
        "Sum the losses of all steps. If only the last step has a target, pass the loss mask.",
        Comparison(
            "reduction", "true_loss", "sum",
            "last",
            "loss of all steps, trained on their sum instead of the last one",
        ),
    ),
    Condition(
        "silent_streams", "fault", "Some streams of the batch do not contribute to the gradient.",
        "share of streams without a gradient",
        (Limit("silent_streams", above=0.0),),
        "The loss uses a part of the batch, such as its first row.",
        "Average the losses of all streams.",
        Comparison(),
    ),
    Condition(
        "padding_counted", "fault", "The loss counts steps that should not count.",
        "share of the steps with a gradient that are padding, or that the loss mask excludes",
        (Limit("padding_counted", above=0.01),),
        "The objective takes the mean over all steps, and padding is easy to predict: the loss looks low, and "
        "gradients are those of the padding.",
        "Multiply the losses of the steps by the mask, and divide by its sum: jnp.sum(losses * mask) / "
        "jnp.sum(mask).",
        Comparison(),
    ),
    Condition(
        "uncounted", "fault", "The loss ignores steps that the loss mask counts.",
        "share of the steps that count which have no gradient",
        (
            Limit("uncounted", above=0.2),
            Limit("last_step", below=0.99, optional=True),
            Limit("silent_streams", below=1e-9, optional=True),
        ),
        "The objective and the given mask disagree: it uses another mask, or fewer steps.",
        "Use one mask for the objective and for the evaluation.",
        Comparison(),
    ),
    *SEQUENCE_PROGRAM,
    Condition(
        "copies_input", "fault", "The network repeats the symbol that it has just read.",
        "share of the predictions that are the input",
        (Limit("copied", above=0.9), Limit("repeated", below=0.5)),
        "It was trained to say its input: targets that were not shifted, or other parameters.",
        "Verify that targets[t] = inputs[t + 1] in training.",
        Comparison(),
    ),
    Condition(
        "out_of_range", "fault", "The outputs cannot reach the targets: they end at a bound.",
        "share of the targets beyond the bound",
        (Limit("out_of_range", above=0.05),),
        "The readout ends in a ReLU, sigmoid, tanh or a clip whose range does not hold the targets.",
        "Let the readout be linear, or scale the targets into its range.",
        Comparison(),
    ),
)  # fmt: skip
