"""Networks of rnnjax trained on sequences, and changed afterwards as a faulty program would read or judge them."""

import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.doctor.planted_faults import GOOD, examine_networks, train_networks
from benchmarks.doctor.sequences import data
from benchmarks.doctor.sequences.cases import SequenceCase
from benchmarks.doctor.sequences.data import Maker
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.doctor.inputs import ExaminationInput
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.sequence_files import write_sequences
from rnnjax.training.losses import cross_entropy

Change = Callable[[ExaminationInput], ExaminationInput]


@lru_cache
def made_file(maker: Maker) -> str:
    """A file of sequences for as long as this process runs."""
    made, path = maker(np.random.default_rng(5)), Path(tempfile.mkdtemp()) / "made.jsonl"
    write_sequences(path, made.x, made.y or None)
    return str(path)


def examine_own(
    maker: Maker, change: Change, settings: dict[str, Any], task: dict[str, Any], seeds: Sequence[int]
) -> list[Diagnosis]:
    """The diagnosis of one network of each seed, all trained on one file."""
    read = TaskSpec(name="sequences", path=made_file(maker), validation=0.25, **task)
    known: dict[str, Any] = {
        "cell": "gru",
        "hidden": 16,
        "batch": 16,
        "steps": 300,
        "log_every": 3,
        "block": 2,
    } | settings
    hp: dict[str, Any] = {"learning_rate": 0.01, "patience": 4.0}
    hp |= {name: known.pop(name) for name in HParams._fields if name in known}
    spec = Spec(task=read, reduction="mean", carry="reset", optimizer="adam", **{"validate_every": 30} | known)
    networks = train_networks(spec, GOOD._replace(**hp), tuple(seeds))
    return examine_networks(networks._replace(setup=change(networks.setup)))


def unchanged(setup: ExaminationInput) -> ExaminationInput:
    return setup


def first_class_always(setup: ExaminationInput) -> ExaminationInput:
    """The readout of the frequent class, the first one, is far above the other for all inputs."""
    readout = setup.params["readout"]
    bias_RO = jnp.asarray(readout["bias"]).at[:, 0].add(10.0)
    return setup._replace(params=setup.params | {"readout": readout | {"bias": bias_RO}})


def with_segments(read: Callable[[Array], Array]) -> Change:
    """The network gets other segments than those of the batch."""

    def change(setup: ExaminationInput) -> ExaminationInput:
        apply: Any = setup.adapter.apply
        changed = lambda params, carry, inputs, segments: apply(params, carry, inputs, read(segments))  # noqa: E731
        return setup._replace(adapter=setup.adapter._replace(apply=changed))

    return change


def joined(segments_TB: Array) -> Array:
    """All sequences of a row as one: the state is not reset."""
    return (segments_TB > 0).astype(jnp.int32)


def late(segments_TB: Array) -> Array:
    """The first step of each sequence belongs to the one before: the reset comes a step late."""
    moved_TB = jnp.concatenate([segments_TB[:1], segments_TB[:-1]])
    return jnp.where((segments_TB > 0) & (moved_TB > 0), moved_TB, segments_TB)


def without_padding(segments_TB: Array) -> Array:
    """Padding as steps of the sequence before."""
    return jnp.ones_like(segments_TB)


def with_objective(objective: Callable[..., Array]) -> Change:
    return lambda setup: setup._replace(objective=objective, record_is_mean=False)


def mean_of_all_steps(outputs_TBO: Array, batch: Any) -> Array:
    """The cross-entropy of all steps of the batch, padding too."""
    return jnp.mean(jax.vmap(jax.vmap(cross_entropy))(outputs_TBO, jnp.asarray(batch.targets)))


def last_step_of_rows(outputs_TBO: Array, batch: Any) -> Array:
    """The cross-entropy of the labels at the last step of the batch, where most sequences have ended."""
    labels_B = jnp.max(jnp.asarray(batch.targets), axis=0)
    return jnp.mean(jax.vmap(cross_entropy)(outputs_TBO[-1], labels_B))


def own_case(
    kind: str, name: str, expected: str, maker: Maker, change: Change = unchanged, task: Any = None, **settings: Any
) -> SequenceCase:
    return SequenceCase(kind, name, expected, partial(examine_own, maker, change, settings, task or {}))


PACKED, TAGS, NEXT = {"batches": "packed"}, {"predict": "tags"}, {"predict": "next"}
PACKED_TAGS = PACKED | TAGS
CASES = (
    own_case("packed rows", "no_reset", "state_leak", data.waves, with_segments(joined), PACKED),
    own_case("packed rows", "late_reset", "state_leak", data.waves, with_segments(late), PACKED, cell="lstm"),
    own_case("packed rows", "no_reset_of_tags", "state_leak", data.tagged, with_segments(joined), PACKED_TAGS),
    own_case("packed rows", "lstm", "", data.waves, task=PACKED, cell="lstm"),
    own_case("packed rows", "bidirectional_tags", "", data.tagged, task=PACKED_TAGS, bidirectional=True),
    own_case("packed rows", "learned_start", "", data.waves, task=PACKED, initial_state="learned"),
    own_case(
        "padding of own networks", "backward_direction", "padding_read", data.waves, with_segments(without_padding),
        bidirectional=True,
    ),
    own_case("padding of own networks", "bidirectional", "", data.waves, bidirectional=True),
    own_case("padding of own networks", "two_layers", "", data.waves, layers=2, layer_norm=True),
    own_case("padding of own networks", "embedded_text", "", data.sentences, embedding=8),
    own_case("padding of own networks", "next_symbol", "", data.sentences, task=NEXT, embedding=8),
    own_case("counted padding", "all_steps", "padding_counted", data.tagged, with_objective(mean_of_all_steps), TAGS),
    own_case("counted padding", "last_step_of_rows", "padding_counted", data.waves, with_objective(last_step_of_rows)),
    own_case("counted padding", "masked_tags", "", data.tagged, task=TAGS),
    own_case("rare class", "always_the_other", "one_class", data.rare_class, first_class_always),
    own_case("rare class", "found", "", data.rare_class),
)  # fmt: skip
