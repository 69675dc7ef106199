"""Sequences cut into windows to train on, and the held-out part as one window."""

from collections.abc import Sequence

import jax
import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import Spec
from rnnjax.tasks.sequences.layout import held_out_sequences_window, training_pool
from rnnjax.types import LabelledSequence, SequencePool, Task, WindowData

SHORT_WINDOW = 8  # steps of a window that is still worth training on


def next_step(values_N: np.ndarray) -> LabelledSequence:
    """The target of every value is the next value."""
    return LabelledSequence(values_N[:-1], values_N[1:])


def next_step_of_documents(token: int, ids_N: np.ndarray) -> LabelledSequence:
    """As `next_step`; a document begins at each id that is `token`."""
    return next_step(ids_N)._replace(starts_N=ids_N[:-1] == token)


def cut_windows(pairs: LabelledSequence, batch: int, window: int, target_scale_O: Sequence[float] = ()) -> WindowData:
    """Lay N pairs out as B streams of W whole windows of T steps.

    Stream b starts at pair b * L with L = N // B, and W = L // T: window w+1 of a stream goes on where window w ends,
    so a state can be carried from one to the next. The L - W*T pairs at the end of each stream are dropped.

    Args:
        batch: B, the number of parallel streams. window: T, the steps of one window.
        target_scale_O: of a series, see `WindowData`.
    Raises:
        BadInput: too few pairs for one window in each stream, or examples of another length than the windows.
    """
    if pairs.example_length not in (1, window):
        raise BadInput(
            f"window: got {window}; the examples of this task have {pairs.example_length} steps (task.length)"
        )
    length = len(pairs.inputs_N) // batch // pairs.example_length * pairs.example_length
    windows = length // window
    if windows < 1:
        raise BadInput(_too_short(pairs, batch, window))
    starts_B = length * np.arange(batch)
    steps_WT1 = np.arange(windows * window).reshape(windows, window, 1)
    positions_WTB = starts_B + steps_WT1
    return _lay_out_streams(pairs, positions_WTB, np.asarray(target_scale_O, np.float32) if target_scale_O else None)


def _lay_out_streams(pairs: LabelledSequence, positions: np.ndarray, target_scale_O: np.ndarray | None) -> WindowData:
    """The pairs at some positions."""
    inputs_N, targets_N, loss_mask_N, valid_N, _, measured_N, starts_N = pairs
    measured = None if measured_N is None else measured_N[positions]
    counted = measured if loss_mask_N is None else loss_mask_N[positions]
    mask = None if valid_N is None else valid_N[positions]
    starts = None if starts_N is None else starts_N[positions]
    return WindowData(inputs_N[positions], targets_N[positions], counted, mask, target_scale_O, measured, starts)


def task_windows(task: Task, values_N: np.ndarray, batch: int, window: int) -> WindowData:
    """The windows of a task's training or held-out part. Raises: as `cut_windows`; BadInput as `swap_axes`."""
    data = cut_windows(task.make_sequence(values_N), batch, window, task.target_scale_O)
    data = swap_axes(data) if task.axes_swapped else data
    return data._replace(loss_mask_WTB=last_step_windows(data)) if task.last_only else data


def training_data(task: Task, spec: Spec) -> WindowData | SequencePool:
    """The training data: windows, or a pool of sequences. Raises: as `task_windows`."""
    if task.sequences is not None:
        return training_pool(task.sequences, task.target_scale_O)
    return task_windows(task, task.train_N, spec.batch, spec.window)


def swap_axes(data: WindowData) -> WindowData:
    """Windows [T, B] handed over as [B, T], as where a batch stands first and is taken for time.

    Raises:
        BadInput: B is not T, so that it would be noticed.
    """
    window, batch = data.inputs_WTB.shape[1:3]
    if window != batch:
        raise BadInput(f"task.time_axis: got 'batch' with batch {batch} x window {window}; expected batch = window")
    return data._replace(inputs_WTB=data.inputs_WTB.swapaxes(1, 2), targets_WTB=data.targets_WTB.swapaxes(1, 2))


def last_step_windows(data: WindowData) -> np.ndarray:
    """1 at the last step of each window, else 0: float32 [W, T, B]."""
    loss_mask_WTB = np.zeros(data.inputs_WTB.shape[:3], dtype=np.float32)
    loss_mask_WTB[:, -1] = 1
    return loss_mask_WTB


def _too_short(pairs: LabelledSequence, batch: int, window: int) -> str:
    size = f"window {window}" if batch == 1 else f"batch {batch} x window {window}"
    need = f"task: has {_size(pairs)}; need >= {batch * window + 1:,} ({size} + 1)"
    longest = len(pairs.inputs_N)
    if pairs.example_length > 1 or longest < 2:
        return need
    streams = max(1, min(batch, longest // min(window, SHORT_WINDOW)))
    smaller = [f"--set batch={streams}"] if streams < batch else []
    smaller += [f"--set window={longest // streams}"] if longest // streams < window else []
    return f"{need}; use {' '.join(smaller)}"


def _size(pairs: LabelledSequence) -> str:
    """How long a sequence is, counting the value after its last input."""
    what = "characters" if np.issubdtype(pairs.inputs_N.dtype, np.integer) else "steps"
    return f"{len(pairs.inputs_N) + 1:,} {what}"


def held_out_window(task: Task, window: int, carried: bool) -> WindowData:
    """The held-out part as one window [1, T, B, ...]: one long stream, or all windows of T steps beside each other.

    Of a set of sequences there may be several windows, see `layout.held_out_sequences_window`.

    Raises:
        BadInput: the held-out part is shorter than one window.
    """
    if task.sequences is not None:
        return held_out_sequences_window(task.sequences, task.outputs, task.target_scale_O)
    pairs = task.make_sequence(task.validation_N)
    if len(pairs.inputs_N) < window:
        raise BadInput(
            f"task.validation: its split leaves {_size(pairs)}; need >= {window + 1} (window {window} + 1); "
            f"use --set window={max(len(pairs.inputs_N), 1)} or a larger --set task.validation=..."
        )
    data = task_windows(task._replace(axes_swapped=False), task.validation_N, 1, window)

    def rearrange(leaf: np.ndarray) -> np.ndarray:
        windows_WT = leaf[:, :, 0]
        if carried:
            return windows_WT.reshape(1, -1, 1, *windows_WT.shape[2:])
        return np.swapaxes(windows_WT, 0, 1)[None]

    beside = jax.tree.map(rearrange, data._replace(target_scale_O=None))._replace(target_scale_O=data.target_scale_O)
    return swap_square_windows(task, beside) if task.axes_swapped else beside


def swap_square_windows(task: Task, data: WindowData) -> WindowData:
    """Windows beside each other, [1, T, W, ...], taken T at a time and swapped as in training.

    Raises:
        BadInput: there are fewer than T of them.
    """
    window, count = data.inputs_WTB.shape[1:3]
    squares = count // window
    if not squares:
        raise BadInput(
            f"task.validation: its split leaves {count} windows; need >= {window} (task.time_axis = 'batch')"
        )

    def swap_leaf(leaf: np.ndarray) -> np.ndarray:
        apart = leaf[0, :, : squares * window].reshape(window, squares, window, *leaf.shape[3:])
        return np.swapaxes(apart, 0, 2).reshape(1, window, squares * window, *leaf.shape[3:])

    data = data._replace(inputs_WTB=swap_leaf(data.inputs_WTB), targets_WTB=swap_leaf(data.targets_WTB))
    return data._replace(loss_mask_WTB=last_step_windows(data)) if task.last_only else data


def spread_windows(pairs: LabelledSequence, length: int, windows: int) -> WindowData:
    """Windows at evenly spaced places, as the B streams [1, length, windows] of one; they overlap in a short sequence.

    Raises:
        BadInput: the sequence, or one example of it, is shorter than a window.
    """
    steps = len(pairs.inputs_N)
    if steps < length:
        raise BadInput(f"task: has {_size(pairs)}; need >= {length + 1} (to read windows of {length})")
    if 1 < pairs.example_length < length:
        raise BadInput(f"task.length: got {pairs.example_length}; need >= {length} (to read windows of {length})")
    starts = np.linspace(0, steps - length, windows).astype(int) // pairs.example_length * pairs.example_length
    return _lay_out_streams(pairs, (starts[None, :] + np.arange(length)[:, None])[None], None)
