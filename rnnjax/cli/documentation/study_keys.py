"""The reference tables in docs/studies.md: every table and key of a study file, from `config.schema`."""

from dataclasses import MISSING, Field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rnnjax.cli.documentation.markdown import code, first_line, table
from rnnjax.config import schema
from rnnjax.config.descriptions import field_descriptions
from rnnjax.config.fields import toml_value

KEYS_BEGIN, KEYS_END = "<!-- keys -->", "<!-- end of keys -->"
TABLES = {  # as a study file writes them -> the dataclass with their keys
    "top level": schema.StudyFile,
    "[[claims]]": schema.Claim,
    "[[claims.criteria]]": schema.Criterion,
    "[[questions]]": schema.QuestionSpec,
    "[[figures]]": schema.FigureSpec,
    "[[tables]]": schema.TableSpec,
    "[[advice]]": schema.AdviceSpec,
    "[[contradictions]]": schema.ContradictionSpec,
    "[conventions]": schema.ConventionComparison,
    "[[conventions.numbers]]": schema.ReferenceValue,
    "[explorer]": schema.ExplorerSpec,
    "[initial_statistics]": schema.InitialStatistics,
}


COMMON = {  # descriptions of keys that several tables share
    "text": "the sentence that the report shows",
    "title": "title",
    "metric": "the metric ([metrics.md](metrics.md))",
    "metrics": "the metrics ([metrics.md](metrics.md))",
    "arms": "patterns of arm names",
    "best": "the better extreme",
    "unit": "unit; default that of the metric",
}


def study_keys() -> str:
    """One section per table of a study file."""
    return "\n" + "\n\n".join(key_section(name, owner) for name, owner in TABLES.items()) + "\n\n"


def key_section(name: str, owner: Any) -> str:
    rows = [[code(key.name), default_value(key), describe_key(owner, key)] for key in fields(owner)]
    title = name.capitalize() if " " in name else code(name)
    return f"### {title}\n\n{first_line(owner)}\n\n{table(['key', 'default', 'meaning'], rows)}"


def describe_key(owner: Any, key: Field[Any]) -> str:
    """The meaning of a key, after its values where only some are allowed."""
    hint = get_type_hints(owner, include_extras=True)[key.name]
    choices = ", ".join(map(code, get_args(hint))) + ": " if get_origin(hint) is Literal else ""
    return choices + (field_descriptions(owner)[key.name] or describe_common(key))


def describe_common(key: Field[Any]) -> str:
    """The description of a key without a comment: one that several tables share, or one that is a table itself."""
    if key.name in COMMON:
        return COMMON[key.name]
    name = next(name for name in TABLES if name.strip("[]").rpartition(".")[2] == key.name)
    return f"table `{name}`"


def default_value(key: Field[Any]) -> str:
    """The default as TOML writes it; "required" for none."""
    if key.default_factory is not MISSING:
        return code('["*"]') if key.default_factory() == ["*"] else ""
    if key.default is MISSING:
        return "required"
    return code(toml_value(key.default)) if key.default not in (None, "") else ""
