"""Words on the command line become values, or an error that names the word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whence.cli import inputs
from whence.core.errors import WhenceError


def code(call: object, *args: object) -> str:
    with pytest.raises(WhenceError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.code


def test_pairs_part_at_the_last_sign() -> None:
    assert inputs.pairs(("a=count", "p=q=ordinal"), "--kinds", "") == {"a": "count", "p=q": "ordinal"}
    for word in ("plain", "=count"):
        assert code(inputs.pairs, (word,), "--kinds", "a=count") == "bad_option"


@pytest.mark.parametrize("text, names", [
    (None, []), ("", []), ("a", ["a"]), (" a, b ,", ["a", "b"]), ('["a,b", "c"]', ["a,b", "c"]),
])
def test_columns(text: str | None, names: list[str]) -> None:
    assert inputs.columns(text) == names


def test_bad_lists_of_columns() -> None:
    assert code(inputs.columns, "[1, 2]") == "bad_option"
    assert code(inputs.columns, "[a") == "bad_json"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"gr\xf6sse")
    assert code(inputs.text_file, str(tmp_path / "latin.txt"), "The file") == "not_text"
    for path in (str(tmp_path / "absent"), str(tmp_path), "a\0b", "x" * 5000):
        assert code(inputs.text_file, path, "The file") == "no_file"


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbfa --> b")
    assert inputs.text_file(str(tmp_path / "bom.txt"), "The file") == "a --> b"


def test_file_or_text(tmp_path: Path) -> None:
    path = tmp_path / "a -> b"
    assert inputs.file_or_text(str(path), "The graph file", "->") == str(path)
    path.write_text("c --> d")
    assert inputs.file_or_text(str(path), "The graph file", "->") == "c --> d"
    assert inputs.file_or_text("a long text " * 1000, "The description", " ").startswith("a long")
    assert code(inputs.file_or_text, "about.txt", "The description", " \n") == "no_file"


def test_json_errors_name_the_place(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text('{"strategy": "adjustment",\n oops}')
    with pytest.raises(WhenceError, match="line 2"):
        inputs.read_spec(str(path))
    path.write_text("[1]")
    assert code(inputs.read_spec, str(path)) == "bad_spec"
    assert code(inputs.read_knowledge, str(path)) == "bad_knowledge"


def test_a_spec_can_be_given_as_text() -> None:
    text = json.dumps({"strategy": "rct", "treatments": ["t"], "outcomes": ["y"]})
    assert inputs.read_spec(text).treatment == "t"


def test_targets_are_checked_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    inputs.check_targets(None, str(tmp_path / "x.py"), "x.py", str(tmp_path / "new" / "x"), report="x.HTML")
    for path in (str(tmp_path), str(tmp_path / "file" / "x"), ""):
        assert code(inputs.check_targets, path) == "cannot_write", path
    with pytest.raises(WhenceError) as caught:
        inputs.check_targets(report="x.doc")
    assert caught.value.code == "bad_format"
    inputs.write_text(str(tmp_path / "new" / "x"), "text")
    assert (tmp_path / "new" / "x").read_text() == "text"
    assert code(inputs.write_text, str(tmp_path / "file" / "x"), "text") == "cannot_write"


def test_parameters_take_the_type_of_the_card() -> None:
    given = inputs.parameters(("level=0.9",), "estimation", "regression")
    assert given == {"level": 0.9}
    assert inputs.parameters(("level=0.9",), "estimation", "auto") == {"level": 0.9}
    assert inputs.parameters(("level=high",), "estimation", "regression") == {"level": "high"}
    assert inputs.parameters(("novel=x",), "estimation", "regression") == {"novel": "x"}
    assert code(inputs.parameters, ("level=0.9",), "estimation", "regresion") == "unknown_method"


def test_knowledge_as_lines_says_the_same_as_json(tmp_path: Path) -> None:
    lines, braces = tmp_path / "knowledge.txt", tmp_path / "knowledge.json"
    lines.write_text("tier: age sex\ntier: recovery\nforbid sex --> recovery\n")
    braces.write_text('{"tiers": [["age", "sex"], ["recovery"]], "forbidden": [["sex", "recovery"]]}')
    assert inputs.read_knowledge(str(lines)) == inputs.read_knowledge(str(braces))
