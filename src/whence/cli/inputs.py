"""From words on the command line to values: files, ``NAME=VALUE`` pairs, lists of columns."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence.core.errors import WhenceError

if TYPE_CHECKING:
    from whence.data.table import Table
    from whence.graphs.graph import Graph
    from whence.graphs.knowledge import Knowledge
    from whence.identification.spec import Spec


def read_data(path: str, kinds: Sequence[str] = (), missing: Sequence[str] = ()) -> Table:
    """The table at ``path``."""
    from whence.data.load import read

    return read(path, kinds=pairs(kinds, "--kinds", "stage=ordinal"), missing=missing)


def pairs(words: Sequence[str], option: str, example: str) -> dict[str, str]:
    """``("a=b", ...)`` as a dict. Raises ``WhenceError`` (``bad_option``) for a word that is no pair."""
    out = {}
    for word in words:
        # The last "=" parts them: a column's name may hold one, a kind or a value seldom does.
        name, sign, value = word.rpartition("=")
        if not sign or not name:
            raise WhenceError(
                f"{option} takes NAME=VALUE, not {word!r}.", code="bad_option", value=word,
                hint=f"For example: {option} {example}. Arguments without a name go before {option}.",
            )
        out[name] = value
    return out


def columns(text: str | None) -> list[str]:
    """``"a, b"`` as a list of names. A JSON list is taken too, for names that hold a comma."""
    if text is None:
        return []
    if text.lstrip().startswith("["):
        named = parse_json(text, "The list of columns")
        if isinstance(named, list) and all(isinstance(n, str) for n in named):
            return named
        raise WhenceError("A JSON list of columns must hold strings.", code="bad_option", value=text)
    return [name.strip() for name in text.split(",") if name.strip()]


def text_file(path: str, what: str) -> str:
    """The text of a file. Raises ``WhenceError`` (``no_file`` or ``not_text``), naming ``what`` it should hold."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WhenceError(
            f"{what} {path!r} is not UTF-8 text (byte {error.start}).", code="not_text", value=path,
            hint="Save it as UTF-8.",
        ) from None
    except (OSError, ValueError) as error:
        raise WhenceError(
            f"{what} {path!r} cannot be read: {reason(error)}.", code="no_file", value=path,
            hint="Check the path.",
        ) from None


def reason(error: Exception) -> str:
    """Why a file operation failed, without errno and path."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def parse_json(text: str, what: str) -> Any:
    """JSON text as values. Raises ``WhenceError`` (``bad_json``) with the place."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise WhenceError(
            f"{what} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            code="bad_json", value=text[max(0, error.pos - 20) : error.pos + 20],
        ) from None


def read_spec(path: str) -> Spec:
    """The spec in a JSON file, or in JSON text given in its place."""
    from whence.identification.spec import Spec

    return Spec.from_json(path if path.lstrip().startswith("{") else text_file(path, "The spec file"))


def read_knowledge(path: str | None) -> Knowledge | None:
    """The background knowledge in a file: JSON when it begins with a brace, else lines of words."""
    if path is None:
        return None
    from whence.graphs.knowledge import Knowledge

    text = text_file(path, "The knowledge file")
    if not text.lstrip().startswith(("{", "[")):
        return Knowledge.from_text(text)
    given = parse_json(text, f"The knowledge file {path!r}")
    if not isinstance(given, dict):
        raise WhenceError(
            f"The knowledge file {path!r} must hold a JSON object.", code="bad_knowledge", value=type(given).__name__,
            hint='For example {"tiers": [["age"], ["dose"], ["recovery"]], "forbidden": [["dose", "age"]]}.',
        )
    return Knowledge.from_dict(given)


def read_graph(given: str) -> Graph:
    """A graph from a file, or from text given in its place."""
    from whence.graphs.build import graph

    return graph(file_or_text(given, "The graph file", marks="->{;\n"))


def graph_or_learn(given: str | None) -> Graph | str | None:
    """``read_graph``, except for the word ``learn`` and for nothing, which stay."""
    return given if given in (None, "learn") else read_graph(given)


def file_or_text(given: str, what: str, marks: str) -> str:
    """The text of the file ``given``; ``given`` itself when it is no file and holds a character of ``marks``,
    which a path hardly does."""
    try:
        is_file = Path(given).is_file()
    except (OSError, ValueError):  # too long for a path
        is_file = False
    if not is_file and any(mark in given for mark in marks):
        return given
    return text_file(given, what)


def check_targets(*paths: str | None, report: str | None = None) -> None:
    """Complain about files that cannot be written before the work, not after it; ``report`` must be HTML.

    Raises ``WhenceError`` (``cannot_write`` or ``bad_format``).
    """
    for path in (*paths, report):
        if path is not None:
            _check_target(Path(path), path)
    if report is not None:
        from whence.report.html import ENDINGS

        if not report.lower().endswith(ENDINGS):
            raise WhenceError(
                f"A report cannot be written as {Path(report).name!r}.", code="bad_format", value=report,
                allowed=ENDINGS, hint="Give a path that ends in .html; a browser prints it to PDF.",
            )


def _check_target(path: Path, given: str) -> None:
    try:
        if not given or path.is_dir():
            raise IsADirectoryError("it is a folder")
        nearest = next(p for p in path.absolute().parents if p.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(f"{str(nearest)!r} is not a folder")
        if not os.access(nearest, os.W_OK):
            raise PermissionError(f"no permission to write to {str(nearest)!r}")
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise cannot_write(given, error) from None


def write_text(path: str, text: str) -> None:
    """Write a file and the folders it lies in. Raises ``WhenceError`` (``cannot_write``)."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from None


def cannot_write(path: str, error: Exception) -> WhenceError:
    """The error for a place that does not take a file."""
    return WhenceError(
        f"{path!r} cannot be written: {reason(error)}.", code="cannot_write", value=path,
        hint="Choose a folder that you may write to.",
    )


def parameters(words: Sequence[str], task: str, method: str) -> dict[str, Any]:
    """``NAME=VALUE`` pairs with each value in the type that the method's card declares.

    With ``method="auto"`` the type is that of the first card of the task with such a parameter.
    """
    from whence.core.registry import find_card, methods

    given = {k: v for word in words for k, v in pairs([word], "--param", "folds=10").items()}
    cards = methods(task) if method == "auto" else [find_card(task, method)]
    kinds = {p.name: p.kind for card in reversed(cards) for p in card.parameters}
    if task == "estimation":  # those of the errors, which every estimator takes
        from whence.estimation.dependence import SHARED

        kinds = {p.name: p.kind for p in SHARED} | kinds
    return {name: _typed(value, kinds.get(name, "str")) for name, value in given.items()}


def _typed(value: str, kind: str) -> Any:
    """``value`` as declared where it can be; what cannot is left as text and the card refuses it in words."""
    if value.lower() in ("none", "null"):
        return None
    if kind == "bool":
        return {"true": True, "yes": True, "false": False, "no": False}.get(value.lower(), value)
    if kind in ("int", "float"):
        try:
            return int(value) if kind == "int" else float(value)
        except ValueError:
            return value
    return value
