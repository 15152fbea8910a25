from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.classes import ADMG, CPDAG, DAG, MAG, MPDAG, PAG
from whence.graphs.formats import dagitty, matrix
from whence.graphs.graph import Graph

DAGITTY = """
dag "my model" { // from the web page
bb="-2.1,-2,2.3,2"
"body mass" [outcome,pos="1.5,0.1"]
x [exposure,pos="-1.0,2"] /* two
lines */
u [latent]
u -> {x "body mass"}
x -> m -> "body mass" [beta=.3]
}
"""


def test_dagitty_text():
    g = graph(DAGITTY)
    assert isinstance(g, DAG)
    assert g.latents == {"u"}
    assert sorted(g.edges()) == [
        ("m", "-->", "body mass"), ("u", "-->", "body mass"), ("u", "-->", "x"), ("x", "-->", "m")]
    draft = dagitty.read(DAGITTY)
    assert draft.roles == {"exposure": ("x",), "outcome": ("body mass",)}
    assert draft.positions == {"body mass": (1.5, 0.1), "x": (-1.0, 2.0)}


def test_dagitty_groups_chains_and_every_edge():
    g = graph("dag { {a b} -> {c -> d} }")
    assert set(g.edges()) == {(x, "-->", y) for x in "ab" for y in "cd"} | {("c", "-->", "d")}
    g = graph("pag { a @-> b; b @-@ c; c <-@ d; e @-- f; f <-> a; g -- h }")
    assert isinstance(g, PAG)
    assert set(g.edges()) == {
        ("a", "o->", "b"), ("b", "o-o", "c"), ("d", "o->", "c"), ("e", "o--", "f"), ("a", "<->", "f"),
        ("g", "---", "h")}
    assert graph('DAG "my {model}"\n{ a --> b <-- c }') == graph("a --> b; c --> b")
    assert graph("dag{a->b<-c}") == graph("a --> b; c --> b")
    assert isinstance(graph("dag { a -> b a <-> b }"), ADMG)
    assert isinstance(graph("mag { a <-> b }"), MAG)
    assert isinstance(graph("pdag { a -> b }"), MPDAG)
    assert isinstance(graph("pdag { a -- b }"), CPDAG)


def test_dot_text():
    g = graph("""strict digraph G {
        rankdir=LR; node [shape=box]; edge [color=red];
        a -> b:n -> c; "d e" [label=<<b>x</b>>, observed="no"]
        subgraph cluster_1 { edge [dir=both]; a -> "d e"; }
        b -> c [style=dashed];
    }""")
    assert isinstance(g, ADMG)
    assert set(g.edges()) == {("a", "-->", "b"), ("b", "-->", "c"), ("a", "<->", "d e")}
    assert g.latents == {"d e"}
    g = graph("digraph { a -> b [dir=both, arrowtail=odot]; b -> c [dir=none]; c -> d [dir=back] }", kind="Graph")
    assert set(g.edges()) == {("a", "o->", "b"), ("b", "---", "c"), ("d", "-->", "c")}
    assert isinstance(graph("graph { a -- b -- c }"), CPDAG)


def test_edge_list_text():
    g = graph('a --> b; b <-> c  # comment\n"d e", f->g<-h; pre-test -- x', kind="Graph")
    assert g.names == ("a", "b", "c", "d e", "f", "g", "h", "pre-test", "x")
    assert set(g.edges()) == {
        ("a", "-->", "b"), ("b", "<->", "c"), ("f", "-->", "g"), ("h", "-->", "g"), ("pre-test", "---", "x")}
    assert graph("a o-> b; b o-o c; o --> a; a o-- d").edges()[0] == ("a", "o->", "b")
    assert set(graph("ago->old; a <-old").edges()) == {("ago", "-->", "old"), ("old", "-->", "a")}
    assert graph("a --> b --> c\r\nd\r\n").names == ("a", "b", "c", "d")
    assert graph("größe --> 重さ").edges() == [("größe", "-->", "重さ")]


@pytest.mark.parametrize(
    ("text", "cls"),
    [("a --> b", DAG), ("a", DAG), ("a --- b", CPDAG), ("a --> b; b --- c; a --> c", MPDAG), ("a <-> b", ADMG),
     ("a <-> b; c --- d", MAG), ("a o-o b", PAG), ("a --> b; a <-> b", ADMG), ("a <-- b", DAG)],
)
def test_the_class_follows_from_the_edges(text, cls):
    assert type(graph(text)) is cls


def test_lists_and_dicts():
    edges = [("a", "-->", "b"), ("b", "<->", "c"), "d"]
    assert graph(edges) == graph("a --> b; b <-> c; d")
    assert graph([["a", "->", "b"]]) == graph({"names": ["a", "b"], "edges": [["a", "-->", "b"]]})
    g = graph("a --> b; a <-> b; u [latent]; u --> b")
    assert graph(g.to_dict()) == g
    assert graph([("u", "-->", "x")], latents="u").latents == {"u"}
    assert graph({("a", "-->", "b"), "c"}) == graph("a --> b; c")


def test_networkx_graphs():
    source = nx.DiGraph([(1, 2), (2, "c")])
    source.add_node("u", observed="no")
    assert graph(source) == graph('"1" --> "2" --> c; u [latent]')
    assert graph(nx.Graph([("a", "b")])) == graph("a --- b")
    source = nx.DiGraph()
    source.add_edge("a", "b", edge="<->")
    assert graph(source) == graph("a <-> b")


def test_matrices():
    assert graph({"names": ["a", "b"], "matrix": [[0, 1], [0, 0]]}) == graph("a --> b")
    assert graph({"names": ["a", "b"], "matrix": [[0, 1], [1, 0]]}) == graph("a --- b")
    assert graph({"names": ["a", "b"], "matrix": [[0, 2], [3, 0]]}) == graph("a --> b")
    assert graph({"names": ["a", "b"], "matrix": [[0, 2], [1, 0]]}) == graph("a o-> b")
    circles = {"names": ["a", "b"], "matrix": np.array([[0, 1], [1, 0]]), "convention": "marks"}
    assert graph(circles) == graph("a o-o b")
    frame = pd.DataFrame([[0, 0], [0, 1]], index=["b", "a"], columns=["a", "b"])
    assert graph(frame) == graph("a --> b")
    assert matrix.write(graph("a --> b"), "adjacency")["matrix"] == [[0, 1], [0, 0]]


def test_files(tmp_path):
    for name, text in [("g.dot", "digraph { a -> b }"), ("g.txt", "a --> b\n"), ("g.dagitty", "dag { a -> b }"),
                       ("g.json", '{"names": ["a", "b"], "edges": [["a", "-->", "b"]]}')]:
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert graph(str(tmp_path / name)) == graph(tmp_path / name) == graph("a --> b")
    (tmp_path / "bad.txt").write_bytes(b"a --> \xff\xfe")
    with pytest.raises(WhenceError, match="not UTF-8 text"):
        graph(tmp_path / "bad.txt")
    with pytest.raises(WhenceError, match="no file") as error:
        graph(str(tmp_path / "missing.dot"))
    assert error.value.code == "file_not_found"
    for unreadable in (tmp_path, "a\0b.txt"):
        with pytest.raises(WhenceError, match="cannot be read"):
            graph(unreadable)
    folder = tmp_path / "my --dir"
    folder.mkdir()
    (folder / "g").write_text("a --> b")
    assert graph(str(folder / "g")) == graph("a --> b")
    assert graph("debt/income --> y").names == ("debt/income", "y")


def test_graphs_pass_through_or_change_class():
    g = graph("a --> b")
    assert graph(g) is g
    assert isinstance(graph(g, kind="admg"), ADMG)
    assert graph(g, latents=["a"]).latents == {"a"}
    with pytest.raises(WhenceError, match="to_cpdag"):
        graph(g, kind="CPDAG")
    with pytest.raises(WhenceError, match="no graph class 'DAGG'") as error:
        graph(g, kind="DAGG")
    assert error.value.code == "unknown_graph_class"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  # only a comment\n", "empty"),
        ("a --> ", "Line 1, column 7 of the edge list: expected a node name, found the end"),
        ("a --> b\nb c", "Line 2, column 3 of the edge list: expected an edge"),
        ("a => b", "Line 1, column 3 of the edge list"),
        ('a --> "b', "Line 1, column 7 of the edge list: expected a closing quote"),
        ("--> b", "expected a node name, found '-->'"),
        ("a [hidden]", "expected an edge"),
        ("dag { a -> b", "Line 1, column 13 of the dagitty text: expected '}', found the end"),
        ("dag {\n a -> \n}", "Line 3, column 1 of the dagitty text: expected a node name or a group"),
        ("dag { x => y }", "Line 1, column 9"),
        ("dag { a -> b } c", "expected the end after the closing '}'"),
        ("dag { a [pos=] }", "expected a value after '='"),
        ("dag { a [pos=\"1\"] }", "position of node 'a'"),
        ("dag { a [latent }", "expected an attribute or ']'"),
        ("dag { a -- b }", "A DAG has only --> edges"),
        ("dag { a @-> b }", "A DAG has only --> edges"),
        ("dag { s [selected] }", "selection are not supported"),
        ("pdag { a <-> b }", "A CPDAG has only --> and --- edges"),
        ("digraph { a -- b }", "found '--'"),
        ("graph { a -> b }", "found '->'"),
        ("digraph { a -> b [dir=up] }", "dir='up'"),
        ("digraph { a -> b [arrowhead=box] }", "arrowhead='box'"),
        ("digraph { a [label=<x] }", "a closing '>'"),
        ('digraph { "a" + b }', "a quoted text after '+'"),
        ("digraph { subgraph x -> b }", "expected '{'"),
        ("dag {" + "{" * 100, "at most 50 nested groups"),
        ("a --> b; b --> a", "directed cycle"),
        ("a --- b; a --> b", "two different edges"),
        ('{"names": ["a"]', "Line 1, column 16 of the JSON text"),
        ("[1, 2]", "is an object"),
        ('{"names": ["a"], "edges": [["a", "-->", "b"]]}', "no node 'b'"),
        ('{"names": [1], "edges": []}', "Node names are texts"),
        ('{"names": ["a"]}', "needs a list under 'edges'"),
        ('{"names": ["a"], "edges": [], "size": 1}', "no graph field called 'size'"),
        ('{"names": ["a"], "edges": [], "latents": ["u"]}', "no node 'u'"),
        ('{"names": ["a"], "edges": [], "latents": 5}', "list under 'latents'"),
        ('{"names": ["a"], "edges": [], "kind": 5}', "no graph class 5"),
    ],
)
def test_text_that_cannot_be_read(text, words):
    with pytest.raises(WhenceError) as error:
        graph(text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([("a", "=>", "b")], "'=>' is not an edge"),
        ([("a", "b")], "Item 1 of the edge list is ('a', 'b')"),
        (["c", "a --> b"], "Item 2 of the edge list is 'a --> b'"),
        ([("a", "-->", "b"), 3], "Item 2"),
        ([("a", "-->", "a")], "edge to itself"),
        (3, "cannot be read from int"),
        (None, "cannot be read from NoneType"),
        (np.zeros((2, 2)), "needs the names"),
        ({"names": ["a", "b"], "matrix": [[0, 0.7], [0, 0]]}, "row 'a', column 'b' must be 0, 1, 2 or 3, not 0.7"),
        ({"names": ["a", "b"], "matrix": [[0, np.nan], [0, 0]]}, "not nan"),
        ({"names": ["a", "b"], "matrix": [[1, 0], [0, 0]]}, "row 'a', column 'a'"),
        ({"names": ["a", "b"], "matrix": [[0, 2], [0, 0]]}, "row 'b', column 'a'"),
        ({"names": ["a", "b"], "matrix": [[0, 1, 0], [0, 0, 0]]}, "shape (2, 3)"),
        ({"names": ["a", "b"], "matrix": [["x", 0], [0, 0]]}, "not numbers"),
        ({"names": ["a", "b"], "matrix": [[0, 1], [0]]}, "not numbers"),
        ({"names": ["a", "b"], "matrix": [[0, 0], [0, 0]], "convention": "rows"}, "no matrix convention"),
        ({"names": ["a"], "matrix": [[0]], "extra": 1}, "no field 'extra'"),
        ({"names": ["a", "a"], "matrix": [[0, 1], [0, 0]]}, "occur twice"),
        ({"names": 3, "matrix": [[0]]}, "list under 'names'"),
        (pd.DataFrame([[0, 1], [0, 0]], columns=["a", "b"]), "different names"),
        (pd.DataFrame([[0, 1], [0, 0]], columns=["a", "a"], index=["a", "a"]), "twice"),
        (nx.DiGraph([("a", "b"), ("b", "a")]), "cycle"),
    ],
)
def test_objects_that_cannot_be_read(source, words):
    with pytest.raises(WhenceError) as error:
        graph(source)
    assert words in str(error.value)


def test_unknown_latent_is_refused():
    with pytest.raises(WhenceError, match="no node 'v'"):
        graph("a --> b", latents=["v"])


def test_kind_graph_is_bare_storage():
    assert type(graph("a --> b --- c", kind="Graph")) is Graph
