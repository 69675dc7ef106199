"""The networks that every release trains."""

from itertools import product
from typing import NamedTuple

OPTIMIZERS = ("sgd", "adam")
DIGEST_STEPS = (0, 1, 100)  # after so many optimizer steps the state is hashed


class Setting(NamedTuple):
    """The cell, the optimizer, H, T, B and the number of runs."""

    cell: str = "elman"
    optimizer: str = "sgd"
    hidden: int = 64
    window: int = 25
    batch: int = 1
    runs: int = 32

    @property
    def title(self) -> str:
        return f"{self.cell}, {self.optimizer}, H = {self.hidden}, batch {self.batch}"


CELLS = (Setting(), Setting(cell="lstm", hidden=128, batch=8), Setting(cell="gru", hidden=128, batch=8))
SETTINGS = tuple(setting._replace(optimizer=name) for setting, name in product(CELLS, OPTIMIZERS))
QUICK_SETTINGS = tuple(Setting(cell, name, 4, 3, 2, 2) for cell, name in product(("elman", "gru"), OPTIMIZERS))
