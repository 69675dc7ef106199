"""Write tests/data/keras/semantics.npz: what Keras does with padding, states and dropout, on its JAX backend.

Needs keras and NumPy, not rnnjax: `KERAS_BACKEND=jax python scripts/semantics_keras.py`. The tests read the file, and
where Keras is installed they run `record` too.
"""

from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parents[1] / "tests" / "data" / "keras" / "semantics.npz"
T, B, D, H = 6, 3, 2, 4
LENGTHS = np.array([6, 3, 0])  # the third sequence is empty
DROPPED = 50  # sequences of the records of dropout


def main() -> None:
    import keras

    np.savez_compressed(FILE, **record(keras))
    print(f"done: {FILE}, Keras {keras.__version__}")


def record(keras: Any) -> dict[str, Any]:
    """Outputs [B, T, H] by what was asked, from one random batch `x`."""
    x = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
    found = {"x": x} | record_masks(keras.layers, x) | record_states(keras, x) | record_dropout(keras.layers)
    return {name: np.asarray(array) for name, array in found.items()}


def record_masks(layers: Any, x: np.ndarray) -> dict[str, Any]:
    """A GRU from a state of 0.5, with its weights; both directions, whole and cut to the second sequence alone."""
    mask, start = np.arange(T)[None] < LENGTHS[:, None], np.full((B, H), 0.5, np.float32)
    repeats, zeros = (layers.GRU(H, return_sequences=True, zero_output_for_mask=zero) for zero in (False, True))
    found = {"repeats": repeats(x, mask=mask, initial_state=start)}
    zeros.build(x.shape)
    zeros.set_weights([np.asarray(weight) for weight in repeats.weights])
    found["zeros"] = zeros(x, mask=mask, initial_state=start)
    ends = layers.Bidirectional(layers.GRU(H))
    both = layers.Bidirectional(layers.GRU(H, return_sequences=True))
    found |= {"ends": ends(x, mask=mask), "both": both(x, mask=mask)}
    found |= {"ends_alone": ends(x[1:2, :3]), "both_alone": both(x[1:2, :3])}
    return found | {f"weight_{number}": weight for number, weight in enumerate(repeats.weights)}


def record_states(keras: Any, x: np.ndarray) -> dict[str, Any]:
    """A stateful layer, twice by predict and then twice called."""
    model = keras.Sequential([keras.Input(batch_shape=x.shape), keras.layers.GRU(H, stateful=True)])
    predicted = [model.predict(x, batch_size=B, verbose=0) for _ in range(2)]
    return {"predicted": np.stack(predicted), "called": np.stack([np.asarray(model(x)) for _ in range(2)])}


def record_dropout(layers: Any) -> dict[str, Any]:
    """The masks of the inputs of a linear cell at each step, and h of an LSTM of one unit whose gates see h_0 = 1."""
    ones = np.ones((DROPPED, T, 1), np.float32)
    plain = {"activation": "linear", "return_sequences": True, "use_bias": False}
    linear = layers.SimpleRNN(1, dropout=0.5, kernel_initializer="ones", recurrent_initializer="zeros", **plain)
    starts = {"kernel_initializer": "zeros", "recurrent_initializer": "ones", "unit_forget_bias": False}
    gates = layers.LSTM(1, recurrent_dropout=0.5, **starts)
    state = [np.ones((DROPPED, 1), np.float32)] * 2
    return {
        "dropout": linear(ones, training=True),
        "recurrent_dropout": gates(ones[:, :1], initial_state=state, training=True),
    }


if __name__ == "__main__":
    main()
