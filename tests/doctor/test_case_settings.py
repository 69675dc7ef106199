"""Every planted fault and every healthy network is trained with settings that keep the rules of their fields."""

import pytest

from benchmarks.doctor.healthy.own import CASES
from benchmarks.doctor.planted_faults import AT_FLOOR, FAULTS, Case
from rnnjax.config.fields import FIELDS, validate_field

NAMES = [case.name for case in (*FAULTS, AT_FLOOR)] + [name for _, name in CASES]


@pytest.mark.parametrize("case", [*FAULTS, AT_FLOOR, *CASES.values()], ids=NAMES)
def test_settings_obey_their_annotations(case: Case) -> None:
    owners = {"task": case.settings.spec.task, "spec": case.settings.spec, "hp": case.settings.hp}
    for name, field in FIELDS.items():
        validate_field(name, getattr(owners[field.owner], name.removeprefix("task.")), case.name)


def test_unscaled_is_raw() -> None:
    """Neither the inputs nor the targets are standardised, and the loss is in the target's own unit."""
    [unscaled] = [case for case in FAULTS if case.name == "unscaled"]
    assert unscaled.settings.spec.task.standardise == "none"
