"""Forecasts of a series as arrays and as a table."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.api.new_data import new_rows
from rnnjax.api.tables import import_extra
from rnnjax.errors import BadInput
from rnnjax.studies.forecast_table import ForecastOptions, ForecastTable, forecast_table, format_forecast
from rnnjax.studies.load_networks import LoadedNetwork
from rnnjax.tasks.series_layout import rows_read


@dataclass(frozen=True, repr=False, eq=False)
class Forecast:
    """Rows that a network forecasts, in own units.

    Attributes: columns: the names of the O targets. rows: [N, O]. labels: of the rows; empty without an index.
        low, high: [N, O], ends of the intervals; None without. truth: [N, O] where the rows are known; None without.
    """

    table: ForecastTable

    @property
    def columns(self) -> tuple[str, ...]:
        return self.table.columns

    @property
    def rows(self) -> np.ndarray:
        return self.table.rows_NO

    @property
    def labels(self) -> list[str]:
        return self.table.labels if self.table.index_name is not None else []

    @property
    def low(self) -> np.ndarray | None:
        return None if self.table.bounds_NO2 is None else self.rows + self.table.bounds_NO2[..., 0]

    @property
    def high(self) -> np.ndarray | None:
        return None if self.table.bounds_NO2 is None else self.rows + self.table.bounds_NO2[..., 1]

    @property
    def truth(self) -> np.ndarray | None:
        return self.table.truth_NO

    def to_dataframe(self) -> Any:
        """A pandas DataFrame: a column for each target, `_low`, `_high` and `_true` beside it where they are known."""
        pandas = import_extra("pandas")
        ends = {"": self.rows, "_low": self.low, "_high": self.high, "_true": self.truth}
        named = {
            f"{name}{end}": values[:, place]
            for place, name in enumerate(self.columns)
            for end, values in ends.items()
            if values is not None
        }
        index = pandas.Index(self.labels, name=self.table.index_name) if self.labels else None
        return pandas.DataFrame(named, index=index)

    def __repr__(self) -> str:
        return format_forecast(self.table)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def network_forecast(
    network: LoadedNetwork,
    folder: Path | None,
    length: int,
    data: Any,
    start: int | str | None,
    interval: float | None,
) -> Forecast:
    """The forecast of a network. Raises: BadInput."""
    rows, layout = network.rows, network.layout
    if rows is None or layout is None:
        raise BadInput(f"forecast: this network was trained on '{network.spec.task.name}'; expected a series")
    if interval is not None and folder is None:
        raise BadInput("interval: got one for a network without a run folder; expected a network of a finished study")
    if data is not None:
        rows = new_rows(network, rows, data)
        least = rows_read(layout)
        if len(rows.values_NC) < least:
            raise BadInput(f"data: has {len(rows.values_NC)} rows; expected at least {least}, which the network reads")
    options = ForecastOptions(None if start is None else str(start), interval)
    return Forecast(forecast_table(folder or Path(), network._replace(rows=rows), length, options))
