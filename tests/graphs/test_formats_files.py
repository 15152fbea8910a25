"""BIF, Tetrad, lavaan, GraphML, CSV and the matrices of other packages: round trips, real files, bad input."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests.graphs.test_formats import NAME, graphs

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.formats import bif, csv, graphml, lavaan, matrix, networkx, tetrad
from whence.simulate.networks import DiscreteNetwork, random_network

COUNTS = {"asia": (8, 8), "alarm": (37, 46), "insurance": (27, 52), "hailfinder": (56, 66), "hepar2": (70, 123),
          "win95pts": (76, 112)}


def _written(write, g):
    """The text, or None where the format says that it cannot hold the graph."""
    try:
        return write(g)
    except WhenceError as error:
        assert error.code == "cannot_write"
        assert error.hint
        return None


@pytest.mark.parametrize("form", [tetrad, lavaan, graphml])
@settings(max_examples=100, deadline=None)
@given(g=graphs())
def test_text_round_trips_or_is_refused(form, g):
    text = _written(form.write, g)
    if text is not None:
        again = graph(text, kind=g.kind)
        assert again == g
        assert again.names == g.names


@settings(max_examples=150, deadline=None)
@given(g=graphs(), convention=st.sampled_from(matrix.CONVENTIONS))
@example(g=graph([("\r", "-->", "a\r\nb")]), convention="adjacency")
@example(g=graph(["\r"]), convention="marks")
def test_matrices_round_trip_or_are_refused(g, convention):
    given = _written(lambda g: matrix.write(g, convention), g)
    if given is not None:
        assert graph(given, kind=g.kind) == g
        text = csv.write(g, convention)
        draft = csv.read(text, convention)
        assert graph({"names": draft.names, "edges": draft.edges}, kind=g.kind) == g


def test_plain_names_are_held_by_every_format():
    g = graph("u [latent]; u --> x; u --> y; x --> y; z.1 --> x; y <-> z.1; d_2", kind="ADMG")
    for form in (tetrad, lavaan, graphml):
        assert graph(form.write(g), kind="ADMG") == g


@st.composite
def networks(draw):
    g = draw(graphs())
    assume(g.kind == "DAG")
    given = random_network(g, seed=draw(st.integers(0, 99)))
    named = {n: tuple(draw(st.lists(NAME, min_size=len(v), max_size=len(v), unique=True)))
             for n, v in given.levels.items()}
    return bif.Network(type(g)(g.names, g.marks), named, given.parents, given.probabilities)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(network=networks())
def test_bif_round_trip_keeps_levels_and_tables(network):
    again = bif.read_network(bif.write(network))
    assert again.graph == network.graph
    assert dict(again.levels) == network.levels
    assert dict(again.parents) == network.parents
    for name, table in network.tables.items():
        np.testing.assert_array_equal(again.tables[name], table)


@pytest.mark.parametrize("name", COUNTS)
def test_published_networks(cases, name):
    path = cases / "networks" / f"{name}.bif"
    g = graph(path)
    assert (g.kind, len(g), len(g.edges())) == ("DAG", *COUNTS[name])
    network = bif.read_network(path.read_text())
    assert network.graph == g == graph(bif.write(network))
    for node, table in network.tables.items():
        assert table.shape == (*(len(network.levels[p]) for p in network.parents[node]), len(network.levels[node]))
        np.testing.assert_allclose(table.sum(axis=-1), 1, atol=1e-12)


def test_asia_gives_its_known_marginals(cases):
    network = bif.read_network((cases / "networks" / "asia.bif").read_text())
    joint = DiscreteNetwork(network.graph, network.parents, network.tables, network.levels).joint()
    at = network.graph.index["dysp"]
    marginal = joint.sum(axis=tuple(k for k in range(8) if k != at))
    assert marginal[network.levels["dysp"].index("yes")] == pytest.approx(0.4359706, abs=1e-7)


def test_bif_table_default_and_property():
    text = '''network "dog" { property "author = x; y" ; }
    variable "light-on" { type discrete[2] { true false }; property p; }
    variable fo { type discrete [2] { true, false }; }   // spaces or commas
    probability ( fo ) { table 0.15, 0.85; }
    probability ( "light-on" | fo ) { table 0.6 0.05 0.4 0.95; }'''
    network = bif.read_network(text)
    np.testing.assert_allclose(network.tables["light-on"], [[0.6, 0.4], [0.05, 0.95]])
    other = text.replace("table 0.6 0.05 0.4 0.95;", "default 0.05, 0.95; (true) 0.6, 0.4;")
    np.testing.assert_allclose(bif.read_network(other).tables["light-on"], network.tables["light-on"])
    assert graph(text) == graph('fo --> "light-on"')


HEAD = "network n { }\nvariable a { type discrete [ 2 ] { y, n }; }\nvariable b { type discrete [ 2 ] { y, n }; }\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "a probability table for 'a'"),
        (HEAD + "probability ( c ) { table 1, 0; }", "Line 4, column 14 .* declared above, not 'c'"),
        (HEAD + "probability ( a ) { table 0.5, 0.6; }", "Line 4.* 'a' to sum to 1, not 1.1"),
        (HEAD + "probability ( a ) { table 0.5, x; }", "Line 4, column 32 .*between 0 and 1, found 'x'"),
        (HEAD + "probability ( a ) { table 0.5; }", "2 probabilities, not 1"),
        (HEAD + "probability ( a | b ) { (y) 0.5, 0.5; }", "'a' at b = n to sum to 1, not nothing"),
        (HEAD + "probability ( a | b ) { (q) 0.5, 0.5; }", "a level of 'b' .y, n., not 'q'"),
        (HEAD + "probability ( a | b ) { (y, y) 0.5, 0.5; }", "1 levels, one for each parent"),
        (HEAD + "probability ( a | a ) { table 1, 0; }", "each variable once"),
        (HEAD + "potential", "network, variable or probability, found 'potential'"),
        ("network n { }\nvariable a { type discrete [ 3 ] { y, n }; }", "Line 2.* 2, the number of levels"),
        ("network n { }\nvariable a { type continuous; }", "Line 2.* discrete"),
        (HEAD + "probability ( a | b ) { table 1, 1, 0, 0; }\nprobability ( b | a ) { table 1, 1, 0, 0; }", "cycle"),
    ],
)
def test_bad_bif(text, words):
    with pytest.raises(WhenceError, match=words):
        graph(text)


def test_tetrad_as_tetrad_writes_it():
    text = """Graph Nodes:
(L1);X1;X2;X3

Graph Edges:
1. L1 --> X1 dd nl
2. X1 o-> X2 [X1 o-> X2]:0.7;[no edge]:0.3;
3. X2 o-o X3

Graph Attributes:
BIC: -10.3
"""
    assert tetrad.read(text).latents == {"L1"}
    assert graph(text, kind="Graph") == graph("L1 [latent]; L1 --> X1; X1 o-> X2; X2 o-o X3", kind="Graph")
    assert graph(text.replace(";", ",").replace("(L1)", "L1")).kind == "PAG"
    assert graph("# found by GES\n" + text, kind="Graph").latents == {"L1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Graph Nodes:\na;b\n\nGraph Edges:\n1. a --> c\n", "Line 5 .*a node of the list above, found 'c'"),
        ("Graph Nodes:\na;b\n\nGraph Edges:\n1. a ==> b\n", "Line 5 .*found '==>'"),
        ("Graph Nodes:\na;b\n\nGraph Edges:\n1. a\n", "Line 5 .*an edge such as"),
        ("Graph Nodes:\na;a\n\nGraph Edges:\n", "Line 2 .*each once"),
        ("Graph Nodes:\na;b\n", "Graph Edges"),
    ],
)
def test_bad_tetrad(text, words):
    with pytest.raises(WhenceError, match=words):
        graph(text)


def test_lavaan_model():
    text = """# measurement
    f =~ 1*x1 + b*x2 +
         start(0.8)*x3   ! continued
    y + w ~ f + c1*z + 0*q
    y ~ 1; y ~~ w
    x1 ~~ x1
    total := c1*2
    """
    g = graph(text, kind="ADMG")
    assert g == graph("f [latent]; f --> x1; f --> x2; f --> x3; f --> y; z --> y; f --> w; z --> w; y <-> w",
                      kind="ADMG")
    assert graph("y ~ x + z") == graph("x --> y; z --> y")
    assert graph("x ~~ y").kind == graph("x~~y").kind == "ADMG"
    assert graph("y~x+z") == graph("! model\n# of y\ny ~ x\r\n\ny ~ z\r\n") == graph("x --> y; z --> y")
    assert graph("a~b --> c") == graph([("a~b", "-->", "c")])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y ~ x\nz ~ 2x", "Line 2 .*name of a variable, found '2x'"),
        ("y ~ x\n\ny", "Line 3 .*one of ~"),
        ("y ~ x +", "Line 1 .*found 'the end'"),
        ("y ~ x\ny ~ y", "Line 2 .*another variable"),
        ("y ~ *x", "a factor before"),
        ("y ~ x\nx ~ y", "cycle"),
    ],
)
def test_bad_lavaan(text, words):
    with pytest.raises(WhenceError, match=words):
        graph(text)


@settings(max_examples=30, deadline=None)
@given(g=graphs())
def test_graphml_agrees_with_networkx(g):
    text = _written(graphml.write, g)
    assume(text is not None)
    theirs = nx.parse_graphml(text)
    assert graph(theirs, kind=g.kind) == g
    assert graph("\n".join(nx.generate_graphml(networkx.write(g))), kind=g.kind) == g


def test_graphml_of_others():
    text = """<?xml version="1.0" encoding="ISO-8859-1"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="v" for="node" attr.name="name" attr.type="string"/>
<graph edgedefault="undirected"><node id="n0"><data key="v">größe</data></node><node id="n1"><data key="v">y</data>
</node><edge source="n0" target="n1" directed="true"/></graph></graphml>"""
    assert graph(text) == graph("größe --> y")
    with pytest.raises(WhenceError, match=r"Edge 1 .*node 'n7'"):
        graph(text.replace('target="n1"', 'target="n7"'))
    with pytest.raises(WhenceError, match=r"Line 4, column \d+ of the GraphML"):
        graph(text.replace("</node>", "", 1))
    with pytest.raises(WhenceError, match="document type"):
        graphml.read("<!DOCTYPE x [<!ENTITY a 'b'>]>" + text[44:])
    with pytest.raises(WhenceError, match="two nodes with the id 'n0'"):
        graph(text.replace('<node id="n1"', '<node id="n0"'))
    with pytest.raises(WhenceError, match="has no graph"):
        graph("<graphml></graphml>")


def test_documented_conventions_of_other_packages():
    def read(rows, convention=None):
        return graph({"names": ["i", "j"], "matrix": rows, "convention": convention}, kind="Graph")

    # pcalg, ?amatType: amat.cpdag amat[a,b] = 0, amat[b,a] = 1 is a --> b; amat.pag amat[a,b] = 2, amat[b,a] = 3.
    assert read([[0, 0], [1, 0]], "amat.cpdag") == graph("i --> j", kind="Graph")
    assert read([[0, 2], [3, 0]], "amat.pag") == graph("i --> j", kind="Graph")
    # causal-learn, PC and FCI: graph[j,i] = 1, graph[i,j] = -1 is i --> j; graph[j,i] = 1, graph[i,j] = 2 is i o-> j.
    assert read([[0, -1], [1, 0]]) == graph("i --> j", kind="Graph")
    assert read([[0, -1], [-1, 0]]) == graph("i --- j", kind="Graph")
    assert read([[0, 1], [1, 0]], "causal-learn") == graph("i <-> j", kind="Graph")
    assert read([[0, 2], [1, 0]], "causal-learn") == graph("i o-> j", kind="Graph")
    with pytest.raises(WhenceError, match="row 'j', column 'i' must be a mark"):
        read([[0, -1], [0, 0]])
    with pytest.raises(WhenceError, match="must be -1, 0, 1 or 2, not 3"):
        read([[0, 3], [1, 0]], "causal-learn")


def test_csv_files(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("name,a,b,c\nb,0,0,1\na,0,1,0\nc,,,\n")
    assert graph(path) == graph(str(path)) == graph("a --> b --> c")
    path.write_text("a,b\n0,1\n0,0\n")
    assert graph(path) == graph("a --> b")
    for text, words in (("name,a,b\na,0,1\n", "2 names in the header|as many rows"), ("", "no header"),
                        (",a,b\na,0,x\nb,0,0\n", "Line 2 .*'x' is not a number"),
                        (",a,b\na,0,1\nb,0\n", "Line 3 .*2 cells, not the 3"),
                        (",a,b\na,0,1\nc,0,0\n", "Line 3 .*'c' is not in the header"),
                        (",a,b\na,0,1\na,0,0\n", "Line 3 .*'a' comes twice"),
                        (",a,b\na,0,0.5\nb,0,0\n", "row 'a', column 'b'")):
        path.write_text(text)
        with pytest.raises(WhenceError, match=words):
            graph(path)


def test_files_are_known_by_their_endings(tmp_path):
    g = graph("u [latent]; u --> x; u --> y; x --> y")
    for ending, form in ((".graphml", graphml), (".lav", lavaan), (".tetrad", tetrad), (".txt", tetrad)):
        path = tmp_path / f"g{ending}"
        path.write_text(form.write(g))
        assert graph(str(path)) == g


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from('ab "\\{}[]();,<->o@=+:~*\n#/0.1|'), max_size=40))
def test_any_text_is_read_or_refused(text):
    for prefix in ("y ~ ", "network n {", "variable a { type ", "Graph Nodes:", "<graphml>", ",a,b\n"):
        for read in (graph, csv.read) if prefix == ",a,b\n" else (graph,):
            try:
                read(prefix + text)
            except WhenceError as error:
                assert error.message
