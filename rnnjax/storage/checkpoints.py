"""Checkpoints that survive a kill, a full disk and a flipped byte.

    FOLDER/<step>/state      the leaves, by path, as orbax arrays
    FOLDER/<step>/checks     JSON: format, step, and shape, dtype and sha256 of every leaf, itself sealed by a sha256
    FOLDER/<step>.damaged    a step that did not verify when an older one was restored

Orbax writes and reads the arrays; which steps there are, which are kept and what is trusted is decided here. Its
CheckpointManager loads flipped bytes without an error, takes any folder with a number for its latest step (and deletes
it in time), and answers False where it does not save; so we use the plain, synchronous Checkpointer under it.
Not promised: power loss. One process at a time, by the lock of the run folder.
"""

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from rnnjax.errors import DamagedState, FolderRefused, StorageFailed
from rnnjax.storage.orbax_threads import call_in_daemon, quiet_orbax
from rnnjax.storage.tree_digest import Leaves, Tree, leaf_digest, named_leaves, rebuild_tree, sha256_of_json

_LOG = logging.getLogger(__name__)
FORMAT = 1  # of the checks; raise it when an older rnnjax could not read what is written


class _Damaged(Exception):
    """This step does not verify; an older one may."""


class Checkpoints:
    """The checkpoints of one group in one folder, as a context manager.

    Args:
        folder: made at the first save.
        keep: the newest `keep` steps stay; more than one, because the newest may turn out to be damaged. None: all.
        note: called with one line for each thing that was skipped or set aside.
    """

    def __init__(self, folder: Path, keep: int | None = 3, note: Callable[[str], None] = _LOG.warning) -> None:
        self.folder = folder.absolute()
        self._keep = keep
        self._note = note
        arrays = ocp.PyTreeCheckpointHandler(use_compression=True)  # halves them: texts and what is yet to be recorded
        self._orbax = ocp.Checkpointer(ocp.CompositeCheckpointHandler(state=arrays, checks=ocp.JsonCheckpointHandler()))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._orbax.close()

    def save(self, step: int, tree: Tree) -> None:
        """Saves `tree` as of `step`; when this returns, a kill no longer loses it.

        Raises:
            StorageFailed: the disk is full, read-only or gone (the older steps stay good), or `step` is not newer
                than the newest step there.
        """
        leaves = {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}
        arrays = {name: leaf for name, leaf in leaves.items() if leaf.size}  # orbax refuses arrays without elements
        items = ocp.args.Composite(state=ocp.args.PyTreeSave(arrays), checks=ocp.args.JsonSave(_checks(step, leaves)))
        with self._storing(f"cannot save step {step} to {self.folder}"):
            self._make_room(step)
            call_in_daemon(lambda: self._orbax.save(self.folder / str(step), items))
            self._drop_old()

    def restore(self, like: Tree | Callable[[int], Tree]) -> tuple[int, Tree] | None:
        """The newest step that verifies and its tree; None only if nothing was ever saved here.

        Args:
            like: the tree with the shapes and dtypes expected: `jax.ShapeDtypeStruct` (with a sharding, or for the
                default device), jax arrays, or NumPy arrays, which stay on the host. A function of the step where
                shapes were others up to some step.

        Raises:
            FolderRefused: the checkpoint has other leaves, shapes or dtypes; nothing is ever cast.
            DamagedState: there are steps and none verifies, or one is from a newer rnnjax or leads outside.
        """
        like_at = like if callable(like) else lambda _: like
        found = self._newest(lambda step: named_leaves(like_at(step)))
        if found is None:
            return None
        step, values, damage = found
        self._set_aside(damage, step)
        return step, rebuild_tree(like_at(step), values)

    def read(self, step: int | None = None) -> tuple[int, dict[str, np.ndarray]] | None:
        """The newest step that verifies, or that very step, as its leaves by path; for readers: changes nothing.

        Raises: DamagedState.
        """
        found = self._newest(lambda _: None, step)
        if found is None:
            return None
        good, values, damage = found
        for newer, reason in damage.items():
            self._note(f"{self.folder}: step {newer}: {reason}; using step {good}")
        return good, values

    def steps(self) -> list[int]:
        """The steps that are there, oldest first."""
        return sorted(self._steps())

    def prune(self, keep: int) -> None:
        """Removes all but the newest steps. Raises StorageFailed."""
        with self._storing(f"cannot remove old checkpoints from {self.folder}"):
            for step in self._steps()[keep:]:
                shutil.rmtree(self.folder / str(step))

    def _newest(
        self, expected: Callable[[int], Leaves | None], only: int | None = None
    ) -> tuple[int, dict[str, np.ndarray], dict[int, str]] | None:
        """(step, its leaves, what was wrong with newer steps); None if nothing was ever saved here."""
        damage: dict[int, str] = {}
        for step in [step for step in self._steps(self._note) if only in (None, step)]:
            try:
                return step, self._verified(step, expected(step)), damage
            except _Damaged as error:
                damage[step] = str(error)
        if damage or (only is None and list(self.folder.glob("*.damaged"))):
            reasons = [f"step {step}: {reason}" for step, reason in damage.items()]
            raise DamagedState("; ".join([f"no checkpoint in {self.folder} verifies", *reasons]))
        return None

    def _steps(self, note: Callable[[str], None] = lambda _: None) -> list[int]:
        """The steps that we wrote, whole or not, newest first."""
        found = self.folder.glob("*") if self.folder.is_dir() else iter(())
        numbered = {int(path.name): path for path in found if re.fullmatch(r"0|[1-9][0-9]*", path.name)}
        ours = {step for step, path in numbered.items() if _is_ours(path)}
        for step in sorted(numbered.keys() - ours):
            note(f"{numbered[step]} is not a checkpoint of rnnjax; skipped")
        return sorted(ours, reverse=True)

    def _make_room(self, step: int) -> None:
        """Clears what a kill left behind, and the place of the step itself."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clear_unfinished()
        if (newest := next(iter(self._steps()), -1)) >= step:
            raise FileExistsError(f"step {newest} is there already")
        if os.path.lexists(place := self.folder / str(step)):
            moved = _move(place, "foreign")
            self._note(f"{place} is not a checkpoint of rnnjax; moved to {moved}")

    def _clear_unfinished(self) -> None:
        for path in self.folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(path)

    def _drop_old(self) -> None:
        for step in self._steps()[self._keep :] if self._keep is not None else []:
            shutil.rmtree(self.folder / str(step))

    def _set_aside(self, damage: dict[int, str], good: int) -> None:
        """Renames the steps that did not verify. Only now: while none does, they stay for a person to examine."""
        for step, reason in damage.items():
            moved = _move(self.folder / str(step), "damaged")
            self._note(f"step {step}: {reason}; using step {good}; moved to {moved}")

    def _verified(self, step: int, expected: Leaves | None) -> dict[str, np.ndarray]:
        """The values of the leaves of one step, each with the shape, dtype and bytes that were saved."""
        folder = self.folder / str(step)
        _check_links(folder)
        table = _open_metadata(self._read(folder, checks=ocp.args.JsonRestore()), step)
        if expected is not None:
            _check_tree(table, expected)
        values = self._arrays(folder, table)
        for name, entry in table.items():
            if leaf_digest(values[name]) != entry:
                raise _Damaged(f"leaf {name} damaged")
        return values

    def _arrays(self, folder: Path, table: dict[str, Any]) -> dict[str, np.ndarray]:
        stored = [name for name, entry in table.items() if 0 not in entry["shape"]]
        # Given a dtype, orbax would cast. Given names, it refuses metadata with others, such as paths leading outside.
        as_saved = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in stored}
        arrays = self._read(folder, state=ocp.args.PyTreeRestore(restore_args=as_saved))
        empty = {name: np.empty(table[name]["shape"], table[name]["dtype"]) for name in table.keys() - arrays.keys()}
        return {**arrays, **empty}

    def _read(self, folder: Path, **item: Any) -> Any:
        (name,) = item
        try:
            with quiet_orbax():
                return self._orbax.restore(folder, ocp.args.Composite(**item))[name]
        except Exception as error:  # whatever orbax, tensorstore and json raise on damaged bytes
            raise _Damaged(f"{name} cannot be read ({_first_line(error)})") from error

    @contextlib.contextmanager
    def _storing(self, what: str) -> Iterator[None]:
        try:
            with quiet_orbax():
                yield
        except (OSError, ValueError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                self._clear_unfinished()  # give the disk its space back
            raise StorageFailed(f"{what}: {_storage_reason(error)}") from error


def _checks(step: int, leaves: dict[str, np.ndarray]) -> dict[str, Any]:
    return _seal_metadata(
        {"format": FORMAT, "step": step, "leaves": {name: leaf_digest(leaf) for name, leaf in leaves.items()}}
    )


def _seal_metadata(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "seal": sha256_of_json(body)}


def _open_metadata(checks: Any, step: int) -> dict[str, Any]:
    """The table of leaves, if the checks are whole, of this step, and of a format that we know."""
    if not isinstance(checks, dict) or checks != _seal_metadata({k: v for k, v in checks.items() if k != "seal"}):
        raise _Damaged("checks damaged")
    if checks["format"] > FORMAT:
        raise DamagedState(f"step {step} was written by a newer rnnjax (format {checks['format']}, here {FORMAT})")
    if checks["step"] != step:
        raise _Damaged(f"holds step {checks['step']}")
    leaves: dict[str, Any] = checks["leaves"]
    return leaves


def _check_tree(table: dict[str, Any], expected: Leaves) -> None:
    wanted = {name: f"{tuple(leaf.shape)} {np.dtype(leaf.dtype).name}" for name, leaf in expected.items()}
    got = {name: f"{tuple(entry['shape'])} {entry['dtype']}" for name, entry in table.items()}
    for name in sorted(wanted.keys() | got.keys()):
        stored, configured = got.get(name, "missing"), wanted.get(name, "no such leaf")
        if stored != configured:
            raise FolderRefused(f"checkpoint has {name} {stored}, config says {configured}")


def _is_ours(folder: Path) -> bool:
    return any((folder / item).exists() for item in ("state", "checks", "_CHECKPOINT_METADATA"))


def _check_links(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            raise DamagedState(f"{path} is a link; a checkpoint never leads outside its folder")


def _move(path: Path, word: str) -> str:
    """Renames `path` to a free name with the reason in it, and returns that name."""
    names = (f"{path.name}.{word}{suffix}" for suffix in ("", *(f".{n}" for n in range(2, 1000))))
    name = next(name for name in names if not os.path.lexists(path.with_name(name)))
    path.rename(path.with_name(name))
    return name


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _storage_reason(error: BaseException) -> str:
    """The system's own words, which tensorstore buries in a longer message."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(number[1])) if number else _first_line(error)
