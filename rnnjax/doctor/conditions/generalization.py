"""Faults that show on held-out data, against simple predictors, and in free-running generation."""

from rnnjax.doctor.conditions.types import Comparison, Condition, Limit

GENERALIZATION = (
    Condition(
        "unseen_symbols", "fault", "The held-out data contain symbols that training does not have.",
        "share of the held-out targets",
        (Limit("unseen", above=0.01), Limit("gap", above=0.1),),
        "Both parts come from different sources, such as another language or alphabet: their probability was never "
        "trained.",
        "Split data of one kind, shuffle documents before the split, or map rare symbols to one.",
        Comparison(),
    ),
    Condition(
        "shifted", "fault", "The held-out data come from another distribution than those of training.",
        "distance of their distributions, 0 to 1",
        (
            Limit("shift", above=0.5),
            Limit("held_out_ratio", above=2.0),
            Limit("over_linear", above=2.0, optional=True),
        ),
        "The series has a trend or changes its level: the held-out rows lie where the network has never been, and a"
        " network does not extrapolate.",
        "Predict differences between rows instead of levels, or remove the trend; a random split would only hide "
        "it.",
        Comparison(),
    ),
    Condition(
        "gap", "fault", "The held-out loss is much higher than the training loss.",
        "(held-out loss - training loss) / larger chance loss of both",
        (Limit("gap", above=0.25), Limit("loss_over_chance", below=1.0)),
        "It overfits: there are too few training data for its size and training time. Or the held-out data come from "
        "another distribution.",
        "Stop at the best held-out loss (validate_every, patience), use more data, a smaller network, or dropout.",
        Comparison(
            "loops", "validation_loss", "text,elman,adam,rate=0.003,every=200,patience=10",
            "text,elman,adam,rate=0.003,every=200,patience=inf",
            "held-out loss of a small text, early stopping instead of training to the end",
        ),
        learning_shortfall=True,
    ),
    Condition(
        "no_better_than_last", "fault", "The network is no better than repeating the last value.",
        "loss / loss of repeating the last value",
        (Limit("over_persistence", above=0.9), Limit("over_linear", above=2.0),),
        "It copies what it has just read, although a linear predictor does better: targets that are not shifted, "
        "too little training, or a state that is not used.",
        "Verify that targets[t] = inputs[t + 1]; predict the difference to the last value, and train longer.",
        Comparison(),
        learning_shortfall=True,
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
        "worse_than_linear", "fault", "The network is much worse than a linear predictor.",
        "loss / loss of the linear predictor",
        (Limit("over_linear", above=2.0), Limit("linear_gain", above=0.5),),
        "What a line can predict has not been learned, or does not carry over to the held-out data.",
        "Treat the findings above first; then train longer, scale the data, or predict what the linear predictor "
        "leaves.",
        Comparison(),
        learning_shortfall=True,
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
)  # fmt: skip
