"""Slips in taking over a network of another library, found from the outputs of that library (reference)."""

from rnnjax.doctor.conditions.types import Comparison, Condition, Limit

EXPLAINED = 0.98  # of the difference to the source

SOURCE = (
    Condition(
        "permuted_blocks", "fault", "The blocks of the gates are in another order than in the source of the weights.",
        "share of the difference to the source that another order removes",
        (Limit("permuted_blocks", above=EXPLAINED),),
        "Libraries order the gates differently: torch reset, update, new; Keras and ONNX update, reset, new; LSTMs of "
        "Haiku and ONNX have an order of their own.",
        "Permute the blocks of both kernels and of the bias, or import the weights: rnnjax.from_torch and the like.",
        Comparison(),
    ),
    Condition(
        "summed_biases", "fault", "Both biases of a GRU were added up, but one of them stands inside the reset gate.",
        "share of the difference to the source that moving a part of the bias inside removes",
        (Limit("summed_biases", above=EXPLAINED),),
        "n = tanh(W x + b_in + r * (U h + b_hn)): the reset gate multiplies b_hn, so that b_in + b_hn is not enough.",
        "Keep b_hn apart; of the gates reset and update both biases may be added up.",
        Comparison(),
    ),
    Condition(
        "transposed_kernels", "fault", "Square kernels are transposed.",
        "share of the difference to the source that transposing them back removes",
        (Limit("transposed_kernels", above=EXPLAINED),),
        "torch, ONNX and Equinox store [out, in], all others [in, out]; of square kernels the shape does not tell.",
        "Transpose them.",
        Comparison(),
    ),
    Condition(
        "uncarried_state", "fault", "The source does not carry its state, although it is asked to.",
        "share of the difference to the source that a fresh state removes",
        (Limit("uncarried_state", above=EXPLAINED),),
        "The state is reset for every window or step: a stateful layer whose trainer drops the state, or a loop that "
        "does not pass it on.",
        "Pass the state on by hand, and verify that two windows give what one long one gives.",
        Comparison(),
    ),
    Condition(
        "detached_state", "fault", "The state is cut from the gradient between steps, in the program of the source.",
        "share of the earlier steps whose inputs have no gradient in the last output",
        (Limit("detached_state", above=0.5),),
        "The state is detached at every step, or made anew from numbers: the network learns from single steps alone.",
        "Detach the state between windows, never inside one.",
        Comparison(),
    ),
    Condition(
        "other_outputs", "fault", "The network does not compute what its source computes.",
        "root mean square of the difference, over the deviation of the outputs of the source",
        (Limit("other_outputs", above=0.01),),
        "Weights, activations or a step between the layers differ; the checks above name the usual slips.",
        "Compare layer by layer, the first one first.",
        Comparison(),
    ),
)  # fmt: skip
