"""The table of conditions: everything that the doctor checks, each cause before its consequences.

A condition is found if the means of all its indicators are within their limits. Treat the first finding first: later
ones may be its consequences.
"""

from math import isfinite
from typing import Literal, NamedTuple

from rnnjax.doctor.indicators.dependence import MIN_EFFECT

Kind = Literal["fault", "floor", "note"]


class Limit(NamedTuple):
    """An indicator's mean is above `above` and below `below`."""

    indicator: str
    above: float = float("-inf")
    below: float = float("inf")
    optional: bool = False  # ignored if the indicator could not be measured

    @property
    def bound(self) -> float:
        """The finite one of both bounds."""
        return self.below if isfinite(self.below) else self.above

    @property
    def text(self) -> str:
        return f"{'<' if isfinite(self.below) else '>'} {self.bound:g}"


class Comparison(NamedTuple):
    """The two arms of a study that measure the effect of a remedy: mean of treated - untreated over paired seeds.

    Empty if no study contains the fault.
    """

    study: str = ""
    metric: str = ""
    treated: str = ""
    untreated: str = ""
    description: str = ""
    untreated_metric: str = ""  # if it is another metric of the same arm


class Condition(NamedTuple):
    """A fault, or a state of training that is no fault."""

    name: str
    kind: Kind  # fault: needs treatment; floor: the loss cannot be lowered; note: for information
    symptom: str
    quantity: str  # the definition of the first indicator
    limits: tuple[Limit, ...]  # the first one's indicator is the evidence
    cause: str
    remedy: str
    comparison: Comparison
    learning_shortfall: bool = False  # ignored if the loss is at its floor


FLOOR_MARGIN = 0.05  # of the floor
CONDITIONS = (
    Condition(
        "diverged", "fault", "Outputs, parameters or the training loss are NaN or infinite.",
        "share of networks with non-finite values",
        (Limit("finite", above=0.0),),
        "A step was so large that a number overflowed: the learning rate is too high, or the gradient is not clipped.",
        "Divide the learning rate by 10, clip the gradient norm, and restart training.",
        Comparison(
            "rate", "failed", "rate=0.1", "rate=1",
            "share of runs that diverged or ended above the unigram level, rate 0.1 instead of 1",
        ),
    ),
    Condition(
        "target_leak", "fault", "The input contains the target (leakage).", "share of targets that equal the input",
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
        "distribution", "fault", "The outputs are probabilities, but the loss expects logits.",
        "share of outputs that are non-negative and sum to 1",
        (Limit("distribution", above=0.99),),
        "A softmax is applied twice, by the network and by the loss: gradients are small and the loss cannot approach "
        "0.",
        "Remove the softmax from the network, or use -log of the target's probability as the loss.",
        Comparison(),
    ),
    Condition(
        "rate_too_high", "fault", "The loss has risen above its minimum.",
        "(last loss - lowest loss) / (first loss - lowest loss)",
        (Limit("rise", above=0.25),),
        "The learning rate is too high: steps overshoot, and the progress of earlier steps is lost.",
        "Divide the learning rate by 3 until the loss no longer rises, and decay it towards the end of training.",
        Comparison("rate", "final_loss", "rate=0.1", "rate=1", "final loss, rate 0.1 instead of 1"),
    ),
    Condition(
        "jumps", "fault", "The loss has many spikes.", "share of rows above 1.5 times the median of the previous rows",
        (Limit("jumps", above=0.05),),
        "The learning rate is too high for the steepest regions of the loss, or exploding gradients are not clipped.",
        "Divide the learning rate by 3, or clip the gradient norm near its median.",
        Comparison("rate", "jumps", "rate=0.1", "rate=1", "spikes per 10,000 steps, rate 0.1 instead of 1"),
    ),
    Condition(
        "no_memory", "fault", "Outputs do not depend on earlier inputs.",
        "largest effect on a later output, as a share of the largest effect",
        (Limit("memory", below=MIN_EFFECT), Limit("saturated", below=0.9, optional=True)),
        "The carry that a step returns is discarded, or reset at every step: the network has no memory.",
        "Pass the carry that each step returns to the next step.",
        Comparison(
            "reservoir", "final_loss", "orthogonal,recurrent_trainable=1", "zeros,recurrent_trainable=0",
            "final loss, with memory instead of without",
        ),
    ),
    Condition(
        "dead_units", "fault", "Units are dead: they are 0 at every step of every stream.", "share of dead units",
        (Limit("dead", above=0.5),),
        "A step moved the biases of ReLU units so low that no input activates them; a dead unit has no gradient.",
        "Restart with a lower learning rate or gradient clipping, or use tanh.",
        Comparison(
            "identical", "dead_share", "relu,rate=0.03,norm=1", "relu,rate=0.1,norm=1",
            "share of dead units, rate 0.03 instead of 0.1",
        ),
        learning_shortfall=True,
    ),
    Condition(
        "saturated", "fault", "Units are saturated.", "share of activations within 0.05 of a bound",
        (Limit("saturated", above=0.9),),
        "Weights or inputs are so large that the nonlinearity is flat: gradients through it are almost 0.",
        "Use smaller initial weights, scale the inputs, or lower the learning rate.",
        Comparison(
            "init", "final_loss", "xavier_normal", "normal,gain=0.5",
            "final loss, initial weights a quarter as large",
        ),
        learning_shortfall=True,
    ),
    Condition(
        "input_independent", "fault", "Outputs do not depend on the inputs at all.",
        "share of networks whose outputs do not change",
        (Limit("input_independent", above=0.5),),
        "The input does not reach the cell: the wrong variable is passed, or the input kernel is 0.",
        "Trace the input from the batch to the cell; change it and print each intermediate value.",
        Comparison(),
    ),
    Condition(
        "frozen", "fault", "Some parameters are never trained.", "share of parameter arrays",
        (Limit("frozen", above=0.0),),
        "They have no gradient: they are not passed to the optimizer, are behind a stop_gradient, or are unused.",
        "Pass all parameters to the optimizer, and trace where the gradient ends.",
        Comparison(
            "reservoir", "final_loss", "orthogonal,recurrent_trainable=1", "orthogonal,recurrent_trainable=0,gain=1",
            "final loss, with a trained recurrent kernel instead of a frozen one",
        ),
    ),
    Condition(
        "clip_starves", "fault", "Gradient clipping shortens nearly every gradient by a large factor.",
        "gradient norm / threshold",
        (Limit("clip_ratio", above=10.0), Limit("clip", above=0.9)),
        "The threshold is far below the usual norm: it acts as a much lower learning rate.",
        "Set the threshold near the largest norms of stable training, several times their median.",
        Comparison("clip", "final_loss", "norm=5", "norm=0.5", "final loss, a threshold of 5 instead of 0.5"),
        learning_shortfall=True,
    ),
    Condition(
        "rate_too_low", "fault", "The weights have hardly changed.", "sum of the update norms / norm of the weights",
        (Limit("path", below=0.05),),
        "The learning rate is too low for the number of steps.",
        "Multiply the learning rate by 10 until the loss decreases, then by 3 until it no longer decreases faster.",
        Comparison("rate", "final_loss", "rate=0.1", "rate=0.001", "final loss, rate 0.1 instead of 0.001"),
        learning_shortfall=True,
    ),
    Condition(
        "exploding", "fault", "Gradients explode backwards in time.", "log10 of their growth over 4 steps",
        (Limit("gradient_growth", above=1.0),),
        "The spectral radius of the recurrent kernel is far above 1.",
        "Use an orthogonal initial kernel, and clip the gradient norm.",
        Comparison(
            "init", "final_loss", "orthogonal,gain=1", "normal,gain=1",
            "final loss, an orthogonal initial kernel instead of one with a radius of 8",
        ),
    ),
    Condition(
        "vanishing", "fault", "Gradients vanish within a few steps.", "log10 of the gradient left after 4 steps",
        (Limit("gradient_decay", below=-3.0),),
        "The recurrent kernel or the slope of the nonlinearity is too small: dependencies on earlier steps cannot be "
        "learned.",
        "Use an orthogonal initial kernel, tanh instead of a sigmoid, or a gated cell.",
        Comparison("loops", "final_loss", "rate=0.1", "sigmoid", "final loss, tanh instead of a sigmoid"),
        learning_shortfall=True,
    ),
    Condition(
        "stale_state", "fault", "The initial state of the window increases the loss, compared with a reset state.",
        "(loss from this state - loss from a reset state) / chance loss",
        (Limit("stale", above=0.1),),
        "The state belongs to other data, or is carried where it should have been reset.",
        "Reset the state at the start of a new sequence, and carry it only to the next window of the same sequence.",
        Comparison(),
    ),
    Condition(
        "identical", "fault", "Outputs are nearly the same for all inputs.",
        "standard deviation of the predictions / that of the targets",
        (Limit("identical", below=0.05),),
        "The network predicts the mean of its targets: it has not learned from its inputs, or its readout is too "
        "small.",
        "Treat the findings above first; then scale the data, raise the learning rate, or train longer.",
        Comparison(
            "identical", "output_spread", "zero,tanh,all,task.scale=100,offset=1000",
            "zero,tanh,targets,task.scale=100,offset=1000",
            "spread of the predictions, standardised instead of scaled by 100 and shifted by 1,000",
        ),
        learning_shortfall=True,
    ),
    Condition(
        "gap", "fault", "The held-out loss is much higher than the training loss.",
        "(held-out loss - training loss) / chance loss",
        (Limit("gap", above=0.25), Limit("loss_over_chance", below=1.0)),
        "It overfits: there are too few training data for its size and training time. Or the held-out data come from "
        "another distribution.",
        "Stop at the best held-out loss (validate_every, patience), use more data, a smaller network, or dropout.",
        Comparison(
            "loops", "validation_loss", "text,elman,adam,rate=0.003,every=200,patience=10",
            "text,elman,adam,rate=0.003,every=200,patience=inf",
            "held-out loss of a small text, early stopping instead of training to the end",
        ),
    ),
    Condition(
        "exposure", "fault", "Exposure bias: quality degrades in free-running generation.",
        "increase of the surprisal of generated text after 140 symbols, nats per symbol",
        (Limit("drift", above=0.5),),
        "Free-running generation leads to states that teacher forcing on short windows never reached, and errors "
        "accumulate.",
        "Train longer on more text, on longer windows with a carried state.",
        Comparison(
            "forcing", "exposure_gap", "characters=200000,steps=100000",
            "characters=2000,steps=10000",
            "gap between free-running and teacher-forced errors, more text and longer training",
        ),
    ),
    Condition(
        "runaway", "fault", "The free-running forecast leaves the range of the series.",
        "root mean square of the forecast / that of the series",
        (Limit("range", above=3.0),),
        "Errors feed back: one-step predictions are accurate, and each error increases the next one.",
        "Train on longer windows with a carried state, standardise, or predict the difference between steps.",
        Comparison(),
    ),
    Condition(
        "loops_of_model", "fault", "Texts sampled at temperature 1 end in loops.",
        "share of texts that end in a loop, minus that of true windows that repeat",
        (Limit("loops_sampled", above=0.2),),
        "The model itself assigns a probability near 1 to the next symbol of its loop: the decoder is not the cause.",
        "Improve the training: all steps in the loss, more varied text, a lower learning rate.",
        Comparison(),
        learning_shortfall=True,
    ),
    Condition(
        "floor", "floor", "The loss is at its floor: more training cannot lower it.",
        "loss / floor - 1",
        (Limit("above_floor", above=-0.1, below=FLOOR_MARGIN),),
        "The inputs contain no more information about the targets.",
        "For a lower loss, give the network more information: carry the state between windows, or use longer windows.",
        Comparison(
            "calibration", "final_loss", "sgd,mean,carried,window=25", "sgd,mean,reset,window=25",
            "final loss, the state carried instead of reset",
        ),
    ),
    Condition(
        "unfinished", "note", "The loss was still decreasing when training ended.",
        "decrease over the last tenth of training / (first loss - lowest loss)",
        (Limit("fall_at_end", above=0.03),),
        "Training was too short, or the learning rate too low.",
        "Train longer.",
        Comparison(
            "hidden", "final_loss", "hidden=64,steps=100000", "hidden=64", "final loss, 100,000 steps instead of 30,000"
        ),
        learning_shortfall=True,
    ),
    Condition(
        "clip_always", "note", "The gradient is clipped at nearly every step.",
        "share of clipped steps in the second half of training",
        (Limit("clip", above=0.9), Limit("clip_ratio", below=10.0, optional=True)),
        "The threshold is below the usual norm of the gradient: it acts as a learning rate.",
        "No action is needed: the threshold sets the step length. If you raise it, lower the learning rate in "
        "proportion.",
        Comparison(
            "clip", "final_loss", "sum,norm=50", "sum,norm=5",
            "final loss, a threshold of 50 instead of 5, the rate unchanged",
        ),
    ),
    Condition(
        "loops_of_decoder", "note", "Texts end in loops under greedy decoding, but not when sampled.",
        "share of greedy texts that end in a loop, minus that of true windows that repeat",
        (Limit("loops_greedy", above=0.5), Limit("loops_sampled", below=0.2)),
        "Greedy decoding causes the loop: the most probable symbol leads back to an earlier state. All small networks "
        "do this.",
        "Sample at temperature 1, or from the most probable symbols (top_k, top_p).",
        Comparison(
            "init", "loop_rate_sampled", "orthogonal,gain=1", "orthogonal,gain=1",
            "share of looping texts, sampled instead of greedy", "loop_rate_greedy",
        ),
    ),
)  # fmt: skip
NAMES = tuple(condition.name for condition in CONDITIONS)
