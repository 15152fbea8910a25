"""The report as HTML: one file with its style, figures and script inside; nothing is fetched when it opens."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence.core.errors import WhenceError
from whence.report import document, text
from whence.report.finding import Finding

if TYPE_CHECKING:
    from jinja2 import Environment

ENDINGS = (".html", ".htm")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def render(finding: Finding) -> str:
    """The whole page. The same finding gives the same text."""
    return filled("report.html", document.page(finding))


def fragment(finding: Finding) -> str:
    """A compact card for notebooks: the answer, its numbers and the checks; its style touches nothing else."""
    return filled("fragment.html", document.page(finding))


def write(finding: Finding, path: str | Path) -> Path:
    """Write the page to ``path`` and return it. Missing folders are made; the file appears whole or not at all.

    Raises ``WhenceError``: ``bad_format`` for an ending other than ``.html``, ``cannot_write`` when the place
    does not take a file.
    """
    path = checked_path(path)
    return save(render(finding), path)


def checked_path(path: str | Path) -> Path:
    """A path whose ending says HTML. Raises ``WhenceError`` (``bad_format``)."""
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise WhenceError(
            f"A report cannot be written as {path.suffix or path.name!r}.", code="bad_format", value=str(path),
            allowed=ENDINGS, hint="Give a path that ends in .html; a browser prints it to PDF.",
        )
    return path


def save(page: str, path: Path) -> Path:
    """A page in its file. Raises ``WhenceError`` (``cannot_write``)."""
    content = page.encode("utf-8", "replace")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise WhenceError(
            f"The report cannot be written to {str(path)!r}: {error.strerror or error}.", code="cannot_write",
            value=str(path), hint="Choose another place.",
        ) from None
    return path


def _replace(path: Path, content: bytes) -> None:
    """Write beside the target and move into place, so that no reader ever sees half a file."""
    if path.is_dir():
        raise IsADirectoryError(21, "it is a folder")
    scratch = path.with_name(f".{path.stem[:40]}-{uuid.uuid4().hex[:12]}.part")
    try:
        with open(scratch, "xb") as file:
            file.write(content)
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A template of this package with its values; control characters that no page may hold are replaced."""
    made = _environment().get_template(template).render(values)
    return _CONTROL.sub("\ufffd", made)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def drawing(svg: Any) -> Markup:
        # Drawings are made by our own writers, which escape every name they print.
        return Markup(svg)

    made = Environment(
        loader=PackageLoader("whence.report"), autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )
    made.filters.update(said=text.html, drawing=drawing, typeset=text.typeset)
    return made
