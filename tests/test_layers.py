"""Packages import strictly downward, without exceptions; what computes has no effects; three packages load no JAX."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [  # a package may import from those above it in this list, and from the root modules
    "root",
    "config",
    "networks",
    "tasks",
    "storage",
    "interop",
    "training",
    "probes",
    "analysis",
    "reports",
    "studies",
    "doctor",
    "api",
    "cli",
    "scripts",
]
PURE = {"networks", "tasks", "training", "probes"}
WITHOUT_JAX = ["config", "analysis", "reports"]
FORBIDDEN = {  # (importer, imported): though it stands below
    ("networks", "config"),
    ("tasks", "config"),
    ("tasks", "networks"),
    ("storage", "config"),
    ("storage", "networks"),
    ("storage", "tasks"),
    ("training", "config"),
    ("training", "tasks"),
    ("training", "storage"),
    ("probes", "config"),
    ("probes", "storage"),
    *[("analysis", other) for other in ("networks", "tasks", "storage", "training", "probes")],
    *[("reports", other) for other in ("networks", "tasks", "training", "probes")],
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
SETTINGS = {
    "settings",
    *(f"settings.{name}" for name in ("checks", "later_fields", "metrics", "vocabulary")),
}  # for all
RANDOM = ("np.random.default_rng", "np.random.Generator")


def files() -> dict[str, Path]:
    """Dotted name below rnnjax -> file; scripts are scripts.name."""
    package = {path: path.relative_to(ROOT / "rnnjax") for path in (ROOT / "rnnjax").rglob("*.py")}
    scripts = {path: path.relative_to(ROOT) for path in (ROOT / "scripts").rglob("*.py")}
    found = {".".join(short.with_suffix("").parts): path for path, short in (package | scripts).items()}
    return {name.removesuffix(".__init__"): path for name, path in found.items() if name != "__init__"}


FILES = files()


def imported(module: str) -> set[str]:
    """Every name that a file imports, inside functions too: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`."""
    tree = ast.parse(FILES[module].read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_modules(names: set[str]) -> set[str]:
    """The modules of ours among imported names, as dotted names below rnnjax."""
    short = {name.removeprefix("rnnjax.") for name in names if name.startswith("rnnjax.")}
    return {next((one for one in (name, name.rpartition(".")[0]) if one in FILES), "") for name in short} - {""}


GRAPH = {module: own_modules(imported(module)) for module in FILES}


def package(module: str) -> str:
    """The package of a module; the modules beside the packages are the root."""
    first = module.partition(".")[0]
    return first if first in LAYERS else "root"


def test_every_module_is_in_a_package_or_at_the_root() -> None:
    at_the_root = {module for module in FILES if package(module) == "root"}
    assert at_the_root == {"types", "errors", "devices", *SETTINGS}
    assert {package(module) for module in FILES} == set(LAYERS)


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down(module: str) -> None:
    for other in GRAPH[module]:
        pair = package(module), package(other)
        assert pair not in FORBIDDEN, f"{module} imports {other}"
        assert LAYERS.index(pair[1]) <= LAYERS.index(pair[0]), f"{module} imports {other}, which is not below it"


def test_there_is_no_circle_of_files() -> None:
    assert len(list(TopologicalSorter(GRAPH).static_order())) == len(FILES)


@pytest.mark.parametrize("module", [module for module in FILES if package(module) in PURE])
def test_a_pure_package_has_no_effects(module: str) -> None:
    """No files, clocks, prints or global random state."""
    assert not {name.partition(".")[0] for name in imported(module)} & EFFECTS
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        assert name not in ("print", "open", "input"), f"line {node.lineno}: {name}"
        assert not name.startswith("np.random.") or name.partition("(")[0] in RANDOM, f"line {node.lineno}: {name}"


@pytest.mark.slow
@pytest.mark.parametrize("package_name", WITHOUT_JAX)
def test_a_package_loads_no_jax(package_name: str) -> None:
    """In a process of its own: every module of the package, and whatever these import."""
    modules = [f"rnnjax.{module}" for module in FILES if package(module) == package_name]
    code = f"import sys, importlib; [importlib.import_module(m) for m in {modules}]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"jax", "flax", "optax", "orbax", "tensorboardX"} & set(loaded)


def test_a_package_says_where_to_begin_reading() -> None:
    for name in (*LAYERS[1:-1], "benchmarks"):
        path = ROOT / ("scripts/benchmarks" if name == "benchmarks" else f"rnnjax/{name}") / "__init__.py"
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert name == "benchmarks" or ("May import:" in docstring and "Begin reading:" in docstring), name


def test_the_top_level_has_few_rooms() -> None:
    entries = [path for path in (ROOT / "rnnjax").iterdir() if path.name not in ("__pycache__", "py.typed")]
    assert len(entries) <= 18
