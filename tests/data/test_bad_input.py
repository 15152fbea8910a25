"""Every kind of bad input gives a clear error or remark with its place, and never a library's traceback."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import whence
from whence import WhenceError
from whence.data import largefile, load


def refused(source, code, **options):
    with pytest.raises(WhenceError) as caught:
        whence.read(source, **options)
    error = caught.value
    assert error.code == code, error
    assert str(error)
    assert "Traceback" not in str(error)
    assert error.__cause__ is None  # no library's exception is shown with it
    error.to_dict()
    return error


# Files as such


def test_file_not_found_offers_close_names(tmp_path, file):
    file("a,b\n1,2\n", "wages.csv")
    assert "wages.csv" in refused(tmp_path / "wage.csv", "file_not_found").hint


def test_no_such_directory(tmp_path):
    assert "directory" in refused(tmp_path / "no" / "x.csv", "file_not_found").hint


def test_web_address():
    assert "Download" in refused("https://example.org/x.csv", "file_not_found").hint


def test_directory(tmp_path):
    refused(tmp_path, "is_a_directory")


def test_unknown_ending(file):
    assert ".parquet" in refused(file("x", "data.xlsx"), "unknown_ending").allowed


@pytest.mark.parametrize("content", ["", "\n\n", "  \n"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_empty_file(file, content, name):
    refused(file(content, name), "empty_file")


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\r\n", "a,b\n\n\n", "a\n"])
def test_header_only(file, content, route):
    refused(file(content), "no_rows")


def test_one_row_is_read_and_remarked(file, route):
    path = file("a,b\n1,x\n")
    assert whence.read(path).n_rows == 1
    assert "one_row" in {r.code for r in whence.profile(path).remarks}


# Names


def test_duplicated_names_with_all_positions(file, route):
    error = refused(file("a,b,a,c,b,a\n1,2,3,4,5,6\n"), "duplicate_column")
    assert error.value == {"a": [1, 3, 6], "b": [2, 5]}


def test_names_equal_after_spaces(file, route):
    assert refused(file("a, a\n1,2\n"), "duplicate_column").value == {"a": [1, 2]}


def test_names_that_differ_in_case_are_two_columns(file, route):
    table = whence.read(file("a,A\n1,2\n3,4\n5,6\n"))
    assert table.names == ("a", "A")
    assert table.numeric("A").tolist() == [2, 4, 6]


def test_unnamed_field_is_remarked(file, route):
    table = whence.read(file(",b\n1,2\n2,3\n"))
    assert table.names == ("column_1", "b")
    assert [r.code for r in table.remarks] == ["unnamed_column"]


def test_spaces_around_names_are_remarked(file, route):
    table = whence.read(file("a , b\n1,2\n2,3\n"))
    assert table.names == ("a", "b")
    assert [r.code for r in table.remarks] == ["spaced_name"]


def test_header_of_numbers(file):
    refused(file("1.5,2.5\n3.5,1.0\n"), "no_header")
    assert whence.read(file("0,1,2\n5,6,7\n")).names == ("0", "1", "2")


def test_names_for_a_file_without_header(file, route):
    path = file("1.5,x\n3.5,y\n2,z\n")
    table = whence.read(path, names=["n", "w"])
    assert table.n_rows == 3
    assert table.numeric("n").tolist() == [1.5, 3.5, 2]
    assert refused(path, "wrong_length", names=["n"]).value == 1


def test_names_for_a_file_with_header(file):
    refused(file("a,b\n1,2\n3,4\n"), "names_and_header", names=["x", "y"])


# Rows


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ("a,b\n1,2\n3\n4,5\n", [(3, 1)]),
        ("a,b\n1,2\n3,4,5\n4,5\n", [(3, 3)]),
        ("a,b\n1,2,\n3,4,\n", [(2, 3), (3, 3)]),
        ("a,b,c\n1,2,3\n1,2\n4,5,6,7\n", [(3, 2), (4, 4)]),
        ('a,b\n"x\ny",2\n3\n', [(4, 1)]),
        ("a,b\n1,2\n   \n3,4\n", [(3, 1)]),
        ("a,b\r\n1,2\r\n3\r\n", [(3, 1)]),
    ],
)
def test_ragged_rows_with_line_and_fields(file, route, content, places):
    error = refused(file(content), "ragged_rows")
    assert [(p["line"], p["fields"]) for p in error.value] == places


def test_ragged_row_names_hint(file):
    assert "first column" in refused(file("a,b\nr1,1,2\nr2,3,4\n"), "ragged_rows").hint


def test_ragged_row_far_down(file, route):
    lines = [f"{i},{i % 7}" for i in range(30_000)]
    lines[25_000] = "1,2,"
    error = refused(file("a,b\n" + "\n".join(lines) + "\n"), "ragged_rows")
    assert error.value == [{"line": 25_002, "fields": 3}]


def test_blank_lines_are_remarked(file, route):
    table = whence.read(file("a,b\n1,2\n\n3,4\n\n\n"))
    assert table.n_rows == 2
    assert [(r.code, r.evidence["lines"]) for r in table.remarks] == [("blank_lines", [3])]


def test_blank_line_of_one_column_is_a_missing_value(file, route):
    table = whence.read(file("a\n1.5\n\n4\n7\n"))
    assert table.n_rows == 4
    assert np.isnan(table.numeric("a")).tolist() == [False, True, False, False]


@pytest.mark.parametrize("content", ['a,b\n"x,2\n3,4\n', 'a,b\n1,2\n3,"4\n', 'a,b\n"5" pipe,2\n'])
def test_bad_quotes(file, route, content):
    refused(file(content), "bad_quotes")


# Bytes


def test_not_utf8_names_offset_and_line(file, route):
    error = refused(file(b"a,b\n1,x\n2,caf\xe9\n"), "not_utf8")
    assert error.value == {"offset": 13, "line": 3}
    assert "iconv" in error.hint


def test_not_utf8_far_down(file, route):
    body = b"a,b\n" + b"1,x\n" * 40_000 + b"2,\xff\n"
    error = refused(file(body), "not_utf8")
    assert error.value == {"offset": len(body) - 2, "line": 40_002}


def test_utf16(file):
    assert "UTF-16" in refused(file("a,b\n1,2\n".encode("utf-16")), "not_utf8").message


def test_byte_order_mark_is_accepted(file, route):
    assert whence.read(file(b"\xef\xbb\xbfa,b\n1,2\n3,4\n")).names == ("a", "b")


def test_binary_text_file(file, route):
    refused(file(b"PK\x03\x04\x00\x00a,b\n1,2\n"), "binary_file")


@pytest.mark.parametrize("content", [b"PAR1 nothing PAR1", b"hello", b"\x00" * 100])
def test_corrupt_parquet(file, content):
    refused(file(content, "t.parquet"), "unreadable_file")


def test_truncated_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": list(range(5000))}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-40])
    refused(path, "unreadable_file")


def test_corrupt_arrow_and_gzip(file):
    refused(file(b"hello hello", "t.feather"), "unreadable_file")
    refused(file(b"a,b\n1,2\n", "t.csv.gz"), "unreadable_file")
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 9999)
    refused(file(packed[:-20], "t.csv.gz"), "unreadable_file")


@pytest.mark.parametrize(
    "content",
    ["{", "[1, 2]", '"x"', "[]", '[{"a": 1}, 2]', '{"a": 1}', '[{"a": 1}]x', "", "[" * 100_000, "\x00"],
)
def test_bad_json(file, content):
    with pytest.raises(WhenceError) as caught:
        whence.read(file(content, "t.json"))
    assert caught.value.code in ("bad_json", "no_rows", "empty_file")


def test_json_places(file):
    assert refused(file('[{"a": 1},\n {"a": }]', "t.json"), "bad_json").value["line"] == 2
    refused(file('[{"a": 1, "a": 2}]', "t.json"), "duplicate_column")
    refused(file('{"a": [1, 2], "b": [1]}', "t.json"), "wrong_length")
    refused(file('[{"a": {"b": 1}}]', "t.json"), "unsupported_values")
    refused(file(b'[{"a": "\xff"}]', "t.json"), "not_utf8")


def test_bad_json_lines(file):
    refused(file('{"a": 1}\n{"a": \n', "t.ndjson"), "unreadable_file")
    refused(file('{"a": {"b": 1}}\n', "t.ndjson"), "unsupported_values")


# Values


def test_infinite_values_name_column_and_rows(file, route):
    path = file("a,b\n1,2\ninf,3\n3,-Infinity\n4,1e999\n")
    error = refused(path, "infinite_value")
    assert error.value["a"] == {"count": 1, "rows": [2]}
    assert error.value["b"] == {"count": 2, "rows": [3, 4]}
    marked = whence.read(path, missing=["inf", "-Infinity", "1e999"])
    assert np.isnan(marked.numeric("b")).sum() == 2


def test_infinite_values_in_memory():
    assert refused({"a": [1.0, math.inf, 3.0]}, "infinite_value").value["a"]["rows"] == [2]
    assert refused(pd.DataFrame({"a": [1.0, -math.inf]}), "infinite_value")
    assert whence.read({"a": [1.0, math.inf]}, missing=["inf"]).column("a").missing.tolist() == [False, True]


def test_infinite_values_in_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1.0, math.inf]}).write_parquet(path)
    assert refused(path, "infinite_value").value["a"]["rows"] == [2]


def test_all_missing_column_is_kept_and_remarked(file, route):
    path = file("a,b\n1,\n2,NA\n3,.\n")
    table = whence.read(path)
    assert table.kind("b") == "continuous"
    assert table.column("b").missing.all()
    assert "all_missing" in {r.code for r in whence.profile(path).remarks}


def test_numbers_with_a_few_words(file, route):
    lines = [str(i * 1.5) for i in range(50)]
    lines[6], lines[20] = "unknown", "high"
    table = whence.read(file("a\n" + "\n".join(lines) + "\n"))
    assert table.kind("a") == "text"
    (remark,) = table.remarks
    assert remark.code == "mostly_numbers"
    assert remark.evidence["rows"] == [7, 21]
    assert remark.evidence["examples"] == ["unknown", "high"]
    assert whence.profile(table).remarks[0] == remark


@pytest.mark.parametrize("written", ["1,234.50", "$5", "1.234,5", "12%", "3,5"])
def test_formatted_numbers_are_remarked(file, route, written):
    path = file("a;b\n" + "".join(f"{written[:-1]}{i % 10};{i}\n" for i in range(30)) if written[-1] != "%" else
                "a;b\n" + "".join(f"1{i}%;{i}\n" for i in range(30)))
    table = whence.read(path)
    assert table.kind("a") in ("text", "categorical")
    assert "formatted_numbers" in {r.code for r in table.remarks}


def test_underscored_digits_are_no_numbers(file, route):
    table = whence.read(file("a\n1_000\n2_000\n3_000\n"))
    assert table.kind("a") == "text"


def test_ambiguous_dates_are_remarked(file, route):
    table = whence.read(file("d\n" + "".join(f"0{1 + i % 9}/0{1 + i % 7}/2020\n" for i in range(60))))
    assert table.kind("d") in ("text", "categorical")
    assert "ambiguous_dates" in {r.code for r in table.remarks}


def test_impossible_date_stays_text(file, route):
    assert whence.read(file("d\n2020-01-30\n2020-02-30\n2020-03-30\n")).kind("d") == "text"


def test_large_whole_numbers_are_remarked(file, route):
    table = whence.read(file("a\n9007199254740993\n9007199254740995\n12\n"))
    assert "rounded_integers" in {r.code for r in table.remarks}


# Sources in memory


@pytest.mark.parametrize("source", [3, None, 2.5, object(), [1, 2], pd.Series([1, 2]), pd.DataFrame, {1, 2}, b"x"])
def test_no_table(source):
    refused(source, "unsupported_source")


def test_dict_troubles():
    assert refused({"a": [1, 2], "b": [1]}, "wrong_length").value == {"a": 2, "b": 1}
    refused({}, "no_columns")
    refused({"a": []}, "no_rows")
    refused({"a": 3}, "unsupported_source")
    refused({"a": "words"}, "unsupported_source")
    refused({"a": np.zeros((2, 2))}, "wrong_shape")
    refused({1: [1], "1": [2]}, "duplicate_column")


def test_array_troubles():
    refused(np.zeros(3), "wrong_shape")
    refused(np.zeros((2, 2, 2)), "wrong_shape")
    refused(np.zeros((0, 2)), "no_rows")
    refused(np.zeros((2, 0)), "no_columns")
    refused(np.zeros((3, 2)), "wrong_length", names=["a"])
    refused(np.zeros((3, 2)), "duplicate_column", names=["a", "a"])
    refused(np.zeros((3, 1), dtype=complex), "unsupported_values")


def test_frame_troubles():
    refused(pd.DataFrame({"a": []}), "no_rows")
    refused(pl.DataFrame({"a": []}), "no_rows")
    refused(pd.DataFrame(), "no_columns")
    refused(pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), "duplicate_column")
    refused(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), "duplicate_column")
    refused(pd.DataFrame([[1, 2]], columns=[1, "1"]), "duplicate_column")
    refused(pl.DataFrame({"a": [[1], [2]]}), "unsupported_values")
    refused(pl.DataFrame({"a": [{"x": 1}]}), "unsupported_values")
    refused(pd.DataFrame({"a": [{1}, {2}]}), "unsupported_values")
    assert refused(pd.DataFrame({"a": [1, [2]]}), "unsupported_values").value["row"] == 2
    refused(pd.DataFrame({"a": [1]}), "unexpected_names", names=["b"])


def test_mixed_types_become_text_with_a_remark():
    table = whence.read(pd.DataFrame({"a": [1, "two", None, True, 2.5]}))
    assert table.kind("a") == "text"
    (remark,) = table.remarks
    assert remark.code == "mixed_types"
    assert remark.evidence["first_rows"] == {"number": 1, "text": 2, "truth": 4}
    assert table.column("a").missing.tolist() == [False, False, True, False, False]


# Options


def test_unknown_options(file):
    path = file("a,b\n1,2\n2,3\n3,5\n")
    assert refused(path, "unknown_column", kinds={"c": "text"}).hint
    assert "categorical" in refused(path, "unknown_kind", kinds={"a": "categoric"}).hint
    refused(path, "bad_kinds", kinds=["text"])
    assert "outcome" in refused(path, "unknown_role", outcom="a").hint
    refused(path, "unknown_column", outcome="z")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("continuous", ["x", "y", "z"]), ("count", ["1", "2", "-3"]), ("count", ["1", "2.5", "3"]),
        ("binary", ["1", "2", "3"]), ("datetime", ["1", "2", "3"]), ("datetime", ["x", "y", "z"]),
        ("ordinal", ["low", "mid", "high"]), ("continuous", ["2020-01-01", "2020-01-02", "2020-01-03"]),
    ],
)
def test_values_that_are_not_of_the_kind(file, route, kind, values):
    error = refused(file("a\n" + "\n".join(values) + "\n"), "kind_mismatch", kinds={"a": kind})
    assert error.value == "a"


def wide(path, columns):
    rng = np.random.default_rng(1)
    with path.open("w") as f:
        f.write(",".join(f"v{i}" for i in range(columns)) + "\n")
        for row in rng.normal(size=(20, columns)).round(3):
            f.write(",".join(map(str, row)) + "\n")
    return path


def test_ten_thousand_columns(tmp_path):
    table = whence.read(wide(tmp_path / "wide.csv", 10_000))
    assert (table.n_rows, len(table.names)) == (20, 10_000)
    profile = whence.profile(table)
    assert len(profile.columns) == 10_000
    assert "not_examined" in {r.code for r in profile.remarks}


@pytest.mark.slow
def test_many_columns_through_the_database(tmp_path, monkeypatch):
    path = wide(tmp_path / "wide.csv", 2_000)
    expected = whence.read(path)
    monkeypatch.setattr(load, "SMALL_WIDE_FILE", 0)
    monkeypatch.setattr(largefile, "EAGER_CELLS", 0)
    table = whence.read(path)
    assert table.backing is not None
    assert len(whence.profile(table).columns) == 2_000
    assert table.hash == expected.hash
