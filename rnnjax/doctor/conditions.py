"""What can be wrong with a recurrent network: the one table of conditions, each cause before what it causes.

A condition is found where all its limits are passed by the means of their signs. The first finding is therefore the
one to treat first: what stands below it may be its consequence.
"""

from math import isfinite
from typing import Literal, NamedTuple

from rnnjax.doctor.indicators import SAME

Kind = Literal["fault", "floor", "note"]


class Limit(NamedTuple):
    """A sign's mean lies above `above` and below `below`."""

    sign: str
    above: float = float("-inf")
    below: float = float("inf")
    optional: bool = False  # not asked where the sign could not be measured

    @property
    def bound(self) -> float:
        """From where on it is passed."""
        return self.below if isfinite(self.below) else self.above

    @property
    def words(self) -> str:
        return f"{'<' if isfinite(self.below) else '>'} {self.bound:g}"


class Comparison(NamedTuple):
    """The arms of a study that show what a remedy does: mean of treated - untreated over paired seeds.

    Without a study: none has this fault in it.
    """

    study: str = ""
    metric: str = ""
    treated: str = ""
    untreated: str = ""
    says: str = ""
    untreated_metric: str = ""  # where it is another metric of the same arm


class Condition(NamedTuple):
    """One thing that can be wrong, or right."""

    name: str
    kind: Kind  # fault: treat it; floor: nothing is wrong and nothing is to be gained; note: worth knowing
    symptom: str
    number: str  # what the evidence is a number of
    limits: tuple[Limit, ...]  # the first one's sign is the evidence
    cause: str
    remedy: str
    measured: Comparison
    learning: bool = False  # a shortfall of learning: none where the loss is at its floor


FLOOR_MARGIN = 0.05  # of the floor
CONDITIONS = (
    Condition(
        "diverged", "fault", "The network has left the finite numbers.", "share of networks that have",
        (Limit("finite", above=0.0),),
        "A step was so large that a number overflowed: the learning rate is too high, or nothing limits the gradient.",
        "Divide the learning rate by 10 and clip the norm of the gradient; train again from the start.",
        Comparison(
            "rate", "failed", "rate=0.1", "rate=1",
            "share of runs that diverged or ended above the unigram level, rate 0.1 instead of 1",
        ),
    ),
    Condition(
        "target_leak", "fault", "The target stands in the input.", "share of targets that the input already holds",
        (Limit("target_leak", above=0.99),),
        "The targets are not shifted against the inputs, or a column of the inputs is the target: the task is to copy.",
        "Shift by one step, targets = inputs[1:] and inputs = inputs[:-1]; take the target's column out of the inputs.",
        Comparison(),
    ),
    Condition(
        "unscaled", "fault", "Inputs or targets are far from the size of 1.",
        "powers of ten between their root mean square and 1",
        (Limit("size", above=1.0),),
        "Raw columns drive the units into saturation, or are too faint to be heard, and the rate that fits one column "
        "fits no other.",
        "Subtract the mean of the training part and divide by its deviation, and undo it in what is predicted.",
        Comparison(
            "identical", "r2", "zero,tanh,all,task.scale=100,offset=1000",
            "zero,tanh,targets,task.scale=100,offset=1000",
            "held-out R^2, standardised instead of scaled by 100 and moved by 1,000",
        ),
    ),
    Condition(
        "swapped_axes", "fault", "Time and batch are swapped: outputs depend on other streams, not on earlier steps.",
        "largest effect of one stream on another, as a share of the largest effect",
        (Limit("row_leak", above=SAME), Limit("memory", below=SAME)),
        "The network is scanned along the batch axis: each example is read as if it followed the one above it.",
        "Put time where the scan goes: move the axes with jnp.swapaxes(x, 0, 1), or set the module's time_major.",
        Comparison(
            "identical", "r2", "time,every,window=16",
            "batch,every,window=16",
            "held-out R^2, axes in their places instead of swapped",
        ),
    ),
    Condition(
        "row_leak", "fault", "Streams of a batch are not independent: one stream's input changes another's output.",
        "largest effect of one stream on another, as a share of the largest effect",
        (Limit("row_leak", above=SAME),),
        "Something is shared over the batch axis: a carry of one row for all, a mean over the batch, a wrong reshape.",
        "Give each stream its own carry and take means over units only; then change one row and compare the others.",
        Comparison(),
    ),
    Condition(
        "future", "fault", "Outputs depend on inputs that come later.",
        "largest effect on an earlier output, as a share of the largest effect",
        (Limit("future", above=SAME), Limit("said_next", above=0.5)),
        "The network reads both ways, or is normalised over time, while what it has to say is the next input.",
        "Read forwards only where the next step is the target.",
        Comparison(),
    ),
    Condition(
        "last_step", "fault", "Only the last step of a window is learned from.",
        "share of the gradient by the outputs that is at the last step",
        (Limit("last_step", above=0.99),),
        "The loss is taken of the last output alone, or overwritten at every step instead of added up.",
        "Add up the losses of all steps. If only the last one is asked for, say so: give `counted`.",
        Comparison(
            "reduction", "true_loss", "sum",
            "last",
            "loss of all steps, trained on their sum instead of the last one",
        ),
    ),
    Condition(
        "silent_streams", "fault", "Some streams of the batch are not learned from.",
        "share of streams without a gradient",
        (Limit("silent_streams", above=0.0),),
        "The loss is taken of a part of the batch, such as its first row.",
        "Take the mean of the losses of all streams.",
        Comparison(),
    ),
    Condition(
        "distribution", "fault", "The outputs are probabilities where the loss expects logits.",
        "share of outputs that are none below 0 and 1 in sum",
        (Limit("distribution", above=0.99),),
        "A softmax is applied twice, by the network and by the loss: the gradient is faint and the loss cannot come "
        "near 0.",
        "Leave the softmax out of the network, or take -log of the target's probability instead.",
        Comparison(),
    ),
    Condition(
        "rate_too_high", "fault", "The loss has risen from where it already was.",
        "last loss above the lowest, as a share of all that was learned",
        (Limit("rise", above=0.25),),
        "The learning rate is too high: steps overshoot, and what was learned is lost again.",
        "Divide the learning rate by 3 until the curve no longer rises, and let it fall towards the end.",
        Comparison("rate", "final_loss", "rate=0.1", "rate=1", "final loss, rate 0.1 instead of 1"),
    ),
    Condition(
        "jumps", "fault", "The loss jumps again and again.", "share of rows above 1.5 times the median before them",
        (Limit("jumps", above=0.05),),
        "The learning rate is too high for the steepest places of the loss, or gradients explode and are not clipped.",
        "Divide the learning rate by 3, or clip the norm of the gradient near its median.",
        Comparison("rate", "jumps", "rate=0.1", "rate=1", "jumps per 10,000 steps, rate 0.1 instead of 1"),
    ),
    Condition(
        "no_memory", "fault", "Outputs do not depend on earlier inputs.",
        "largest effect on a later output, as a share of the largest effect",
        (Limit("memory", below=SAME), Limit("saturated", below=0.9, optional=True)),
        "The carry that a step returns is dropped, or set to its start at every step: a network without memory.",
        "Pass on the carry that each step returns.",
        Comparison(
            "reservoir", "final_loss", "orthogonal,recurrent_trainable=1", "zeros,recurrent_trainable=0",
            "final loss, with memory instead of without",
        ),
    ),
    Condition(
        "dead_units", "fault", "Units are dead: they are 0 at every step of every stream.", "share of units",
        (Limit("dead", above=0.5),),
        "A step pushed the biases of ReLU units so low that no input wakes them, and a dead unit has no gradient.",
        "Start again with a lower rate or a clip, or use tanh.",
        Comparison(
            "identical", "dead_share", "relu,rate=0.03,norm=1", "relu,rate=0.1,norm=1",
            "share of dead units, rate 0.03 instead of 0.1",
        ),
        learning=True,
    ),
    Condition(
        "saturated", "fault", "Units are saturated: they stand at their bounds.",
        "share of the units' values within 0.05 of a bound",
        (Limit("saturated", above=0.9),),
        "Weights or inputs are so large that the nonlinearity is flat where it is used, and nothing can be learned "
        "through it.",
        "Start from smaller weights, scale the inputs, lower the rate.",
        Comparison(
            "init", "final_loss", "normal,gain=0.125", "normal,gain=0.5",
            "final loss, starting weights a quarter as large",
        ),
        learning=True,
    ),
    Condition(
        "deaf", "fault", "Outputs do not depend on the inputs at all.", "share of networks whose outputs do not change",
        (Limit("deaf", above=0.5),),
        "The input does not reach the cell: a wrong variable is read, or its kernel is 0.",
        "Follow the input from the batch to the cell; change it and watch each value on its way.",
        Comparison(),
    ),
    Condition(
        "frozen", "fault", "A part of the network is never trained.", "share of its arrays of parameters",
        (Limit("frozen", above=0.0),),
        "It has no gradient: it is not in the list of what is trained, a stop_gradient stands before it, or it is not "
        "used.",
        "Give the optimizer all parameters, and follow the gradient to where it ends.",
        Comparison(
            "reservoir", "final_loss", "orthogonal,recurrent_trainable=1", "orthogonal,recurrent_trainable=0,gain=1",
            "final loss, with a trained recurrent kernel instead of a frozen one",
        ),
    ),
    Condition(
        "clip_starves", "fault", "The clip shortens nearly every gradient, and by far.", "gradient norm / threshold",
        (Limit("shortening", above=10.0), Limit("clip", above=0.9)),
        "The threshold is far below the usual norm: it has become the learning rate.",
        "Set the threshold near the largest norms of a healthy stretch of training, several times their median.",
        Comparison("clip", "final_loss", "norm=5", "norm=0.5", "final loss, a threshold of 5 instead of 0.5"),
        learning=True,
    ),
    Condition(
        "rate_too_low", "fault", "The weights have hardly moved.", "length of the whole path / norm of the weights",
        (Limit("path", below=0.05),),
        "The learning rate is too low for the number of steps.",
        "Multiply the learning rate by 10 until the loss falls, and by 3 until it no longer falls faster.",
        Comparison("rate", "final_loss", "rate=0.1", "rate=0.001", "final loss, rate 0.1 instead of 0.001"),
        learning=True,
    ),
    Condition(
        "exploding", "fault", "Gradients grow on their way back.", "log10 of their growth over 4 steps",
        (Limit("growing", above=1.0),),
        "The recurrent kernel stretches what passes through it: its radius is far above 1.",
        "Start from an orthogonal kernel, clip the norm of the gradient.",
        Comparison(
            "init", "final_loss", "orthogonal,gain=1", "normal,gain=1",
            "final loss, an orthogonal start instead of one with a radius of 8",
        ),
    ),
    Condition(
        "vanishing", "fault", "Gradients vanish within a few steps.", "log10 of what is left after 4 steps",
        (Limit("fading", below=-3.0),),
        "The recurrent kernel or the slope of the nonlinearity is too small: nothing that happened before can be "
        "learned.",
        "Start from an orthogonal kernel, use tanh instead of a sigmoid, or a gated cell.",
        Comparison("loops", "final_loss", "rate=0.1", "sigmoid", "final loss, tanh instead of a sigmoid"),
        learning=True,
    ),
    Condition(
        "stale_state", "fault", "The state that a window starts from makes it worse than a fresh one.",
        "loss with this state - loss with a fresh one, over that of the best constant",
        (Limit("stale", above=0.1),),
        "The state is of other data, or is carried on where it should have been reset.",
        "Reset the state where a new sequence begins, and carry it only to the window that follows.",
        Comparison(),
    ),
    Condition(
        "identical", "fault", "Outputs are nearly the same for all inputs.",
        "deviation of the prediction / deviation of the target",
        (Limit("identical", below=0.05),),
        "The network says the mean of its targets: it has not learned from its inputs, or its readout is too small.",
        "First treat what is found above; else scale the data, raise the rate, train longer.",
        Comparison(
            "identical", "output_spread", "zero,tanh,all,task.scale=100,offset=1000",
            "zero,tanh,targets,task.scale=100,offset=1000",
            "spread of the predictions, standardised instead of scaled by 100 and moved by 1,000",
        ),
        learning=True,
    ),
    Condition(
        "gap", "fault", "The network is much worse on what it has not seen.",
        "held-out loss - training loss, over that of the best constant",
        (Limit("gap", above=0.25), Limit("of_chance", below=1.0)),
        "It has learned its training data by heart: there are too few of them for its size and training time. Or what "
        "was held out is of another kind.",
        "Stop at the best held-out loss (validate_every, patience), use more data, a smaller network, or dropout.",
        Comparison(
            "loops", "validation_loss", "text,elman,adam,rate=0.003,every=200,patience=10",
            "text,elman,adam,rate=0.003,every=200,patience=inf",
            "held-out loss of a small text, stopped early instead of trained to the end",
        ),
    ),
    Condition(
        "exposure", "fault", "Reading its own words, the network goes astray.",
        "how much less likely the text has become after 140 symbols, nats per symbol",
        (Limit("drift", above=0.5),),
        "Its state goes where it never was in training: it has only read true text, in short windows, and each error "
        "leads to the next.",
        "Train longer on more text, on longer windows with the state carried.",
        Comparison(
            "forcing", "exposure_gap", "characters=200000,steps=100000",
            "characters=2000,steps=10000",
            "gap between free and forced errors, more text read for longer",
        ),
    ),
    Condition(
        "runaway", "fault", "Reading its own output, the network leaves the range of the series.",
        "size of the forecast / size of the series",
        (Limit("range", above=3.0),),
        "Its errors feed themselves: one step ahead it is right, and each error makes the next one larger.",
        "Train on longer windows with the state carried, standardise, or predict the change from step to step.",
        Comparison(),
    ),
    Condition(
        "loops_of_model", "fault", "Texts loop even when drawn at temperature 1.",
        "share of texts that end in a loop, less that of true windows that repeat",
        (Limit("loops_sampled", above=0.2),),
        "The model itself is sure of the next symbol of its loop: the decoder is not to blame.",
        "Treat the training: all steps in the loss, more varied text, a lower rate.",
        Comparison(),
        learning=True,
    ),
    Condition(
        "floor", "floor", "The loss is at its floor: more training cannot lower it.",
        "loss above its floor, as a share of the floor",
        (Limit("above_floor", above=-0.1, below=FLOOR_MARGIN),),
        "Nothing that the network is given tells it more about what comes next.",
        "To come lower, give it more to know: carry the state from window to window, or use longer windows.",
        Comparison(
            "calibration", "final_loss", "sgd,mean,carried,window=25", "sgd,mean,reset,window=25",
            "final loss, the state carried instead of reset",
        ),
    ),
    Condition(
        "unfinished", "note", "The loss was still falling when training ended.",
        "fall over the last tenth of training, as a share of all that was learned",
        (Limit("falling", above=0.03),),
        "Training was too short, or the rate too low.",
        "Train longer.",
        Comparison(
            "hidden", "final_loss", "hidden=64,steps=100000", "hidden=64", "final loss, 100,000 steps instead of 30,000"
        ),
        learning=True,
    ),
    Condition(
        "clip_always", "note", "The clip fires at nearly every step.", "share of steps, second half of training",
        (Limit("clip", above=0.9), Limit("shortening", below=10.0, optional=True)),
        "The threshold is below the usual norm of the gradient: it acts as a learning rate.",
        "Nothing need be done: it then sets the length of a step. If you raise the threshold, lower the rate with it.",
        Comparison("clip", "final_loss", "sum,norm=50", "sum,norm=5", 
            "final loss, a threshold of 50 instead of 5, the rate unchanged",
        ),
    ),
    Condition(
        "loops_of_decoder", "note", "Texts loop under greedy decoding, and do not when drawn.",
        "share of greedy texts that end in a loop, less that of true windows that repeat",
        (Limit("loops_greedy", above=0.5), Limit("loops_sampled", below=0.2)),
        "The decoder makes the loop: always the likeliest symbol leads back to a state where it already was. Small "
        "networks all do this.",
        "Draw at temperature 1, or from the likeliest few (top_k, top_p).",
        Comparison(
            "init", "loop_rate_sampled", "orthogonal,gain=1", "orthogonal,gain=1",
            "share of looping texts, drawn instead of greedy", "loop_rate_greedy",
        ),
    ),
)  # fmt: skip
NAMES = tuple(condition.name for condition in CONDITIONS)
