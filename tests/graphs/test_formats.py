"""Every format reads back what it writes, whatever the names."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.classes import CLASSES
from whence.graphs.formats import dagitty, dot, edgelist, json, matrix, networkx
from whence.graphs.graph import EDGES
from whence.graphs.transform import to_cpdag

NAME = st.text(min_size=1, max_size=8) | st.sampled_from(
    ["a b", 'say "x"', "back\\", '\\"', "graph", "node", "dag {", "o", "-->", "a->b", "x--y", "größe", "重さ",
     "#1", "//", "/* */", "1.5", "[latent]", ";", "'", "=", "strict", "subgraph", "a,b", "{", "}", "<b>", " ", "\n",
     "a\r\nb", "\\\\", "yes", "\x1f", "\u2028"])


@st.composite
def graphs(draw):
    names = draw(st.lists(NAME, min_size=1, max_size=6, unique=True))
    kind = draw(st.sampled_from([*CLASSES, "Graph"]))
    kinds_of_edges = {"DAG": ["-->"], "CPDAG": ["-->"], "MPDAG": ["-->"], "ADMG": ["-->", "<->"],
                      "MAG": ["-->", "<->", "---"]}.get(kind, EDGES)
    edges = [
        (a, draw(st.sampled_from(kinds_of_edges)), b)
        for i, a in enumerate(names) for b in names[i + 1 :] if draw(st.booleans())
    ]
    if kind == "ADMG":
        edges += [(a, "<->", b) for a, e, b in edges if e == "-->" and draw(st.booleans())]
    latents = [] if kind in ("MAG", "PAG") else draw(st.lists(st.sampled_from(names), unique=True))
    try:
        if kind == "CPDAG":
            return to_cpdag(graph([*names, *edges], "DAG", latents))
        return graph({"names": names, "edges": edges, "latents": latents}, kind)
    except WhenceError as error:
        assert error.code in ("not_ancestral", "almost_cycle", "not_maximal", "cycle", "bad_edge"), error
        assume(False)


TEXTS = {"dagitty": dagitty, "dot": dot, "edgelist": edgelist, "json": json}


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=250, deadline=None)
@given(g=graphs())
@example(g=graph({"names": ["dag {", "}"], "edges": [["dag {", "-->", "}"]]}))
def test_text_formats_round_trip(name, g):
    text = TEXTS[name].write(g)
    assert graph(text, kind=g.kind) == g
    assert graph(text, kind=g.kind).names == g.names


@settings(max_examples=150, deadline=None)
@given(g=graphs())
def test_objects_round_trip(g):
    assert graph(networkx.write(g), kind=g.kind) == g
    assert graph(g.to_dict()) == g
    double = len({frozenset((a, b)) for a, _, b in g.edges()}) < len(g.edges())
    if g.latents or double:
        with pytest.raises(WhenceError, match="A matrix cannot hold"):
            matrix.write(g)
    else:
        assert graph(matrix.write(g), kind=g.kind) == g
        if g.kind in ("DAG", "CPDAG", "MPDAG"):
            assert graph(matrix.write(g, "adjacency"), kind=g.kind) == g


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from('ab "\\{}[];,<->o@=+:\n#/*|dag'), max_size=40))
def test_any_text_is_read_or_refused(text):
    for prefix in ("", "dag {", "digraph {", "graph {", "{"):
        try:
            graph(prefix + text)
        except WhenceError as error:
            assert error.message


def test_dagitty_roles_are_written():
    text = dagitty.write(graph("x --> y; u [latent]"), exposures=("x",), outcomes=("y",))
    assert text == "dag {\n  x [exposure]\n  y [outcome]\n  u [latent]\n  x -> y\n}\n"


def test_dot_draws_every_end():
    text = dot.write(graph("a --> b; b <-> c; c --- d; a o-> d; d o-- b", kind="Graph"))
    assert text == """\
digraph {
  "a";
  "b";
  "c";
  "d";
  "a" -> "b";
  "a" -> "d" [dir=both, arrowtail=odot, arrowhead=normal];
  "b" -> "c" [dir=both];
  "b" -> "d" [dir=both, arrowtail=none, arrowhead=odot];
  "c" -> "d" [dir=none];
}
"""


def test_what_a_matrix_cannot_hold():
    with pytest.raises(WhenceError, match="<-> edges as 0/1 adjacency"):
        matrix.write(graph("a <-> b"), "adjacency")
    with pytest.raises(WhenceError, match="no matrix convention 'x'"):
        matrix.write(graph("a --> b"), "x")
