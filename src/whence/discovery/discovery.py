"""``discover``: a causal graph from data, with the evidence of every edge."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.executor import one_blas_thread
from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card, load_function
from whence.core.result import Provenance, Refused, Remark, fields_to_plain, versions
from whence.data.table import Table
from whence.discovery.columns import Columns, Prepared, columns_of, prepare
from whence.discovery.evidence import PairTable, TripleEvidence
from whence.discovery.learned import EdgeScore, EdgeScores, Learned
from whence.discovery.scored import Scored, scored
from whence.discovery.stability import Stability, bootstrap
from whence.discovery.targets import under_interventions
from whence.graphs.classes import CPDAG, MPDAG, PAG
from whence.graphs.graph import Graph
from whence.graphs.knowledge import Knowledge

if TYPE_CHECKING:
    from whence.discovery.alpha_path import AlphaPath

DEFAULT = "pc"
_SHOWN = 20  # edges whose levels are listed
_ROWS = 200  # edges whose evidence is listed


@dataclass(frozen=True, eq=False)
class Discovery:
    """A learned graph and why it looks so.

    graph: a CPDAG, with knowledge an MPDAG, or a PAG where unmeasured causes are allowed. method: name of its card.
    evidence: a sequence of ``EdgeEvidence``, one per pair of nodes in name order, or for a score of ``EdgeScore``, one
    per edge. triples: the verdict on each possible collider, from tests. stability: per edge the share of bootstrap
    samples that have it, when asked for. warnings: what was left out, what could not be tested, where the tests
    contradicted each other. table: rows and columns used. score: of the graph, and details: what else the method
    tells, where there is any. alpha_path: the levels of the tests over which each edge and mark holds, when asked for.
    """

    graph: CPDAG | MPDAG | PAG
    method: str
    evidence: PairTable | EdgeScores
    triples: Sequence[TripleEvidence]
    stability: Stability | None
    warnings: tuple[Remark, ...]
    provenance: Provenance
    table: Mapping[str, Any]
    knowledge: Knowledge | None = None
    score: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    alpha_path: AlphaPath | None = None

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __repr__(self) -> str:
        lines = [f"Discovery by {self.method} from {self.table['rows']:,} rows", f"  {self.graph!r}"]
        if self.alpha_path:
            held = self.alpha_path.around(self.provenance.parameters["alpha"])
            lines += ["  levels of the tests over which each edge holds, the narrowest first:"] if held else []
            lines += [f"    {a} {h.edge} {b}: {h.low:.2g} to {h.high:.2g}" for a, b, h in held[:_SHOWN]]
            lines += [f"    and {len(held) - _SHOWN} more in .alpha_path"] if len(held) > _SHOWN else []
        lines += [f"  warning: {remark}" for remark in self.warnings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from whence.graphs.svg import to_svg

        picture = to_svg(self.graph, stability=self.stability, title="Learned graph")
        notes = "".join(f"<li>{html.escape(str(remark))}</li>" for remark in self.warnings)
        said = f"Learned by {html.escape(self.method)} from {self.table['rows']:,} rows."
        levels = self.alpha_path._repr_html_() if self.alpha_path else ""
        shown = f"<figure>{picture}<figcaption>{said}</figcaption></figure>{self._evidence_html()}{levels}"
        return shown + (f"<ul>{notes}</ul>" if notes else "")


    def _evidence_html(self) -> str:
        """A table of the edges, folded away: what speaks for each."""
        edges = self.graph.edges()
        if not edges:
            return ""
        rows = []
        for a, edge, b in edges[:_ROWS]:
            told = self.evidence.of(a, b)
            if isinstance(told, EdgeScore):
                why = "" if told.loss is None else f"score falls by {told.loss:.4g} without it"
            else:
                given = f" given {', '.join(told.given)}" if told.given else ""
                why = "no test could be made" if told.p_value is None else f"p at most {told.p_value:.3g}{given}"
            why = "required by knowledge" if told.decided_by == "knowledge" else why
            rows.append(f"<tr><td>{html.escape(f'{a} {edge} {b}')}</td><td>{html.escape(why)}</td></tr>")
        more = f"<p>and {len(edges) - _ROWS:,} more in .evidence</p>" if len(edges) > _ROWS else ""
        return f"<details><summary>What speaks for each edge</summary><table>{''.join(rows)}</table>{more}</details>"


def discover(
    source: Any,
    method: str = "auto",
    knowledge: Knowledge | None = None,
    seed: int = 0,
    *,
    progress: Progress = SILENT,
    executor: Executor | None = None,
    **params: Any,
) -> Discovery | Refused:
    """Learns a causal graph from a table, or from anything ``whence.read`` takes.

    method: ``"auto"`` (PC-stable) or the name of a discovery card; params are checked against the card.
    knowledge: tiers, required and forbidden arrows; the graph never contradicts it. seed: for the bootstrap.
    executor: runs the bootstrap samples, for example a thread pool; the answer does not depend on it.

    Data with too few rows or columns give a ``Refused``. Raises ``WhenceError``: ``unknown_method``,
    ``unknown_parameter``, ``bad_parameter``, ``unknown_node`` or ``left_out`` for knowledge about a column that
    is not in the table or cannot be part of a graph.
    """
    card = find_card("discovery", DEFAULT if method == "auto" else method)
    parameters = card.checked(params)
    table = as_table(source)
    if knowledge is not None and not isinstance(knowledge, Knowledge):
        raise WhenceError("knowledge must be a whence.Knowledge.", code="bad_parameter", value=type(knowledge).__name__,
                          allowed="Knowledge or None")
    if knowledge:
        knowledge.validate(table.names)
    with one_blas_thread(len(table.names)):
        prepared = _prepared(card, table, parameters)
        if isinstance(prepared, Refused):
            return prepared
        known = about_nodes(knowledge, prepared) if knowledge else None
        learned = _learned(card, prepared, known, parameters, seed, progress)
    used = (*prepared.names, *(prepared.beside if isinstance(prepared, Scored) else ()))
    stability = None
    if parameters["stability"]:
        again = partial(_learn, card=card, nodes=used, knowledge=known, parameters=parameters, seed=seed)
        chosen = table.select(used)
        within = prepared.within if isinstance(prepared, Scored) else None
        stability = bootstrap(again, chosen, learned.graph, parameters["stability"], seed, executor, progress, within)
    path = None
    if parameters.get("alpha_path"):
        from whence.discovery.alpha_path import of_discovery

        path = of_discovery(table, card, parameters, knowledge, progress)
    provenance = Provenance(table.hash, len(table), None, card.name, _plain(parameters, known), seed,
                            versions("numpy", "scipy"), card.citations)
    summary = {"source": table.source, "rows": len(table), "columns": list(prepared.names),
               "left_out": sorted(set(table.names) - set(used))}
    warnings = (*prepared.remarks, *learned.remarks)
    return Discovery(learned.graph, card.name, learned.evidence, learned.triples, stability, warnings, provenance,
                     summary, known, learned.score, learned.details, path)


def _prepared(card: Card, table: Table, parameters: Mapping[str, Any]) -> Prepared | Scored | Columns | Refused:
    """What the method works on: a card that has the parameter ``score`` is given a score, one that has ``test`` tests,
    any other the columns; one that has ``targets`` a score of rows with interventions."""
    if "targets" in parameters:
        return under_interventions(table, parameters)
    if "score" in parameters:
        return scored(table, parameters)
    if "test" not in parameters:
        return columns_of(table, card.data_kinds, card.name)
    return prepare(table, parameters["alpha"], parameters["test"], parameters.get("missing", "testwise"))


def _learned(card: Card, prepared: Prepared | Scored | Columns, knowledge: Knowledge | None,
             parameters: Mapping[str, Any], seed: int, progress: Progress) -> Learned:
    if not isinstance(prepared, Prepared):
        return load_function(card)(prepared, knowledge, parameters, seed, progress)
    return load_function(card)(prepared.tests, prepared.names, knowledge, parameters, progress)


def as_table(source: Any) -> Table:
    if isinstance(source, Table):
        return source
    from whence.data.load import read

    return read(source)


def about_nodes(knowledge: Knowledge, prepared: Prepared | Scored | Columns) -> Knowledge:
    """The knowledge without statements on columns that were left out; a required arrow cannot be dropped so."""
    nodes = set(prepared.names)
    for pair in knowledge.required:
        for name in pair:
            if name not in nodes:
                why = next((str(r) for r in prepared.remarks if r.about[:1] == (name,)), "")
                raise WhenceError(
                    f"Knowledge requires {pair[0]} --> {pair[1]}, but {name!r} is not a node. {why}",
                    code="left_out", value=name, allowed=prepared.names,
                )
    return Knowledge(
        tiers=tuple(tuple(n for n in tier if n in nodes) for tier in knowledge.tiers),
        required=knowledge.required,
        forbidden=tuple(pair for pair in knowledge.forbidden if nodes.issuperset(pair)),
        within_tiers=knowledge.within_tiers, source=knowledge.source,
    )


def _learn(
    table: Table, *, card: Card, nodes: tuple[str, ...], knowledge: Knowledge | None, parameters: Mapping[str, Any],
    seed: int,
) -> Graph | None:
    """The graph of one bootstrap sample, or None when it cannot be used. A required node may be constant in it."""
    prepared = _prepared(card, table.select(nodes), parameters)
    if isinstance(prepared, Refused):
        return None
    if knowledge and not set(prepared.names).issuperset(n for pair in knowledge.required for n in pair):
        return None
    known = about_nodes(knowledge, prepared) if knowledge else None
    return _learned(card, prepared, known, parameters, seed, SILENT).graph


def _plain(parameters: Mapping[str, Any], knowledge: Knowledge | None) -> dict[str, Any]:
    return {**parameters, "knowledge": None if knowledge is None else knowledge.to_dict()}
