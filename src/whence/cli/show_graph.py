"""A learned graph on the screen: each edge, how it was decided and how stable it is, and what to keep in mind."""

from __future__ import annotations

from whence.cli import screen
from whence.core.result import Refused
from whence.discovery.alpha_path import AlphaPath
from whence.discovery.discovery import Discovery
from whence.discovery.learned import EdgeScore
from whence.report import numbers

MEANING = {
    "-->": "a --> b: in every graph that fits the tests, a is a cause of b.",
    "---": "a --- b: joined, but the tests do not say which way it points.",
    "<->": "a <-> b: neither causes the other; a hidden cause of both joins them.",
    "o->": "a o-> b: b is no cause of a; a causes b, or a hidden cause of both joins them, or both.",
    "o-o": "a o-o b: joined, but the tests do not say whether a causes b, b causes a, or a hidden cause joins them.",
    "o--": "a o-- b: b is a cause of a or of what selected the rows.",
    "--o": "a --o b: a is a cause of b or of what selected the rows.",
}


def show(found: Discovery, svg: str | None = None) -> None:
    """The edges with the p-value that came closest to removing each, and the bootstrap shares when there are any."""
    graph = found.graph
    edges = graph.edges()
    screen.heading(f"{graph.kind} learned by {found.method}")
    size = f"{numbers.count(len(graph), 'node')}, {numbers.count(len(edges), 'edge')}"
    screen.say(f"{size}, from {numbers.count(found.table['rows'], 'row')}.")
    if edges:
        screen.say()
        measure = "score lost without it" if found.score is not None else "largest p-value"
        head = ("edge", measure, *(("found in", "this way") if found.stability else ()),
                *(("from level", "to level") if found.alpha_path else ()))
        screen.table(head, [(f"{a} {mark} {b}", *_support(found, a, mark, b)) for a, mark, b in edges], right=head[1:])
        screen.say()
        for mark in dict.fromkeys(mark for _, mark, _ in edges):
            screen.say(MEANING.get(mark, ""))
    joined = {name for a, _, b in edges for name in (a, b)}
    alone = [name for name in graph.names if name not in joined]
    if alone:
        screen.say("Joined to nothing: " + ", ".join(alone))
    if found.warnings:
        screen.heading("Keep in mind")
        for warning in found.warnings:
            screen.say(f"- {warning.text}")
    if svg is not None:
        screen.say()
        screen.say(f"Drawing: {svg}")


def _support(found: Discovery, a: str, mark: str, b: str) -> tuple[str, ...]:
    said = found.evidence.of(a, b)
    if isinstance(said, EdgeScore):
        shown = ("" if said.loss is None else f"{said.loss:.1f}",)
    else:
        p = said.p_value
        shown = ("" if p is None else numbers.p_value(p).removeprefix("p ").removeprefix("= "),)
    if found.stability:
        pair = found.stability.of(a, b)
        shown = *shown, numbers.percent(pair.joined), numbers.percent(pair.share(a, mark))
    if found.alpha_path:
        level = found.provenance.parameters["alpha"]
        shown = *shown, *next((f"{h.low:.2g}", f"{h.high:.2g}") for x, y, h in found.alpha_path.around(level)
                              if (x, y) == (a, b))
    return shown


def show_path(path: AlphaPath) -> None:
    """For each pair that some level joins, what joins it from which level to which."""
    screen.heading("Which edges hold at which level of the tests")
    screen.say(f"{len(path.alphas)} levels from {path.alphas[0]:.2g} to {path.alphas[-1]:.2g}.")
    rows = []
    for a, b in path.pairs:
        for held in path.of(a, b):
            edge = f"{a} {held.edge} {b}" if held.edge else f"{a}, {b} not joined"
            end = "" if held.p_value is None else f"{held.p_value:.3g}"
            rows.append((edge, f"{held.low:.3g}", f"{held.high:.3g}", end))
    if not rows:
        screen.say("No level joins any two columns.")
        return
    screen.say()
    head = ("edge", "from level", "to level", "p-value at the end")
    screen.table(head, rows, right=head[1:])
    screen.say()
    screen.say("Without a p-value, a range ends because other edges change there, or at the last level tried.")


def show_refusal(refused: Refused) -> None:
    """Why there is no graph, and what would help."""
    screen.heading("No graph")
    screen.say(refused.reason)
    if refused.remedy:
        screen.say(refused.remedy)
