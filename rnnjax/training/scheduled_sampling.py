"""Scheduled sampling: windows whose inputs are in part samples of the network itself."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.model import build_network
from rnnjax.networks.sampling import sample_inputs
from rnnjax.settings import HParams, Spec
from rnnjax.training.loss import initial_or_carried
from rnnjax.training.schedules import sampling_probability_at
from rnnjax.training.state import TrainState
from rnnjax.types import WindowData

SAMPLING_TEMPERATURES = {"sampled": 1.0, "greedy": 0.0}


def scheduled_sampling_window(
    spec: Spec, hp: HParams, state: TrainState, reset_state: Array, key: Array, window: WindowData
) -> WindowData:
    """The window with each input replaced, with probability sampling_probability, by a sample of the network.

    x_t = own_t ? s_t : text_t with own_t ~ Bernoulli(sampling_probability(step)), and s_t a sample (`sampled`) or the
    argmax (`greedy`) of p(. | x_1 ... x_{t-1}); the targets stay those of the text. Where a state is carried to the
    window its first input may be replaced too, so that the ends of windows make no difference; where the state is reset
    it never is.

    A choice has no gradient: sampling first, in a scan of its own, and then training on the resulting window gives
    exactly the gradient of one scan that does both.

    Source: Bengio et al. 2015, arXiv:1506.03099.
    """
    model = build_network(spec, hp)
    carry = initial_or_carried(spec, model, state.carry, reset_state, jax.random.split(key)[0], state.params)
    text_TB = jnp.asarray(window.inputs_WTB)
    chances_TB, uniforms_TB = jax.random.uniform(jax.random.fold_in(key, 2), (2, *text_TB.shape))
    given_T1 = reset_state & (jnp.arange(len(text_TB)) == 0)[:, None]
    own_TB = (chances_TB < sampling_probability_at(spec.sampling_schedule, hp, state.step)) & ~given_T1
    temperature = SAMPLING_TEMPERATURES[spec.scheduled_sampling]
    read_TB: Any = sample_inputs(model, state.params, carry, text_TB, own_TB, temperature, uniforms_TB)
    return window._replace(inputs_WTB=read_TB)
