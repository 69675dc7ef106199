"""Evidence from the dynamics of the first network: the exponent along looping texts, the fixed points of a stuck state.

It is measured for findings alone; no condition depends on it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.analysis.statistics import estimate_mean
from rnnjax.doctor.adapters import is_float
from rnnjax.doctor.batch import is_ids
from rnnjax.doctor.diagnosis import Diagnosis, Finding
from rnnjax.doctor.inputs import ExaminationInput, Observations, first_network, initial_carries
from rnnjax.probes.dynamics.exponents import lyapunov_exponents
from rnnjax.probes.dynamics.fixed_point_search import find_minima, held_step, kinds_of_points, merge_duplicates
from rnnjax.probes.numerics.orthonormal import state_vector
from rnnjax.reports.formatting import format_value
from rnnjax.settings.metrics import SLOW_POINT, STABLE
from rnnjax.types import Carry

LOOPS, STUCK = ("loops_of_model", "loops_of_decoder"), ("identical", "input_independent")
TRANSIENT = 100  # symbols of a generated text before the exponent counts
SEARCHES, MOST_POINTS = 16, 4
Step = Callable[[Carry, Any], Carry]


def with_dynamics(diagnosis: Diagnosis, setup: ExaminationInput, observations: Observations) -> Diagnosis:
    """The diagnosis with a further remark on each finding of a loop or of a stuck state."""
    if not observations.steps or not any(finding.name in (*LOOPS, *STUCK) for finding in diagnosis.findings):
        return diagnosis
    remarks: dict[str, str] = {}

    def explain(finding: Finding) -> Finding:
        kind = "loop" if finding.name in LOOPS else "stuck" if finding.name in STUCK else ""
        if kind and kind not in remarks:
            remarks[kind] = measure(loop_evidence if kind == "loop" else stuck_evidence, setup, observations)
        return finding._replace(remark="; ".join(filter(None, [finding.remark, remarks.get(kind, "")])))

    return diagnosis._replace(findings=tuple(explain(finding) for finding in diagnosis.findings))


def measure(
    evidence: Callable[[ExaminationInput, Observations], str], setup: ExaminationInput, observations: Observations
) -> str:
    """The evidence; empty where the network cannot be run for one stream, or differentiated by its state."""
    try:
        return evidence(setup, observations)
    except Exception:  # a user's function may be written for one number of streams
        return ""


def one_stream(setup: ExaminationInput) -> tuple[Step, Carry]:
    """One step of one stream of the first network, and the carries of all streams before the batch, [B, 1, ...]."""
    params, step = first_network(setup.params), setup.adapter.step
    assert step is not None
    carry = first_network(initial_carries(setup, setup.batch) if setup.carry is None else setup.carry)
    if not all(map(is_float, jax.tree.leaves(carry))):
        raise TypeError("a carry with counters has no state vector")
    return lambda carry, x: step(params, carry, x[None])[0], jax.tree.map(lambda leaf: leaf[:, None], carry)


def loop_evidence(setup: ExaminationInput, observations: Observations) -> str:
    """The largest Lyapunov exponent along the greedy texts of the first network: below 0, the loop attracts."""
    generated = observations.generated
    if generated is None or not is_ids(setup.batch.inputs):
        return ""
    step, carry = one_stream(setup)
    carry = jax.tree.map(lambda leaf: leaf[generated.streams_P], carry)
    texts_NP = jnp.concatenate([jnp.asarray(generated.prompts), jnp.asarray(generated.values[0, 0])])
    counted = jnp.arange(len(texts_NP)) >= len(generated.prompts) + TRANSIENT
    along = partial(lyapunov_exponents, step, count=1, counted_T=counted)
    found = jax.jit(jax.vmap(lambda carry, ids_N: along(carry, ids_N), in_axes=(0, 1)))(carry, texts_NP)
    largest = estimate_mean(np.asarray(found.exponents_K, float)[:, 0])
    lost = int(np.sum(np.asarray(found.nonfinite) > 0))
    if largest is None:
        return ""
    words = "the loop attracts states nearby" if largest.estimate < 0 else "the loop does not attract"
    left_out = f", {lost} texts left out: a Jacobian is not finite" * bool(lost)
    return f"largest Lyapunov exponent along greedy texts {format_value(largest.estimate)} per step: {words}{left_out}"


def stuck_evidence(setup: ExaminationInput, observations: Observations) -> str:
    """Where the state of the first network settles while one input of the batch is held."""
    step, carry = one_stream(setup)
    inputs = np.asarray(setup.batch.inputs)
    ids = is_ids(inputs)
    held = np.bincount(inputs.ravel()).argmax().astype(inputs.dtype) if ids else inputs.mean(axis=(0, 1))

    def search(carry: Carry) -> Any:
        after = jax.lax.scan(lambda carry, x_B: (jax.vmap(step)(carry, x_B),) * 2, carry, jnp.asarray(inputs))[1]
        states = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), after)
        states_NC = jax.vmap(lambda carry: state_vector(carry)[0])(states)
        advance = held_step(step, jnp.asarray(held), jax.tree.map(lambda leaf: leaf[0], states))
        chosen = np.linspace(0, len(states_NC) - 1, SEARCHES).astype(int)
        return merge_duplicates(advance, find_minima(advance, states_NC[chosen]), MOST_POINTS)

    points = jax.device_get(jax.jit(search)(carry))
    kinds = kinds_of_points(points.speed_M, points.jacobian_MCC)
    most = int(np.argmax(points.starts_M))
    if kinds.kinds[most] not in (STABLE, SLOW_POINT):
        return ""
    what = "the most frequent symbol" if ids else "the mean input"
    radius = format_value(float(kinds.radius_M[most]))
    return (
        f"with {what} held, {points.starts_M[most]} of {SEARCHES} states lead to one {kinds.kinds[most]} "
        f"(largest |eigenvalue| {radius})"
    )
