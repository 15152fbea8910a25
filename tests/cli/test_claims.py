"""``whence claims``: what it shows, as JSON, and its exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

GRAPH = "age --> dose; age --> recovery; dose --> recovery"


def test_claims(whence: Any, tmp_path: Path) -> None:
    path = tmp_path / "graph.txt"
    path.write_text("sleep --- stress; stress --- mood")
    ran = whence("claims", path, "sleep", "mood", "--json")
    assert ran.status == 0
    found = {one["text"]: one["verdict"] for one in ran.json["claims"]["every"]}
    assert found["sleep causes mood"] == "some" and found["sleep is a parent of mood"] == "none"
    assert found["sleep and mood share a common cause"] == "some"
    plain = whence("claims", path, "sleep", "mood")
    assert plain.status == 0 and "It holds where sleep --> stress, which is open." in plain.out
    lines = [line.split("  ")[0] for line in plain.out.splitlines()]
    assert set(found) <= set(lines) and "sleep and mood in this CPDAG" in lines


def test_claims_of_one_graph_are_yes_or_no(whence: Any) -> None:
    out = whence("claims", GRAPH, "dose", "recovery").out.splitlines()
    rows = dict(line.rsplit(maxsplit=1) for line in out if line.endswith(("yes", "no")))
    assert len(rows) == 8 and rows["dose causes recovery"] == "yes" and rows["recovery causes dose"] == "no"
    assert rows["dose and recovery share a common cause"] == "yes"
    for text in ("u o-> x; z o-> x; x --> y", "a --> b; b <-> c"):
        assert whence("claims", text, *(("x", "y") if "x" in text else ("b", "c"))).status == 0


def test_claims_that_are_all_undecided_are_3(whence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import whence.graphs.claims as module

    undecided = module.Claim("causes", "a", "b", "undecided", "Too many members.")
    monkeypatch.setattr(module, "claims", lambda graph, a, b: module.Claims(a, b, graph, (undecided,)))
    assert whence("claims", "a o-o b", "a", "b").status == 3


@pytest.mark.parametrize("argv, code", [
    (("a --> b", "a", "a"), "same_node"), (("a --> b", "a", "c"), "unknown_node"),
    (("absent.dot", "a", "b"), "no_file"), (("a --> b", "a"), "usage"),
    (("a --- b; b --- c; c --- d; d --- a", "a", "b"), None),
])
def test_claims_say_what_is_wrong(whence: Any, argv: tuple[str, ...], code: str | None) -> None:
    ran = whence("claims", *argv, "--json")
    assert ran.status == 2 and ran.json["error"]["code"] != "defect"
    assert code is None or ran.json["error"]["code"] == code
