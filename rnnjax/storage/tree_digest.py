"""Trees of arrays by the paths of their leaves, and digests that are equal where two trees are bitwise equal."""

import hashlib
import json
from typing import Any

import jax
import numpy as np

Tree = Any  # nested dicts, tuples and flax structs of arrays
Leaves = dict[str, Any]  # path -> leaf, sorted by path


def state_digest(tree: Tree) -> str:
    """One sha256 over all leaves in the order of their paths (path, dtype, shape, bytes): equal means bitwise equal."""
    entries = {name: leaf_digest(np.asarray(leaf)) for name, leaf in named_leaves(tree).items()}
    return sha256_of_json(entries)


def named_leaves(tree: Tree) -> Leaves:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    assert len(named) == len(leaves), "two leaves share one path"
    return dict(sorted(named.items()))


def rebuild_tree(like: Tree, values: dict[str, np.ndarray]) -> Tree:
    def placed(path: Any, leaf: Any) -> Any:
        value = values[jax.tree_util.keystr(path, simple=True, separator="/")]
        return value if isinstance(leaf, np.ndarray | np.generic) else jax.device_put(value, leaf.sharding)

    return jax.tree_util.tree_map_with_path(placed, like)


def leaf_digest(array: np.ndarray) -> dict[str, Any]:
    """Shape, dtype and sha256: equal for two leaves if and only if they are bitwise equal."""
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return {"shape": list(array.shape), "dtype": array.dtype.name, "sha256": hashlib.sha256(raw.data).hexdigest()}


def sha256_of_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
