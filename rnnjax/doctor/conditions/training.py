"""Faults of the training and of the dynamics."""

from rnnjax.doctor.conditions.types import Comparison, Condition, Limit
from rnnjax.doctor.indicators.dependence import MIN_EFFECT

TRAINING = (
    Condition(
        "optimizer_frozen", "fault", "After one huge gradient the optimizer hardly moves the weights.",
        "median update after it / median update before it",
        (Limit("optimizer_frozen", below=0.7),),
        "An optimizer that divides by a mean of squares, such as Adam, remembers a huge gradient for thousands of "
        "steps, and one beyond 1e19, whose square is infinite in float32, for ever; no number is NaN.",
        "Clip the gradient before the optimizer, and restart it with a new state.",
        Comparison(),
    ),
    Condition(
        "lost_in_rounding", "fault", "Most updates are lost in the rounding of the parameters.",
        "half a rounding step of the parameters / a typical update",
        (Limit("lost_in_rounding", above=1.0),),
        "Parameters in 16 bits keep 8 to 11 of them: a smaller relative update changes nothing.",
        "Keep the parameters in float32, and cast them to 16 bits inside the step only.",
        Comparison(),
        learning_shortfall=True,
    ),
    Condition(
        "standstill", "fault", "Nothing moves any more long before training ends.",
        "share of training after 99% of all movement",
        (Limit("standstill", above=0.35), Limit("still_falling", above=0.05),),
        "The loss was still falling when the updates became too small: the schedule has decayed the learning rate "
        "to almost nothing, or the optimizer is frozen.",
        "Let the rate decay over the whole training: decay_steps near the number of steps, or a larger decay "
        "factor.",
        Comparison(),
        learning_shortfall=True,
    ),
    Condition(
        "leap", "fault", "The loss leaps within a few rows, and is then learned again.",
        "height of the leap / (first loss - lowest loss)",
        (Limit("leap", above=0.2),),
        "Training was resumed without the state of its optimizer or with another rate, the data change from there "
        "on, or one step was too large: the gradient norm then has a spike just before.",
        "Store and restore the optimizer's state with the parameters. If the data change there, shuffle them; if "
        "the gradient has a spike, clip its norm.",
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
        "jumps", "fault", "The loss has many spikes.", "share of rows far above the median of the previous rows",
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
        "one_class", "fault", "The network predicts a single class everywhere.",
        "share of the steps with this prediction",
        (Limit("one_class", above=0.995), Limit("other_classes", above=0.02), Limit("class_spread", above=0.05)),
        "One class, a padding symbol or a blank is so frequent that predicting it always costs little; the others "
        "have not been learned.",
        "Weight the classes by the inverse of their frequency, mask padding, train longer, and compare recall by "
        "class instead of accuracy.",
        Comparison(),
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
        "exploding_slowly", "fault", "Gradients explode over the window.",
        "log10 of their largest growth",
        (Limit("window_growth", above=2.0), Limit("gradient_growth", above=0.1, below=1.0),),
        "The spectral radius of the recurrent kernel is above 1: a little growth at each step is a large one over "
        "the window.",
        "Use an orthogonal initial kernel, and clip the gradient norm.",
        Comparison(),
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
        "vanishing_before_answer", "fault", "Gradients vanish before they reach the input on which the target depends.",
        "log10 of the gradient left there",
        (Limit("decay_at_answer", below=-2.0), Limit("loss_over_chance", above=0.5),),
        "The recurrent kernel or the slope of the nonlinearity is too small for so many steps: what happened there "
        "cannot be learned.",
        "Use an orthogonal initial kernel with gain 1, a gated cell with its forget bias at 1 or more, or tanh "
        "instead of a sigmoid.",
        Comparison(),
        learning_shortfall=True,
    ),
    Condition(
        "vanishing_slowly", "fault", "Gradients vanish over the window, and nothing was learned.",
        "log10 of the gradient left after half of the window",
        (Limit("window_decay", below=-3.0), Limit("loss_over_chance", above=0.95),),
        "The recurrent kernel or the slope of the nonlinearity is too small for so many steps. If the target "
        "depends on early inputs, they cannot be learned.",
        "Use an orthogonal initial kernel with gain 1, a gated cell with its forget bias at 1 or more, or a shorter"
        " window.",
        Comparison(),
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
        "record_mismatch", "fault",
        "This is not the network of the record: its loss on the batch is far from where training ended.",
        "(loss of the batch - last losses of the record) / (first loss - lowest loss)",
        (Limit("record_mismatch", above=0.35),),
        "The network is evaluated in another way than it was trained: dropout or normalisation in another mode, "
        "other parameters, another loss or scale of the data, or a batch that training did not have.",
        "Evaluate one batch of the training by both programs, and compare parameters, inputs, outputs and loss in "
        "this order.",
        Comparison(),
    ),
)  # fmt: skip
