"""A trained network's text for the terminal."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from rnnjax.errors import BadInput
from rnnjax.generate import sample
from rnnjax.report import visible
from rnnjax.tasks.text import decode, encode
from rnnjax.trained import load_network


def write(
    folder: Path, arm: str | None, seed: int | None, prompt: str, temperature: float, length: int, random: int
) -> str:
    """The prompt and what the network writes after it; control characters are spelled out.

    Raises: BadInput for an unknown arm or seed, or a prompt with a character that the network does not know.
    """
    network = load_network(folder, arm, seed)
    prompt = prompt or neutral(network.vocabulary)
    try:
        ids_N = encode(prompt, network.vocabulary)
    except BadInput as error:
        raise BadInput(f"--prompt: {error}") from None
    run = jax.jit(partial(sample, network.spec, network.hp), static_argnames="length")
    written = run(
        params=network.params,
        prompts_TP=jnp.asarray(ids_N)[:, None],
        length=length,
        temperature=jnp.float32(temperature),
        key=jax.random.key(random),
    )
    return visible(prompt + decode(written[:, 0], network.vocabulary))


def neutral(vocabulary: str) -> str:
    """A prompt that says nothing: a line end, a space, or the first character there is."""
    return next((character for character in "\n " if character in vocabulary), vocabulary[0])
