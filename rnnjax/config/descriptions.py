"""One-line descriptions of fields: the comments behind the fields of a class, read from its source."""

import ast
import inspect
import io
import tokenize
from functools import cache
from textwrap import dedent


@cache
def field_descriptions(owner: type) -> dict[str, str]:
    """Field name -> its comment: behind the field, or on the lines directly above it; "" for none."""
    annotated = next(kind for kind in owner.__mro__ if inspect.get_annotations(kind))
    source = dedent(inspect.getsource(annotated))
    comments = read_comments(source)
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    fields = [node for node in body.body if isinstance(node, ast.AnnAssign)]
    return {ast.unparse(node.target): describe_field(node, comments) for node in fields}


def read_comments(source: str) -> dict[int, tuple[str, bool]]:
    """Line -> the text of its comment, and whether the line holds nothing else."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: (token.string.lstrip("# "), not token.line[: token.start[1]].strip())
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def describe_field(node: ast.AnnAssign, comments: dict[int, tuple[str, bool]]) -> str:
    """The comments above a field and behind it, joined."""
    first, last = node.lineno, node.end_lineno or node.lineno
    while comments.get(first - 1, ("", False))[1]:
        first -= 1
    return " ".join(comments[line][0] for line in range(first, last + 1) if line in comments)
