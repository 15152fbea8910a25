"""The drawing of the cut: what it shows, before and after, as well-formed SVG whatever the names."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import whence
from whence.identification.comb import Comb, comb

SVG = "{http://www.w3.org/2000/svg}"


def drawn(edges: object, x: str, y: str) -> tuple[Comb, ElementTree.Element]:
    answer = comb(edges, x, y)
    assert isinstance(answer, Comb)
    return answer, ElementTree.fromstring(answer.drawing())


def titled(root: ElementTree.Element, words: str) -> list[ElementTree.Element]:
    return [e for e in root.iter() if any(c.tag == f"{SVG}title" and c.text == words for c in e) and e is not root]


def test_the_wire_is_cut_before_and_fed_from_outside_after() -> None:
    answer, root = drawn("S --> T; T --> C; S <-> C", "S", "C")
    combs = [e for e in root.iter(f"{SVG}path") if e.get("class") == "comb"]
    assert len(combs) == 2  # one per picture
    assert [path.get("d").count("V") for path in combs] == [4, 4]  # two teeth each: S and C, none around T
    assert len(titled(root, "the cut")) == len(titled(root, "discarded")) == 1
    assert "set S" in [e.text for e in root.iter(f"{SVG}text")]
    # per picture a box and, while it has one, a wire of each name; after the cut the wire of S starts elsewhere
    wires = [e.get("d") for e in titled(root, "S") if e.tag == f"{SVG}path"]
    starts = [d.split()[0] for d in wires]
    assert len(wires) == 2 and starts[0] != starts[1]
    assert "<svg" in answer._repr_html_() and "P(C | do(S))" in answer._repr_html_()


def test_boxes_of_the_comb_side_by_side_share_a_tooth_and_other_hidden_causes_are_marked() -> None:
    _, root = drawn("a --> x; a <-> x; x --> m; m --> n; m <-> n; n --> y", "x", "y")
    assert [e.get("d").count("V") for e in root.iter(f"{SVG}path") if e.get("class") == "comb"] == [2, 2]
    assert len(titled(root, "hidden causes of m, n")) == 2


@pytest.mark.parametrize("name", ["a & b <c>", "\"quoted\" 'name'", "température_moyenne " * 6, "処置", "x\x01y"])
def test_any_name_makes_well_formed_svg(name: str) -> None:
    graph = whence.graph([(name, "-->", "m"), ("m", "-->", "y"), (name, "<->", "y")])
    answer, root = drawn(graph, name, "y")
    width = float(root.get("width") or 0)
    lefts = [float(e.get("x") or 0) + float(e.get("width") or 0) for e in root.iter(f"{SVG}rect")]
    assert max(lefts) < width
    assert answer.drawing() == answer.drawing()
