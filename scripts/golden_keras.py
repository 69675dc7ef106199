"""Write the files of Keras that the tests of `rnnjax.from_keras` read: models with random weights, and their outputs.

Needs Keras 3 with JAX, which the tests do not: pip install keras jax h5py. Example: KERAS_BACKEND=jax python
scripts/golden_keras.py
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "keras"
STEPS, STREAMS, INPUTS, SYMBOLS, HIDDEN, OUTPUTS = 9, 4, 3, 7, 5, 2


def simple(keras: Any) -> Any:
    """Two layers of a plain cell with relu, and an unbiased readout."""
    layers = keras.layers
    options = {"activation": "relu", "return_sequences": True}
    stack = [layers.SimpleRNN(HIDDEN, **options), layers.SimpleRNN(HIDDEN, **options)]
    dense = layers.TimeDistributed(layers.Dense(OUTPUTS, use_bias=False))
    return keras.Sequential([keras.Input((None, INPUTS)), *stack, dense])


def text(keras: Any) -> Any:
    """A classifier of sequences of ids: a table, two bidirectional layers of which the second gives its end."""
    layers = keras.layers
    first = layers.Bidirectional(layers.LSTM(HIDDEN, return_sequences=True))
    second = layers.Bidirectional(layers.LSTM(HIDDEN, dropout=0.5))
    stack = [layers.Embedding(SYMBOLS, 4), first, layers.Dropout(0.5), second]
    return keras.Sequential([keras.Input((None,)), *stack, layers.Dense(OUTPUTS, activation="softmax")])


def functional(keras: Any) -> Any:
    """A functional model with Masking and a GRU with the reset after the product."""
    inputs = keras.Input((None, INPUTS))
    hidden = keras.layers.GRU(HIDDEN, return_sequences=True)(keras.layers.Masking(-1.0)(inputs))
    return keras.Model(inputs, keras.layers.Dense(OUTPUTS, name="readout")(hidden))


def cells(keras: Any) -> Any:
    """Eleven cells in one layer, the reset before the product: more than nine, as names in a file are sorted."""
    stack = [keras.layers.GRUCell(2, reset_after=False) for _ in range(11)]
    return keras.Sequential([keras.Input((None, INPUTS)), keras.layers.RNN(stack, return_sequences=True)])


MODELS: dict[str, Callable[[Any], Any]] = {"simple": simple, "text": text, "functional": functional, "cells": cells}


def write_model(name: str) -> None:
    """One model with random weights, its inputs [B, T, ...] and its outputs."""
    import keras

    random = np.random.default_rng(0)
    model = MODELS[name](keras)
    model.set_weights([random.normal(size=weight.shape).astype(np.float32) / 2 for weight in model.get_weights()])
    inputs = random.normal(size=(STREAMS, STEPS, INPUTS)).astype(np.float32)
    ids = random.integers(0, SYMBOLS, (STREAMS, STEPS))
    x = ids if name == "text" else inputs
    FOLDER.mkdir(parents=True, exist_ok=True)
    model.save(FOLDER / f"{name}.keras")
    if name == "functional":
        model.save_weights(FOLDER / f"{name}.weights.h5")
    np.savez_compressed(FOLDER / f"{name}.npz", x=x, y=np.asarray(model(x)))


if __name__ == "__main__":
    for name in MODELS:
        write_model(name)
