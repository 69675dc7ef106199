"""The curves in TensorBoard, one run per arm: a view, which can be written again from the metrics file at any time.

tensorboardX's `SummaryWriter` hands its events to a thread. When the disk is full that thread dies, and the next call,
or the end of the process, blocks. Here the same records are written by the caller's thread: an error is raised at once
and by name. Two more habits make a resumed run read as one:

- Each attempt has a file of its own, named after its number instead of the time: TensorBoard reads files in the order
  of their names, and time orders nothing within one second or after the clock was set back.
- A new attempt takes what it will repeat out of the files of earlier ones, and opens its own with a START mark, on
  which a TensorBoard that is running forgets the same. The mark alone is not enough: some readers heed it for scalars
  only, and TensorBoard's fast one not at all.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit
from tensorboardX import summary
from tensorboardX.proto import layout_pb2
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboardX.record_writer import masked_crc32c

from rnnjax.errors import StorageFailed

HISTOGRAM_BINS = 40
ALIVE = "alive"  # in a `CurveTag`: the runs alive; its statistic is "diverged", the number of the others


def histogram_edges(values: np.ndarray) -> np.ndarray:
    """The edges of HISTOGRAM_BINS bins of equal width; wider than the values where these are too near for so many."""
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    if np.all(np.diff(edges) > 0):
        return edges
    margin = max(0.5, 1e-6 * max(abs(low), abs(high)))
    return np.linspace(low - margin, high + margin, HISTOGRAM_BINS + 1)


class CurveTag(NamedTuple):
    """A curve: a statistic over the seeds of a recorded value, and its tag."""

    value: str
    statistic: str  # mean, lo, hi (the 95% t interval of the mean), median
    tag: str


class Chart(NamedTuple):
    """A chart of the custom scalars page: every curve whose tag matches one of these regular expressions."""

    title: str
    tags: Sequence[str]


class ArmCurves:
    """The TensorBoard run of one arm; every method has written all when it returns.

    Args:
        folder: of this arm, the name under which TensorBoard shows it.
        attempt: number of this start of the program; a later one where there are files of that number or of later ones.
        resumed_step: optimizer steps done in the checkpoint it goes on from; None starts afresh.

    Raises:
        StorageFailed: here and in every method, when the disk refuses.
    """

    def __init__(self, folder: Path, attempt: int, resumed_step: int | None = None) -> None:
        self._folder = folder
        self._first_step = 0 if resumed_step is None else resumed_step + 1
        self._pending = bytearray()  # that are not in the file yet
        self._last_step = 0
        with self._storage():
            folder.mkdir(parents=True, exist_ok=True)
            earlier = [0]
            for path in folder.glob("events.out.tfevents.*"):
                earlier += [int(path.suffix[1:])] if path.suffix[1:].isdecimal() else []
                _forget(path, self._first_step)
            self._path = folder / f"events.out.tfevents.{max(attempt, 1 + max(earlier)):06d}"
            self._path.write_bytes(b"")
            self._collect(0, file_version="brain.Event:2")
            self._collect(self._first_step, session_log=SessionLog(status=SessionLog.START))
            self._append()

    def rows(
        self, steps_S: np.ndarray, rows: dict[str, np.ndarray], alive_nS: np.ndarray, tags: Sequence[CurveTag]
    ) -> None:
        """Add rows of the record, `rows[value]` being [n, S], to the curves of these tags.

        All statistics are over the runs alive; what is not a finite number is left out.
        """
        used = {each.value for each in tags} & rows.keys()
        known = {value: _over_seeds(rows[value], alive_nS) for value in used}
        known[ALIVE] = {"diverged": (~alive_nS).sum(axis=0)}
        columns = {each.tag: known[each.value][each.statistic] for each in tags if each.value in known}
        table = np.stack(list(columns.values()), axis=1).tolist()
        with self._storage():
            for step, values in zip(steps_S.tolist(), table, strict=True):
                self._collect(step, summary=_scalars(dict(zip(columns, values, strict=True))))
            self._append()

    def histogram(self, step: int, name: str, values: np.ndarray) -> None:
        """Add the distribution of an array's finite values, as over units or over eigenvalues."""
        finite = values[np.isfinite(values)]
        if finite.size:
            self._add(step, summary.histogram(name, finite, histogram_edges(finite)))

    def text(self, step: int, name: str, text: str) -> None:
        """Add a text that TensorBoard shows as it stands: it reads Markdown, so the text becomes a code block."""
        block = "\n".join(f"    {line}" for line in text.splitlines())
        self._add(step, summary.text(name, block.encode("utf-8", "backslashreplace").decode()))

    def hparams(self, settings: dict[str, Any], metrics: dict[str, float]) -> None:
        """Add this arm's line of the HParams table; call it once, at the end, with the same names for every arm."""
        parts = summary.hparams({name: _plain(value) for name, value in settings.items()}, _final(metrics))
        line = Summary(value=[value for part in parts for value in part.value])
        line.MergeFrom(_scalars(_final(metrics)))
        # After the last row: a resumed attempt then forgets it together with the rows it repeats.
        self._add(self._last_step + 1, line)

    def layout(self, categories: Mapping[str, Sequence[Chart]]) -> None:
        """Set the charts of TensorBoard's custom scalars page, in the order in which they are shown.

        Each draws the lines of its tags; those of the first category are loaded at once, the others when opened.
        TensorBoard also has charts with a filled band. It shows those in reverse, and as an error until the page is
        loaded again where a point arrives while it reads their three curves.
        """
        parts = [
            layout_pb2.Category(title=title, chart=[_chart_proto(chart) for chart in charts], closed=number > 0)
            for number, (title, charts) in enumerate(categories.items())
        ]
        content = layout_pb2.Layout(category=parts).SerializeToString()
        plugin = SummaryMetadata.PluginData(plugin_name="custom_scalars")
        tensor = TensorProto(dtype="DT_STRING", string_val=[content], tensor_shape=TensorShapeProto())
        metadata = SummaryMetadata(plugin_data=plugin)
        value = Summary.Value(tag="custom_scalars__config__", tensor=tensor, metadata=metadata)
        self._add(self._first_step, Summary(value=[value]))

    def _add(self, step: int, content: Summary) -> None:
        with self._storage():
            self._collect(step, summary=content)
            self._append()

    def _collect(self, step: int, **content: Any) -> None:
        event = Event(wall_time=time.time(), step=step, **content).SerializeToString()
        size = len(event).to_bytes(8, "little")
        self._pending += size + _checksum(size) + event + _checksum(event)
        self._last_step = max(self._last_step, step)

    def _append(self) -> None:
        """The file is open for this moment only: a study may have more arms than a process may have open files."""
        with self._path.open("ab") as file:
            file.write(self._pending)
        self._pending.clear()

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageFailed(f"{self._folder}: cannot write the curves: {error.strerror or error}") from error


def _chart_proto(chart: Chart) -> layout_pb2.Chart:
    return layout_pb2.Chart(title=chart.title, multiline=layout_pb2.MultilineChartContent(tag=chart.tags))


def is_damaged(folder: Path, resumed_step: int) -> bool:
    """Whether the curves in a folder lack something up to that step: a record is cut or has a wrong checksum.

    TensorBoard's slow loader drops all of a file behind such a record; its fast one shows the wrong value. Raises
    StorageFailed.
    """
    try:
        return any(_lacks(path.read_bytes(), resumed_step) for path in folder.glob("events.out.tfevents.*"))
    except OSError as error:
        raise StorageFailed(f"{folder}: cannot read the curves: {error.strerror or error}") from error


def _lacks(data: bytes, step: int) -> bool:
    records = list(_records(data))
    intact = sum(len(record) for _, record in records) == len(data)
    return not intact and all(at < step for at, _ in records)


def _forget(path: Path, first_step: int) -> None:
    """Take the events from that step on out of a file, and with them a record that a kill cut in two."""
    data = path.read_bytes()
    kept = b"".join(record for step, record in _records(data) if step < first_step)
    if not kept:
        path.unlink()
    elif len(kept) < len(data):
        part = path.with_name("part")
        part.write_bytes(kept)
        part.replace(path)


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The steps and bytes of an event file's records, up to the first that is cut or has a wrong checksum.

    A record is 8 bytes of length, 4 of their checksum, the event, 4 of its checksum.
    """
    start = 0
    while len(data) >= start + 16:
        size, event = data[start : start + 8], start + 12
        end = event + int.from_bytes(size, "little") + 4
        content = data[event : end - 4]
        if end > len(data) or (_checksum(size), _checksum(content)) != (data[event - 4 : event], data[end - 4 : end]):
            return
        yield Event.FromString(content).step, data[start:end]
        start = end


def _checksum(data: bytes) -> bytes:
    return masked_crc32c(data).to_bytes(4, "little")


def _over_seeds(values_nS: np.ndarray, alive_nS: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, its 95% t interval and the median over the runs alive, for all rows at once; NaN where there is none."""
    known_nS = np.where(alive_nS & np.isfinite(values_nS), values_nS, math.nan).astype(float)
    n_S = np.isfinite(known_nS).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_S = np.nansum(known_nS, axis=0) / n_S
        variance_S = np.nansum((known_nS - mean_S) ** 2, axis=0) / (n_S - 1)
        half_S = np.sqrt(variance_S / n_S) * stdtrit(n_S - 1.0, 0.975)
        # NaN sorts last, so the median of what is known stands around n_S / 2.
        sorted_nS, column_S = np.sort(known_nS, axis=0), np.arange(len(n_S))
        lower_S, upper_S = np.maximum(n_S - 1, 0) // 2, np.minimum(n_S // 2, len(known_nS) - 1)
        median_S = (sorted_nS[lower_S, column_S] + sorted_nS[upper_S, column_S]) / 2
    return {"mean": mean_S, "lo": mean_S - half_S, "hi": mean_S + half_S, "median": median_S}


def _scalars(values: dict[str, float]) -> Summary:
    """One record for all tags of a step: seven times faster than one for each."""
    return Summary(
        value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items() if math.isfinite(value)]
    )


def _final(metrics: dict[str, float]) -> dict[str, float]:
    """The tags of the HParams table; its page fails on a number that is not finite."""
    return {f"results/{name}": float(value) for name, value in metrics.items() if math.isfinite(value)}


def _plain(value: Any) -> bool | int | float | str:
    """A value for the HParams page, whose JSON has no infinity."""
    return value if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)) else str(value)
