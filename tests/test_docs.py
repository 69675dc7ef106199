"""The pages of docs/ against the code that they describe."""

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from rnnjax.analysis.rules import RULES
from rnnjax.cli.documentation import PAGES
from rnnjax.cli.documentation.faults_table import FAULTS_BEGIN, FAULTS_END, faults_table
from rnnjax.cli.documentation.registries import registry_names_json
from rnnjax.cli.documentation.study_keys import KEYS_BEGIN, KEYS_END, TABLES, study_keys
from rnnjax.cli.documentation.study_table import STUDIES_BEGIN, STUDIES_END, study_table
from rnnjax.config.descriptions import field_descriptions
from rnnjax.config.fields import FIELDS
from rnnjax.config.load import load_study
from rnnjax.config.schema import StudyFile
from rnnjax.networks.cells import CELLS
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.reports.ledger import read_entries
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.registry_names import REGISTRY_NAMES
from rnnjax.studies.validation import check_names, setting_tables
from rnnjax.tasks import TASKS
from rnnjax.tasks.windows import cut_windows
from rnnjax.training import parallel
from rnnjax.training.optimizers import OPTIMIZERS
from rnnjax.training.schedules import SCHEDULES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *DOCS.glob("*.md")]}
GUIDES = {name: (ROOT / name).read_text() for name in ("CONTRIBUTING.md", "CHANGELOG.md", "findings/README.md")}
WRITTEN_LATER = {"results/bench/gpu.json"}  # by a command, on a machine that has a GPU
ENTRIES = ("soft", "delay_line", "lion", "inverse_root", "larger_digit")  # of docs/extending.md
LINK = re.compile(r"\]\(([^)\s]+)\)")


def between(text: str, begin: str, end: str) -> str:
    return text.split(begin + "\n")[1].split(end)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_that_of_the_code(name: str) -> None:
    """`python scripts/docs.py` writes it."""
    assert (DOCS / name).read_text() == PAGES[name]()


@pytest.mark.slow
def test_the_names_of_the_registries_are_those_of_the_code() -> None:
    """`python scripts/docs.py` writes them."""
    assert REGISTRY_NAMES.read_text() == registry_names_json()


def test_the_keys_of_a_study_file_are_those_of_the_code() -> None:
    assert between(TEXTS["docs/studies.md"], KEYS_BEGIN, KEYS_END) == study_keys()


def test_the_table_of_promises_has_the_figures_of_the_results() -> None:
    expected = faults_table(ROOT / "results" / "faults.json")
    assert between(TEXTS["docs/promises.md"], FAULTS_BEGIN, FAULTS_END) == expected


def test_the_table_of_studies_has_the_verdicts_of_the_results() -> None:
    entries = read_entries(sorted((ROOT / "results").iterdir()))
    assert between(TEXTS["README.md"], STUDIES_BEGIN, STUDIES_END) == study_table(entries)


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall(TEXTS["README.md"])}
    assert {name for name in TEXTS if name.startswith("docs/")} <= linked


@pytest.mark.parametrize("name", TEXTS | GUIDES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    for target in LINK.findall((ROOT / name).read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS | GUIDES)
def test_every_path_named_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    folders = re.findall(r"(?<![\w/.])(?:scripts|configs|results|tests|docs|rnnjax)/[\w./-]*\w", text)
    modules = re.findall(r"`((?:\w+/)+\w+\.py)`", text)
    places = (ROOT, ROOT / "rnnjax")
    missing = {path for path in [*folders, *modules] if not any((place / path).exists() for place in places)}
    assert missing <= WRITTEN_LATER


@pytest.mark.parametrize("name", TEXTS)
def test_every_example_of_a_study_is_one(name: str, tmp_path: Path) -> None:
    for example in re.findall(r"```toml\n(.*?)```", TEXTS[name], re.DOTALL):
        if "question" in example:
            path = tmp_path / "example.toml"
            path.write_text(example)
            study = load_study(path)
            check_names(study)
            assert study.file.claims[0].criteria[0].rule in RULES


def test_the_cell_of_the_guide_is_one() -> None:
    example = re.search(r"```python\n(.*?)```", TEXTS["docs/extending.md"], re.DOTALL)
    assert example
    try:
        exec(example[1], {})
        cell = CELLS["soft"](Spec(cell="soft", hidden=4, inputs=3, outputs=3), HParams())
        assert cell.carry().shape == (4,)
    finally:
        CELLS.pop("soft", None)


@pytest.mark.slow
def test_the_entries_of_the_guide_learn_together() -> None:
    """Lion in 300 steps, from a delay line, on the larger of two digits: far below the loss of guessing."""
    known: dict[str, Any] = {}
    try:
        for example in re.findall(r"```python\n(.*?)```", TEXTS["docs/extending.md"], re.DOTALL):
            exec(example, known)
        task = TASKS["larger_digit"](TaskSpec(), None)
        spec = Spec(
            hidden=32, inputs=10, outputs=10, window=8, batch=8, block=2,
            recurrent_initializer="delay_line", optimizer="lion", schedule="inverse_root",
        )  # fmt: skip
        runs = [parallel.Run(0, spec, HParams(learning_rate=0.003, seed=seed)) for seed in (0, 1)]
        program = parallel.compile_program(runs, cut_windows(task.make_sequence(task.train_N), 8, 8), rows=12)
        _, record = program.advance(program.blocks.scatter(parallel.init_states(runs)), 300)
        assert (record.loss[:, 0] > 2).all() and (record.loss[:, -1] < 1.5).all()
    finally:
        for table, name in zip((CELLS, INITIALIZERS, OPTIMIZERS, SCHEDULES, TASKS), ENTRIES, strict=True):
            table.pop(name, None)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TEXTS)
def test_the_imports_of_every_python_example_exist(name: str) -> None:
    for example in re.findall(r"```python\n(.*?)```", TEXTS[name], re.DOTALL):
        compile(example, name, "exec")
        exec("\n".join(re.findall(r"^(?:from|import) .*$", example, re.MULTILINE)), {})


def test_every_term_of_the_glossary_is_used() -> None:
    """In another page, or in the text of the package."""
    terms = re.findall(r"^\| ([^|]+) \| (?!---|meaning)", TEXTS["docs/glossary.md"], re.MULTILINE)
    pages = "".join(text for name, text in TEXTS.items() if name != "docs/glossary.md")
    words = (pages + "".join(path.read_text() for path in (ROOT / "rnnjax").rglob("*.py"))).lower()
    assert len(terms) > 40 and {term for term in terms if term.lower() not in words} == set()


@pytest.mark.parametrize("owner", [Spec, HParams, TaskSpec])
def test_every_setting_has_a_description(owner: type) -> None:
    described = field_descriptions(owner)
    names = {name.removeprefix("task.") for name in FIELDS} & set(get_type_hints(owner))
    assert {name for name in names if not described[name]} == set()


def test_every_table_of_a_study_file_has_its_keys() -> None:
    known = {name.strip("[]").rpartition(".")[2] for name in TABLES}
    tables = {name for name, hint in get_type_hints(StudyFile).items() if "rnnjax.config.schema" in str(hint)}
    assert tables <= known


def test_every_choice_of_a_setting_is_listed() -> None:
    for field, table in {**setting_tables(), "task.name": TASKS}.items():
        line = re.search(rf"^\| `{field}` \| (.*) \|$", TEXTS["docs/settings.md"], re.MULTILINE)
        assert line and set(table) <= set(re.findall(r"\w+", line[1]))


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 200


def test_no_page_uses_a_replaced_name() -> None:
    """The changelog alone lists them."""
    names = re.findall(r"^\| `(\w+)` \| `\w+` \|$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    old = {name for name in names if "_" in name}
    assert "own_share" in old
    assert {(name, word) for name, text in TEXTS.items() for word in old & set(re.findall(r"\w+", text))} == set()


def test_the_changelog_has_the_new_names() -> None:
    log = (ROOT / "CHANGELOG.md").read_text().partition("### Renamed settings")[2].partition("### ")[0]
    renamed = re.findall(r"^\| `[\w.]+`.*?\| `([\w.]+)`", log, re.MULTILINE)
    assert len(renamed) == 13 and set(renamed) <= set(FIELDS)
