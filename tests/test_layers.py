"""Imports go strictly down. A new module must be given its layer here; an exception must be argued for in one line."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    "settings types errors",
    "activations initializers jumps keys losses optimizers schedules stats flax_bridge",
    "cells tasks starts order",
    "unroll",
    "model generate train diagnostics",
    "sweep",
    "study",
    "schedule results measurement",
    "files tomlfile fields ink pages",
    "arms axes",
    "config corpora manifest runs checkpoints curves figures report effects associations rules conventions claims"
    " lookup progress signals devices command",
    "summary protocol board training trained stored rehearsal pagefile ledger",
    "explore site",
    "writeup",
    "lab speak doctor",
    "scripts",
]
LAST_PURE = "sweep"
SIBLINGS = {  # importer, imported: why
    ("generate", "model"): "a network must be built before it can run free",
    ("train", "model"): "or be trained",
    ("train", "generate"): "and may read what it writes while it is trained",
    ("diagnostics", "model"): "or be looked at",
    ("diagnostics", "train"): "a probe looks at a TrainState",
    ("diagnostics", "generate"): "and at what the network writes",
    ("runs", "manifest"): "the run folder is two modules: what stands in the manifest, and who may write",
    ("corpora", "config"): "one limit on memory holds for sizes in a config and for the text's",
    ("command", "runs"): "a bad name of a run folder is refused before anything is loaded",
    ("lookup", "rules"): "names in a study are looked up in every dict of things, RULES too",
    ("rules", "effects"): "all rules stand in one dict",
    ("rules", "associations"): "likewise",
    ("claims", "rules"): "a judge applies the rules",
    ("training", "board"): "training hands the board its curves",
}
EFFECTS = {
    "os",
    "pathlib",
    "time",
    "rich",
    "plotly",
    "sys",
    "shutil",
    "tempfile",
    "logging",
    "datetime",
    "random",
    "io",
}
RANDOM = ("np.random.default_rng", "np.random.Generator")
HEAVY = {"jax", "flax", "optax", "orbax", "tensorboardX", "plotly"}
LIGHT = [
    "settings",
    "errors",
    "study",
    "tomlfile",
    "fields",
    "arms",
    "config",
    "command",
]  # on the way of a user's bad value, before JAX is loaded


def files() -> dict[str, Path]:
    """Dotted name below rnnjax -> file; scripts are scripts.name."""
    package = {path: path.relative_to(ROOT / "rnnjax") for path in (ROOT / "rnnjax").rglob("*.py")}
    scripts = {path: path.relative_to(ROOT) for path in (ROOT / "scripts").glob("*.py")}
    found = {".".join(short.with_suffix("").parts): path for path, short in (package | scripts).items()}
    return {name.removesuffix(".__init__"): path for name, path in found.items() if name != "__init__"}


FILES = files()


def imported(module: str, at_import: bool = False) -> set[str]:
    """Every name that a file imports: `a.b` for `import a.b` and `a.b.c` for `from a.b import c`.

    Inside functions too, unless only what importing the file itself loads is asked for.
    """
    tree = ast.parse(FILES[module].read_text())
    names: set[str] = set()
    for node in tree.body if at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def ours(names: set[str]) -> set[str]:
    """The modules of ours among imported names, as dotted names below rnnjax."""
    short = {name.removeprefix("rnnjax.") for name in names if name.startswith("rnnjax.")}
    return {next(module for module in (name, name.rpartition(".")[0]) if module in FILES) for name in short}


GRAPH = {module: ours(imported(module)) for module in FILES}
LAYER = {unit: level for level, units in enumerate(LAYERS) for unit in units.split()}


def unit(module: str) -> str:
    """A package counts as one."""
    return module.partition(".")[0]


def test_every_module_has_a_layer() -> None:
    assert {unit(module) for module in FILES} == LAYER.keys()


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down(module: str) -> None:
    for other in GRAPH[module]:
        pair = unit(module), unit(other)
        allowed = pair[0] == pair[1] or pair in SIBLINGS or LAYER[pair[1]] < LAYER[pair[0]]
        assert allowed, f"{module} imports {other}, which is not below it"


def test_every_exception_is_needed_and_between_siblings() -> None:
    used = {(unit(module), unit(other)) for module, others in GRAPH.items() for other in others}
    assert SIBLINGS.keys() <= used
    assert all(LAYER[one] == LAYER[other] for one, other in SIBLINGS)


def test_there_is_no_circle_of_files() -> None:
    assert len(list(TopologicalSorter(GRAPH).static_order())) == len(FILES)


PURE = [module for module in FILES if LAYER.get(unit(module), len(LAYERS)) <= LAYER[LAST_PURE]]


@pytest.mark.parametrize("module", PURE)
def test_what_computes_has_no_effects(module: str) -> None:
    """No files, clocks, prints or global random state."""
    assert not roots(imported(module)) & EFFECTS
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        assert name not in ("print", "open", "input"), f"line {node.lineno}: {name}"
        assert not name.startswith("np.random.") or name.partition("(")[0] in RANDOM, f"line {node.lineno}: {name}"


@pytest.mark.parametrize("module", LIGHT)
def test_a_bad_value_is_refused_before_jax_is_loaded(module: str) -> None:
    found, waiting = set(), {module}
    while waiting:
        found |= waiting
        assert not {name for name in waiting if roots(imported(name, at_import=True)) & HEAVY}
        waiting = {other for name in waiting for other in ours(imported(name, at_import=True))} - found
