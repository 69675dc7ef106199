"""Sphinx: docs/ and the reports of results/ as one site, with an API reference from the docstrings.

    python -m sphinx -W -c docs/site . build/site

The source folder is the root of the repository, so a relative link is the same here and on a page of GitHub.
"""

import os
import sys
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import api_pages  # noqa: E402
import docstrings  # noqa: E402
import navigation  # noqa: E402

import rnnjax  # noqa: E402

project, author, release = "rnnjax", "The rnnjax developers", rnnjax.__version__
copyright = author

extensions = ["myst_nb", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/api/*.rst", "docs/examples/*.ipynb", "findings/*.md", "results/**.md"]
exclude_patterns = [
    path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in {"docs", "findings", "results"}
]

myst_heading_anchors = 6
nb_execution_mode = "off"  # a test runs the notebooks
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_use_type_comments = False  # there are none, and every source would be parsed for them
smartquotes = False  # h' is no quotation
maximum_signature_line_length = 88
toc_object_entries = False  # with some 2,000 names in them the tables of contents take a quarter of the build

html_theme = "furo"
html_title = f"rnnjax {release}"
html_static_path, html_css_files = ["static"], ["tables.css"]
html_extra_path = ["redirect"]  # index.html, on to docs/index.html
html_copy_source = False
html_show_sphinx = False
html_use_index = html_domain_indices = False  # the search finds names


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", lambda app: api_pages.write_pages(ROOT / "docs" / "api"))
    app.connect("env-get-outdated", lambda *_: navigation.parents())
    app.connect("source-read", navigation.adapt_page)
    app.connect("doctree-read", search_exactly)
    app.connect("autodoc-process-docstring", docstrings.process)
    app.connect("autodoc-process-signature", docstrings.shorten_signature)
    app.connect("autodoc-skip-member", docstrings.skip_field)


def search_exactly(app: Sphinx, doctree: nodes.document) -> None:
    """Look the types of signatures up by their full names; a search of all names takes a tenth of the build."""
    for reference in doctree.findall(pending_xref):
        if reference.get("refspecific") is False:
            del reference["refspecific"]
