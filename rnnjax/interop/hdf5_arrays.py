"""The arrays of an HDF5 file by their paths, and back. h5py is imported when a file is read or written.

Files are read as data of a stranger: every link must lead to something in the file itself.
"""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnjax.devices import available_memory
from rnnjax.errors import BadInput


def import_h5py() -> Any:
    """The module h5py. Raises: BadInput with the command that installs it."""
    try:
        import h5py
    except ImportError:
        raise BadInput("h5py is not installed; expected it for files of Keras: pip install 'rnnjax[interop]'") from None
    return h5py


def read_hdf5(data: bytes, source: str) -> dict[str, np.ndarray]:
    """Path -> array of everything in the bytes of a file.

    Raises: BadInput for a file that is no HDF5, or damaged; for links, and for arrays whose numbers lie elsewhere.
    """
    h5py = import_h5py()
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            found = dict(walk(h5py, file, source))
            check_size(found, source)
            return {path: dataset[()] for path, dataset in found.items()}
    except BadInput:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        reason = str(error).splitlines()[0][:150]
        raise BadInput(f"{source}: is no HDF5 file that can be read ({reason}); expected weights of Keras") from None


def walk(h5py: Any, group: Any, source: str) -> Iterator[tuple[str, Any]]:
    """The path and the dataset of each array below a group. Raises: BadInput for links out of the file."""
    for name in group:
        link, path = group.get(name, getlink=True), f"{group.name.rstrip('/')}/{name}".lstrip("/")
        if not isinstance(link, h5py.HardLink):
            target = f"{link.filename}:{link.path}" if isinstance(link, h5py.ExternalLink) else link.path
            raise BadInput(f"{source}: '{path}' is a link to {target!r}; expected an array or a group of its own")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from walk(h5py, item, source)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise BadInput(f"{source}: '{path}' has its numbers in another file; expected them in this one")
            yield path, item


def check_size(datasets: Mapping[str, Any], source: str) -> None:
    """Raises: BadInput where the arrays of a file do not fit into memory."""
    size, memory = sum(dataset.nbytes for dataset in datasets.values()), available_memory()
    if memory is not None and size > memory:
        raise BadInput(
            f"{source}: has {size / 1e9:.1f} GB of arrays; expected less than the {memory / 1e9:.1f} GB free"
        )


def write_hdf5(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a file with each array at its path; a path that ends with a slash is an empty group."""
    h5py, stream = import_h5py(), io.BytesIO()
    with h5py.File(stream, "w") as file:
        for path, array in arrays.items():
            if path.endswith("/"):
                file.require_group(path)
            else:
                file.create_dataset(path, data=array)
    return stream.getvalue()
