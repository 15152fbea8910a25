"""The drawing is well-formed, complete, safe and honest about marks."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.classes import ADMG, DAG
from whence.graphs.graph import Graph, marks_from_edges
from whence.graphs.svg import ROLES, WIDEST, text_width, to_svg, wrapped

SVG = "{http://www.w3.org/2000/svg}"


def of(*edges: tuple[str, str, str], hidden: tuple[str, ...] = ()) -> Graph:
    names = sorted({n for e in edges for n in (e[0], e[2])})
    return Graph(tuple(names), marks_from_edges(names, list(edges)), frozenset(hidden))


def found(svg: str, tag: str, css: str = "") -> list[ElementTree.Element]:
    root = ElementTree.fromstring(svg)
    return [e for e in root.iter(SVG + tag) if set(css.split()) <= set(e.get("class", "").split())]


def test_marks_are_drawn_at_their_ends() -> None:
    svg = to_svg(of(("a", "-->", "b"), ("b", "<->", "c"), ("c", "o-o", "d"), ("d", "---", "e"), ("e", "o->", "f")))
    assert len(found(svg, "path", "edge")) == 5
    assert len(found(svg, "path", "head")) == 1 + 2 + 1
    assert len(found(svg, "circle", "ring")) == 2 + 1
    dashed = found(svg, "path", "edge both")
    assert len(dashed) == 1 and "C" in dashed[0].get("d", "")


def test_arrowheads_touch_the_border() -> None:
    svg = to_svg(of(("a", "-->", "b")))
    tip = found(svg, "path", "head")[0].get("d", "")[1:].split("l")[0].split()
    target = found(svg, "rect", "node")[1]
    assert float(tip[0]) == pytest.approx(float(target.get("x", "")), abs=0.11)


def test_it_speaks_to_screen_readers() -> None:
    svg = to_svg(of(("x", "-->", "y")), {"x": "treatment", "y": "outcome"}, title="Does x move y?")
    root = ElementTree.fromstring(svg)
    ids = {e.get("id"): e for e in root if e.get("id")}
    assert root.get("role") == "img" and [i in ids for i in root.get("aria-labelledby", "").split()] == [True, True]
    texts = [e.text or "" for e in ids.values()]
    assert texts[0] == "Does x move y?" and "Treatment: x." in texts[1] and "x --> y" in texts[1]


def test_the_legend_names_the_roles_present_and_no_others() -> None:
    graph = of(("x", "-->", "y"), ("u", "-->", "x"), hidden=("u",))
    svg = to_svg(graph, {"x": "treatment", "y": "outcome"})
    assert [e.text for e in found(svg, "text", "legend")] == [ROLES[r] for r in ("treatment", "outcome", "latent")]
    assert found(to_svg(graph), "text", "legend") == []
    assert len(found(to_svg(graph), "rect", "node latent")) == 1
    assert len(found(to_svg(graph, {"y": "forbidden"}), "rect", "node excluded")) == 2


def test_strength_and_stability_are_drawn() -> None:
    graph = of(("a", "-->", "b"), ("b", "-->", "c"))
    svg = to_svg(graph, strength={("a", "b"): -2.0, ("c", "b"): 1.0}, stability={("a", "b"): 1.0, ("b", "c"): 0.5},
                 labels={("a", "b"): "-2.0"})
    widths = [float(e.get("stroke-width", "")) for e in found(svg, "path", "edge")]
    assert widths == [4.0, pytest.approx(2.5, abs=0.06)]
    assert 'opacity="1.00"' in svg and 'opacity="0.61"' in svg
    assert [e.text for e in found(svg, "text", "label")] == ["-2.0"]
    assert "a --&gt; b, strength -2, stability 1" in svg


def test_beside_an_arrow_the_hidden_cause_keeps_its_own_line() -> None:
    graph = ADMG(("a", "b"), np.array([[0, 2], [3, 0]]), frozenset(), np.array([[False, True], [True, False]]))
    svg = to_svg(graph, strength={("a", "b"): 3.0})
    assert sorted(e.get("stroke-width", "") for e in found(svg, "path", "edge")) == ["1.5", "4"]


def test_any_text_is_safe() -> None:
    names = ("<script>alert(1)</script>", '"&\'', "nul\x00bell\x07", "年齢", "\ud800")
    svg = to_svg(Graph(names, np.zeros((5, 5))), {names[0]: "treatment"}, title="a < b & c")
    ElementTree.fromstring(svg.encode())
    assert "<script" not in svg and "\x00" not in svg


def test_long_names_fit_and_are_told_in_full() -> None:
    for name in ("household income in 1990 (thousands of dollars)", "Supercalifragilisticexpialidocious" * 3,
                 "the_extremely_long_variable_name_that_nobody_should_have_used", "_" * 80, " ", "年" * 50):
        lines = wrapped(name)
        assert 1 <= len(lines) <= 2 and all(text_width(line) <= WIDEST for line in lines)
        svg = to_svg(Graph((name,), np.zeros((1, 1))))
        assert found(svg, "title")[1].text == f"{name} (other)"
    one, two = (wrapped(f"monthly_average_temperature_station_{k}_upper") for k in "ab")
    assert wrapped("short") == ["short"] and one != two


def test_nothing_is_fetched_and_both_themes_are_there() -> None:
    svg = to_svg(of(("a", "-->", "b")))
    assert svg.count("http") == 1 and "prefers-color-scheme:dark" in svg and "@import" not in svg
    assert "<script" not in svg and to_svg(of(("a", "-->", "b"))) == svg


@pytest.mark.parametrize("size", [0, 1, 5, 20, 60])
def test_every_size_is_well_formed(size: int) -> None:
    rng = np.random.default_rng(size)
    marks = np.triu(rng.random((size, size)) < 3 / max(1, size), 1) * 2
    marks = (marks + 1.5 * marks.T).astype(int)
    svg = to_svg(DAG(tuple(f"n{k}" for k in range(size)), marks))
    assert len(found(svg, "rect", "node")) == size


@pytest.mark.parametrize("given, code", [
    ({"roles": {"q": "treatment"}}, "unknown_node"),
    ({"roles": {"a": "boss"}}, "unknown_role"),
    ({"strength": {("a", "c"): 1.0}}, "unknown_edge"),
    ({"strength": {("a", "b"): float("nan")}}, "bad_number"),
    ({"stability": {("a", "b"): 1.5}}, "bad_number"),
])
def test_bad_input(given: dict, code: str) -> None:
    with pytest.raises(WhenceError) as error:
        to_svg(of(("a", "-->", "b"), ("b", "-->", "c")), **given)
    assert error.value.code == code
