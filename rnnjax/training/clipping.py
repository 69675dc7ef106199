"""The clips of the gradient: of each element, then of the norm of the whole."""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.settings import HParams, Spec
from rnnjax.training.norms import ScaledNorm, scaled_norm
from rnnjax.types import Params


def clip_gradient(spec: Spec, hp: HParams, gradient: Params, norm: ScaledNorm) -> tuple[Params, Array]:
    """Clip each element to +-clip_value (optional), then multiply the whole by min(1, clip_norm / |g|).

    The first clip is a setting of the program, because turned off by a number it would still cost 5% of a small step.

    Args: norm: of the gradient.
    Returns: the clipped gradient and its norm.
    Source: Mikolov 2012 for the first clip, Pascanu et al. 2013, arXiv:1211.5063, for the second.
    """
    if spec.clip_elementwise:
        gradient = jax.tree.map(lambda leaf: jnp.clip(leaf, -hp.clip_value, hp.clip_value), gradient)
        norm = scaled_norm(gradient)
    exceeds = norm.value > hp.clip_norm
    # Two factors, because clip_norm / |g| alone is 0 in float32 where |g| is near its end.
    unit, factor = jnp.where(exceeds, norm.unit, 1), jnp.where(exceeds, hp.clip_norm / norm.length, 1)
    return jax.tree.map(lambda leaf: leaf * unit * factor, gradient), jnp.where(exceeds, hp.clip_norm, norm.value)
