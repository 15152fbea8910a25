"""A finding: everything a study learned, as data. The report renders it; nothing else supplies a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whence.core.result import Refused, Remark, fields_to_plain

if TYPE_CHECKING:
    from pathlib import Path

    from whence.checks.check import Check
    from whence.data.profile import Profile
    from whence.discovery.discovery import Discovery
    from whence.estimation.effect import Effect
    from whence.graphs.graph import Graph
    from whence.identification.identify import Identified, NotIdentified
    from whence.identification.spec import Spec


@dataclass(frozen=True)
class Finding:
    """The outcome of a study.

    question, about: the user's words, or None. source: the data's name. spec: what was estimated.
    choices: why each role was chosen, one remark each. identified: the estimand or why there is none.
    effect: the main answer, or None with ``refused``. alternatives: the same contrast by other methods,
    the unadjusted difference first. graph: the causal graph used, given or learned. script: Python that
    gives the same numbers.
    """

    question: str | None
    about: str | None
    source: str
    spec: Spec | None
    profile: Profile | None = None
    choices: tuple[Remark, ...] = ()
    graph: Graph | None = None
    discovery: Discovery | None = None
    identified: Identified | NotIdentified | None = None
    effect: Effect | None = None
    alternatives: tuple[Effect, ...] = ()
    refused: Refused | None = None
    checks: tuple[Check, ...] = ()
    warnings: tuple[Remark, ...] = ()
    script: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def report(self, path: str | Path) -> Path:
        """Write the report to ``path`` (``.html``) and return it.

        Raises ``WhenceError`` (``bad_format``) for another ending.
        """
        from whence.report.html import write

        return write(self, path)

    def _repr_html_(self) -> str:
        from whence.report.html import fragment

        return fragment(self)
