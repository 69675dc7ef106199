"""States of training that are no faults: floors, and notes."""

from rnnjax.doctor.conditions.types import Comparison, Condition, Limit

FLOOR_MARGIN = 0.05  # of the floor
STATES = (
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
        "unforeseeable", "floor",
        "Nothing can be foreseen here: no predictor is better than the best constant or the last value.",
        "share of its loss that the best predictor saves, the network included",
        (Limit("foreseeable", below=0.03),),
        "The inputs say nothing about the targets that n-grams, a linear predictor or this network could find.",
        "No setting of the training will help: other inputs, a longer horizon or another target may.",
        Comparison(),
    ),
    Condition(
        "learned", "floor",
        "The loss is as low as it can be on these windows: the data follow a rule, or are known by heart.",
        "(loss - entropy of the targets given all inputs so far in these windows) / chance loss",
        (
            Limit("above_windows", below=0.005),
            Limit("held_out_over_chance", below=0.02, optional=True),
            Limit("foreseeable", above=0.5, optional=True),
        ),
        "There is almost nothing left to learn from these data.",
        "None is needed. If it should not know them by heart, examine it on held-out data.",
        Comparison(),
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
    Condition(
        "missing_rows", "note", "Some rows of the record are not finite.",
        "rows, before the last finite one",
        (Limit("missing_rows", above=0.5),),
        "Steps were skipped, or the value is logged less often. All other checks leave these rows out.",
        "If a loss was NaN in training, find the batch; a skipped update hides it.",
        Comparison(),
    ),
)  # fmt: skip
