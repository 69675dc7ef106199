"""Sample text or forecasts from a trained network, as text for the terminal."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.networks.beam_search import beam_search
from rnnjax.networks.model import require_unidirectional
from rnnjax.networks.sampling import Truncation, sample
from rnnjax.reports.formatting import escape_controls
from rnnjax.settings import HParams, Spec
from rnnjax.settings.vocabulary import BYTES, Vocabulary, ids_to_text, known_tokens, text_to_ids
from rnnjax.studies.forecast_table import ForecastOptions, forecast_table, format_forecast
from rnnjax.studies.load_networks import LoadedNetwork, load_network
from rnnjax.tasks.text import document_id

# Of words drawn at 1, a small network misspells one in six; at 0.7 one in twenty.
TEMPERATURE = 0.7


class SamplingOptions(NamedTuple):
    """The options of a user; None where an option was not given."""

    prompt: str | None = None
    temperature: float | None = None
    greedy: bool | None = None
    top_k: int | None = None
    top_p: float | None = None
    beam: int | None = None
    length_penalty: float | None = None
    min_length: int | None = None
    end: str | None = None
    random: int | None = None
    unknown: bool | None = None


def sample_from_folder(
    folder: Path,
    arm: str | None,
    seed: int | None,
    length: int,
    options: SamplingOptions,
    forecast: ForecastOptions | None = None,
) -> str:
    """A generated text of `length` characters, or a forecast of `length` rows; control characters are escaped.

    Raises: BadInput for an unknown arm or seed, an option that this network does not support, or a network that neither
        reads a text nor a series.
    """
    network = load_network(folder, arm, seed)
    if network.spec.task.name == "sequences":
        raise BadInput(f"{folder}: got a network of sequences; expected a text or a series to go on with")
    require_unidirectional(network.spec)
    if network.rows is not None:
        check_series_options(options)
        return format_forecast(forecast_table(folder, network, length, forecast or ForecastOptions()))
    check_text_options(forecast or ForecastOptions())
    if not network.vocabulary:
        raise BadInput(f"{folder}: got a network of the task '{network.spec.task.name}'; expected a text or a series")
    return escape_controls(continue_text(network, length, options))


def continue_text(network: LoadedNetwork, length: int, options: SamplingOptions) -> str:
    """A prompt and its continuation, up to the end token; of the held-out text, which is the prompt unless one is
    given, the continuation alone. Raises: BadInput for an invalid option.
    """
    prompt = options.prompt or ("" if network.prompt else default_prompt(network.vocabulary))
    prompt_N = prompt_ids("--prompt", prompt, network.vocabulary) if prompt else np.array(network.prompt, np.int32)
    prompts_TP = jnp.asarray(prompt_N)[:, None]
    end = -1 if options.end is None else end_id(options.end, network)
    decoder = sample_ids if options.beam is None else beam_ids
    ids_N = np.asarray(decoder(network, prompts_TP, length, options, end))
    ended = np.flatnonzero(ids_N == end)
    return prompt + ids_to_text(ids_N[: ended[0] + 1] if ended.size else ids_N, network.vocabulary)


def end_id(end: str, network: LoadedNetwork) -> int:
    """The id that ends a text. Raises: BadInput unless it is one token."""
    ids_N = prompt_ids("--end", end, network.vocabulary)
    if len(ids_N) != 1:
        raise BadInput(f"--end: got {end!r}; expected one {network.spec.task.tokens.removesuffix('s')}")
    return int(ids_N[0])


def sample_ids(network: LoadedNetwork, prompts_TP: Array, length: int, options: SamplingOptions, end: int) -> Array:
    """The ids [N] of one draw, which an end character does not stop. Raises: BadInput for a --top-k over V."""
    temperature = 0.0 if options.greedy else TEMPERATURE if options.temperature is None else options.temperature
    return make_sampler(network.spec, network.hp, document_id(network.spec.task, network.vocabulary))(
        params=network.params,
        prompts_TP=prompts_TP,
        length=length,
        temperature=jnp.float32(temperature),
        key=jax.random.key(options.random or 0),
        truncation=build_truncation(options, len(network.vocabulary)),
        allowed_V=allowed_tokens(network.vocabulary, options, end),
    )[:, 0]


def allowed_tokens(vocabulary: Vocabulary, options: SamplingOptions, end: int) -> np.ndarray | None:
    """The tokens [V] that may be written, None for all: without the one that stands for others, unless asked for."""
    known_V = None if options.unknown else known_tokens(vocabulary)
    return None if known_V is None else known_V | (np.arange(len(vocabulary)) == end)


@lru_cache(maxsize=32)
def make_sampler(spec: Spec, hp: HParams, document: int | None = None) -> Callable[..., Array]:
    """`sample` of a network, compiled once for all its draws of one length. Args: document: see `sample`."""
    return jax.jit(partial(sample, spec, hp, document=document), static_argnames="length")


def build_truncation(options: SamplingOptions, vocabulary: int) -> Truncation | None:
    """The truncation that the options ask for, None for none. Raises: BadInput for a --top-k outside 1..V."""
    if options.top_k is None and options.top_p is None:
        return None
    top_k = vocabulary if options.top_k is None else options.top_k
    if not 1 <= top_k <= vocabulary:
        raise BadInput(f"--top-k: got {top_k}; expected integer in 1..{vocabulary} (the vocabulary)")
    return Truncation(jnp.int32(top_k), jnp.float32(1 if options.top_p is None else options.top_p))


def beam_ids(network: LoadedNetwork, prompts_TP: Array, length: int, options: SamplingOptions, end: int) -> Array:
    """The ids [N] of the best text that a beam finds."""
    document = document_id(network.spec.task, network.vocabulary)
    search = partial(beam_search, network.spec, network.hp, document=document)
    run = jax.jit(search, static_argnames=("length", "width"))
    found = run(
        params=network.params,
        prompts_TP=prompts_TP,
        length=length,
        width=options.beam,
        length_penalty=jnp.float32(options.length_penalty or 0),
        end=jnp.int32(end),
        min_length=None if options.min_length is None else jnp.int32(options.min_length),
        allowed_V=allowed_tokens(network.vocabulary, options, end),
    )
    return found.ids_MNP[0, :, 0]


def check_series_options(options: SamplingOptions) -> None:
    """Raises BadInput for the first option that only a text supports."""
    for name, value in options._asdict().items():
        if value is not None:
            raise BadInput(f"{option_name(name)}: got {format_option(value)}; this network reads a series, not a text")


def check_text_options(options: ForecastOptions) -> None:
    """Raises BadInput for the first option that only a series supports."""
    for name, value in zip(("--from", "--interval"), options, strict=True):
        if value is not None:
            raise BadInput(f"{name}: got {value!r}; this network reads a text, not a series")


def option_name(name: str) -> str:
    """The command-line name of an option: --top-k of top_k."""
    return "--" + name.replace("_", "-")


def format_option(value: Any) -> str:
    return "it" if value is True else repr(value)


def prompt_ids(name: str, characters: str, vocabulary: Vocabulary) -> np.ndarray:
    """The ids of what an option says. Raises: BadInput, with the option's name, for an unknown token."""
    try:
        return text_to_ids(characters, vocabulary, strict=True)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None


def default_prompt(vocabulary: Vocabulary) -> str:
    """The prompt of a network whose held-out text is not known: a line end, a blank, or the first token there is."""
    return next((token for token in "\n " if token in vocabulary), "\n" if vocabulary == BYTES else vocabulary[0])
