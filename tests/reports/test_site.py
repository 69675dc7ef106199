"""The lab as a site, read as a browser would: addresses, names, policies and labels, without running anything."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from finished import finish

from rnnjax.errors import BadInput, DamagedState, FolderRefused, StorageFailed
from rnnjax.reports.ledger import read_entries
from rnnjax.reports.site import write_site
from rnnjax.storage.sealed import SEAL

PAGES = ("index.html", "grid/index.html", "second/index.html")
FORM = {"select", "input", "button", "textarea"}


class Elements(HTMLParser):
    """Every element of a page with its attributes, its text, and the labels that it stands in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.labelled: set[int] = set()
        self.open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")
        if any(self.found[i][0] == "label" for i in self.open):
            self.labelled.add(len(self.found) - 1)
        if tag not in ("meta", "link", "input", "br"):
            self.open.append(len(self.found) - 1)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.found[self.open.pop()][0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for i in self.open:
            self.texts[i] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies; the second is the first under another name."""
    root = tmp_path_factory.mktemp("site")
    shutil.copytree(finish(root / "results" / "grid"), root / "results" / "second")
    write_site(root / "lab", read_entries([root / "results" / "grid", root / "results" / "second"]))
    return root / "lab"


@pytest.fixture(params=PAGES)
def path(request: pytest.FixtureRequest, site: Path) -> Path:
    return site / str(request.param)


def elements(path: Path) -> Elements:
    return Elements(path.read_text())


def test_the_files_are_those_promised_and_plotly_is_there_once(site: Path) -> None:
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    tables = {
        f"{study}/tables/{name}.csv" for study in ("grid", "second") for name in ("baseline", "metrics", "table-1")
    }
    assert files == {*PAGES, *tables, "plotly.min.js"}
    assert all(len((site / page).read_text()) < 150_000 for page in PAGES)


def test_every_address_resolves_and_none_leads_outside(site: Path, path: Path) -> None:
    page = elements(path)
    addresses = [a[name] for _, a in page.found for name in ("href", "src") if name in a and a[name] != "data:,"]
    assert len(addresses) > 3
    for address in addresses:
        file, place = urldefrag(address)
        target = (path.parent / unquote(file)).resolve() if file else path
        assert target.is_file() and target.is_relative_to(site), address
        assert not place or place in {a.get("id") for _, a in elements(target).found}, address
    assert not re.search(r"https?://|//[a-z]", re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.S))


def test_names_are_unique_and_what_refers_to_one_finds_it(path: Path) -> None:
    page = elements(path)
    names = [a["id"] for _, a in page.found if "id" in a]
    assert len(names) == len(set(names))
    for _, attributes in page.found:
        for referring in ("aria-labelledby", "for", "aria-describedby"):
            assert set(attributes.get(referring, "").split()) <= set(names)


def test_the_policy_lets_exactly_our_scripts_run(path: Path) -> None:
    page = elements(path)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    inline = [
        text
        for (tag, a), text in zip(page.found, page.texts, strict=True)
        if tag == "script" and not {"src", "type"} & a.keys()
    ]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inline]
    shared = ["'self'"] if path.parent.name in ("grid", "second") else []
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"].split() == shared + hashes and hashes
    assert rules.keys() == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    assert not [name for _, a in page.found for name in a if name.startswith("on")], "no inline handlers"


def test_every_control_has_a_name_and_every_table_its_heads(path: Path) -> None:
    page = elements(path)
    for i, ((tag, attributes), text) in enumerate(zip(page.found, page.texts, strict=True)):
        if tag == "button":
            assert attributes["type"] == "button" and text.strip()
        elif tag in FORM:
            assert i in page.labelled
        elif tag == "th":
            assert attributes["scope"] in ("col", "row")
    assert page.all("html")[0]["lang"] == "en" and len(page.all("h1")) == len(page.all("main")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert {"name": "color-scheme", "content": "light dark"} in page.all("meta")


def test_the_ledger_shows_every_statement_with_all_that_is_known(site: Path) -> None:
    page = elements(site / "index.html")
    rows = [text for (tag, a), text in zip(page.found, page.texts, strict=True) if tag == "tr" and "data-verdict" in a]
    assert len(rows) == 4
    for part in ("✓ confirmed", "64 tanh units", "grid/low", "0.9", "a.txt", "0.572", "[0.564, 0.585]", "n 12"):
        assert part in " ".join(rows[0].split()), part
    assert "refuted" in rows[1] and "no figure" in rows[1]
    links = [a["href"] for a in page.all("a")]
    assert {"grid/index.html#statement-2", "second/index.html#statement-1", "second/index.html"} <= set(links)
    assert any(" ".join(text.split()).startswith("4 statements from 2 documents, 2 studies") for text in page.texts)


def test_without_scripts_nothing_is_hidden_but_what_needs_them(path: Path) -> None:
    hidden = [attributes["class"] for _, attributes in elements(path).found if "hidden" in attributes]
    assert hidden == (["filters"] if path.parent.name == "lab" else ["predict", "controls choose"])


def test_a_contradiction_links_to_statements_of_any_study(site: Path) -> None:
    """A statement of this page first, else one of another."""
    assert '<a href="#statement-1"><code>grid/low</code></a>' in (site / "grid" / "index.html").read_text()
    from rnnjax.reports.document_json import read_report
    from rnnjax.reports.render import to_html

    page = read_report(site.parent / "results" / "grid")
    assert '<a href="../b/index.html#statement-7">' in to_html(page, {"elsewhere/x": "../b/index.html#statement-7"})


def test_a_study_without_its_page_or_with_anothers_is_refused(tmp_path: Path) -> None:
    folder = finish(tmp_path / "grid")
    page = json.loads((folder / "page.json").read_text().replace('"verdict":"refuted"', '"verdict":"unresolved"'))
    (folder / "page.json").write_text(json.dumps({name: value for name, value in page.items() if name != SEAL}))
    with pytest.raises(DamagedState, match="are not of the same run"):
        write_site(tmp_path / "lab", read_entries([folder]))
    (folder / "page.json").unlink()
    with pytest.raises(BadInput, match="grid: has no page.json, which this version writes"):
        write_site(tmp_path / "lab", read_entries([folder]))
    assert not (tmp_path / "lab").exists()


def test_a_place_that_cannot_be_written_is_named(site: Path, tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("")
    with pytest.raises(StorageFailed, match="lab"):
        write_site(tmp_path / "lab", read_entries([site.parent / "results" / "grid"]))


def test_a_page_of_the_user_is_not_overwritten(tmp_path: Path) -> None:
    entries = read_entries([finish(tmp_path / "grid")])
    for page in ("index.html", "grid/index.html"):
        out = tmp_path / page.replace("/", "-")
        (out / page).parent.mkdir(parents=True)
        (out / page).write_text("<p>mine</p>")
        with pytest.raises(FolderRefused, match=f"{page} is not a page of rnnjax; expected a new folder"):
            write_site(out, entries)
        assert (out / page).read_text() == "<p>mine</p>"
        assert [path.name for path in out.rglob("*") if path.is_file()] == ["index.html"]
    with pytest.raises(FolderRefused, match="grid is a run folder; expected a new folder"):
        write_site(tmp_path / "grid", entries)
    write_site(tmp_path / "lab", entries)
    write_site(tmp_path / "lab", entries)


@pytest.mark.parametrize("name", ["javascript:alert(1)", "<img src=x>", "a b"])
def test_a_folder_whose_name_is_no_address_is_refused(name: str, tmp_path: Path) -> None:
    folder = finish(tmp_path / "grid").rename(tmp_path / name)
    with pytest.raises(BadInput, match="run name must match"):
        read_entries([folder])
