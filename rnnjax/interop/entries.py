"""Named arrays of a file or a tree: read each once, and refuse what is missing, of another shape or left over."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.errors import BadInput


class Entries:
    """Named arrays of which every one has to be taken."""

    def __init__(self, arrays: Mapping[str, Any], source: str) -> None:
        self.arrays, self.source = {str(name): as_array(name, array) for name, array in arrays.items()}, source
        self.left = dict.fromkeys(self.arrays)

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def take(self, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The array of a name. Raises: BadInput with the nearest name where there is none, or for another shape."""
        if name not in self.arrays:
            close = difflib.get_close_matches(name, list(self.left), 1, 0.4)
            nearest = f"; the nearest is '{close[0]}'" if close else ""
            raise BadInput(f"{self.source}: has no '{name}'{nearest}")
        array = self.arrays[name]
        if shape is not None and array.shape != shape:
            raise BadInput(f"{self.source}: '{name}' has the shape {list(array.shape)}; expected {list(shape)}")
        self.left.pop(name, None)
        return array

    def take_if(self, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray | None:
        """The array of a name, None where there is none."""
        return self.take(name, shape) if name in self.arrays else None

    def finish(self, expected: str = "") -> None:
        """Raises: BadInput for arrays that nothing has taken."""
        if self.left:
            names = list(self.left)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            listed = ", ".join(f"'{name}'" for name in names[:3])
            hint = f"; {expected}" if expected else ""
            raise BadInput(f"{self.source}: got {listed}{more}, which no recurrent network here has{hint}")


def as_array(name: str, value: Any) -> np.ndarray:
    """A tensor of any library as a NumPy array of float32 or float64. Raises: BadInput for what is no array."""
    if hasattr(value, "detach"):  # a tensor of torch, which may be on a device and need a gradient
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) in ("torch.bfloat16", "torch.float16") else value
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        kind = type(value).__name__ if array.dtype.kind in "OUS" else str(array.dtype)
        raise BadInput(f"'{name}': got {kind}; expected an array of numbers")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def check_file(path: Path) -> None:
    """Raises: BadInput where there is no file of that name, with the nearest beside it."""
    if not path.is_file():
        beside = [each.name for each in sorted(path.parent.glob("*")) if each.is_file()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, beside, 3, 0.5)
        raise BadInput(f"{path}: no such file" + (f"; nearest: {', '.join(close)}" if close else ""))


def check_one_of(field: str, value: Any, known: Iterable[Any], reason: str = "") -> None:
    """Raises: BadInput for a setting of another library's layer that no cell here has."""
    names = list(known)
    if value not in names:
        listed = " or ".join(repr(name) for name in names)
        raise BadInput(f"{field}: got {value!r}; expected {listed}" + (f": {reason}" if reason else ""))
