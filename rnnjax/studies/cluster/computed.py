"""What workers have computed, on which machines, in the manifest. Loads no dask: any process may finish a study."""

from typing import Any

from rnnjax.storage.config_changes import config_differences
from rnnjax.storage.part_folder import WORK, Attempt, read_attempts, remove_work
from rnnjax.storage.run_folder import RunFolder
from rnnjax.studies.parts import stored_parts


def record_computed(run: RunFolder) -> None:
    """Put into the manifest who has computed each part of the groups, and remove the locks of workers.

    The fields: `computed`, group -> parts with host, machine, seconds, attempts; `one_machine`, false where a machine
    is not that of the process that asked. Raises StorageFailed, DamagedState.
    """
    if not (run.path / WORK).is_dir():
        return
    computed = {group: list(parts) for group, parts in run.manifest.get("computed", {}).items()}
    for group, parts in stored_parts(run.manifest).items():
        for part in parts:
            attempts = read_attempts(run.path, part.folder)
            if attempts:
                others = [one for one in computed.get(group, []) if one["part"] != part.folder]
                computed[group] = [*others, summarise_attempts(part.folder, attempts)]
    machines = [one["machine"] for parts in computed.values() for one in parts]
    alike = all(not config_differences(run.manifest["machine"], machine) for machine in machines)
    run.record(computed=computed, one_machine=run.manifest["one_machine"] and alike)
    remove_work(run.path)


def summarise_attempts(part: str, attempts: list[Attempt]) -> dict[str, Any]:
    """The entry of a part: its last attempt's host and machine, all hosts, the seconds of all that have ended."""
    last, ended = attempts[-1], [attempt for attempt in attempts if "to" in attempt]
    phases = dict.fromkeys(phase for attempt in ended for phase in attempt["seconds"])
    return {
        "part": part,
        "host": last["host"],
        "hosts": sorted({attempt["host"] for attempt in attempts}),
        "machine": last["machine"],
        "seconds": {phase: sum(attempt["seconds"][phase] for attempt in ended) for phase in phases},
        "wall_seconds": sum(attempt["wall_seconds"] for attempt in ended),
        "cpu_seconds": sum(attempt["cpu_seconds"] for attempt in ended),
        "attempts": len(attempts),
        "from": [attempt["from"] for attempt in attempts],  # the step at which each began, -1 = from the start
        "lost": len(attempts) - len(ended),
    }
