"""Sources of the API reference: a page for every package, a section for every module, filled by autodoc."""

import ast
from pathlib import Path

import rnnjax

PACKAGE = Path(rnnjax.__path__[0])
HIDDEN = {("api",), ("cli",)}  # the names of `api` are those of `rnnjax`; the commands are described in docs/cli.md


def write_pages(folder: Path) -> None:
    """Bring `folder` up to date: one page for each package, and `index.rst`. A page that is right stays untouched."""
    packages = list_packages()
    pages = {"index": index_page(packages)} | {package: package_page(package) for package in packages}
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def list_packages() -> list[str]:
    """The names of the packages, `rnnjax` first."""
    folders = sorted(path.parent.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("__init__.py"))
    return [".".join(folder.parts) for folder in folders if folder.parts[1:2] not in HIDDEN]


def list_modules(package: str) -> list[str]:
    """The public modules of a package, without its sub-packages."""
    folder = source_file(package).parent
    return sorted(f"{package}.{path.stem}" for path in folder.glob("*.py") if not path.stem.startswith("_"))


def list_members(module: str) -> list[str]:
    """The public functions and classes that a module defines."""
    body = ast.parse(source_file(module).read_text()).body
    names = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [name for name in names if not name.startswith("_")]


def source_file(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def index_page(packages: list[str]) -> str:
    return heading("API reference", "=") + INDEX + "".join(f"   {package}\n" for package in packages)


def package_page(package: str) -> str:
    """The package itself, then its modules in alphabetic order."""
    parts = [heading(package, "="), automodule(package)]
    for module in list_modules(package):
        parts += [heading(module.removeprefix("rnnjax."), "-"), automodule(module)]
    return "\n".join(parts)


def heading(title: str, mark: str) -> str:
    return f"{title}\n{mark * len(title)}\n\n"


def automodule(name: str) -> str:
    """The directive; members are named, as autodoc would load all that a module imports."""
    members = list_members(name)
    option = f":members: {', '.join(members)}" if members else ":no-members:"
    return public_names() if name == "rnnjax" else f".. automodule:: {name}\n   {option}\n"


def public_names() -> str:
    """`rnnjax.__all__`: functions and classes, then the registries, without their content."""
    registries = [f".. autodata:: rnnjax.{name}\n   :no-value:\n" for name in rnnjax.__all__ if name.isupper()]
    return "\n".join([".. automodule:: rnnjax\n   :members:\n", *registries])


INDEX = """\
Every public name by package, from the docstrings. Names that end with axis letters, such as ``loss_nS``, follow the
legend of :py:mod:`rnnjax.types`.

.. toctree::
   :maxdepth: 1

"""
