"""Reading: values, kinds, order and missing values come through, from every kind of source."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import gzip
import io
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import whence
from whence.data import largefile, load
from whence.data.parse import MARKERS

ROWS = "id,x,g,flag,d\n" + "".join(
    f"{i},{i * 0.5 if i % 4 else 'NA'},{'abc'[i % 3]},{'yes' if i % 2 else 'no'},2020-01-{1 + i % 28:02d}\n"
    for i in range(60)
)


def test_csv_kinds_and_missing(file, route):
    table = whence.read(file(ROWS), unit="id", outcome="x")
    assert table.kinds == {"id": "count", "x": "continuous", "g": "categorical", "flag": "binary", "d": "datetime"}
    assert table.levels("flag") == ("no", "yes")
    assert table.codes("flag")[:4].tolist() == [0, 1, 0, 1]
    assert table.column("x").missing.sum() == 15
    assert table.numeric("id").tolist() == list(range(60))
    assert table.column("d").values[1] == np.datetime64("2020-01-02")
    assert dict(table.roles) == {"unit": "id", "outcome": "x"}
    assert (table.backing is not None) == (route == "backed")


def test_every_route_gives_the_same_table(file, tmp_path):
    path = file(ROWS)
    frame = pl.read_csv(path, null_values="NA", try_parse_dates=True)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.ndjson")
    (tmp_path / "t.json").write_text(frame.with_columns(pl.col("d").cast(pl.String)).write_json())
    frame.write_ipc(tmp_path / "t.arrow")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    (tmp_path / "t.tsv").write_text(ROWS.replace(",", "\t"))
    sources = [tmp_path / n for n in ("t.parquet", "t.ndjson", "t.json", "t.arrow", "t.csv.gz", "t.tsv")]
    sources += [frame, frame.lazy(), frame.to_pandas(), frame.to_arrow(), frame.to_dict(as_series=False),
                frame.to_dict(as_series=True), frame.to_dicts()]
    expected = whence.read(path)
    for source in sources:
        assert whence.read(source).hash == expected.hash, source


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(file, route, delimiter, newline):
    text = newline.join([f"a{delimiter}b", f"1{delimiter}x", f"2{delimiter}y", f"3.5{delimiter}z"])
    for content in (text, text + newline):
        table = whence.read(file(content))
        assert table.numeric("a").tolist() == [1, 2, 3.5]
        assert list(table.column("b").values) == ["x", "y", "z"]


def test_quotes_with_newlines_and_delimiters(file, route):
    table = whence.read(file('a,"b, c"\n1,"x\ny"\n2,"say ""hi"""\n3,"p,q"\n'))
    assert table.names == ("a", "b, c")
    assert list(table.column("b, c").values) == ["x\ny", 'say "hi"', "p,q"]


@pytest.mark.parametrize("marker", sorted(MARKERS - {""}))
def test_markers_of_missing(file, route, marker):
    table = whence.read(file(f"a,b\n1.5,u\n{marker},{marker}\n3.5, {marker} \n7,w\n"))
    assert table.column("a").missing.tolist() == [False, True, False, False]
    assert table.column("b").missing.tolist() == [False, True, True, False]


def test_given_markers(file, route):
    path = file("a,b\n1.5,u\n-999,?\n-999.0,v\n7,w\n")
    table = whence.read(path, missing=["-999", "?"])
    assert table.column("a").missing.tolist() == [False, True, True, False]
    assert table.column("b").missing.tolist() == [False, True, False, False]
    memory = whence.read({"a": [1.5, -999, 2], "b": ["u", "?", "v"]}, missing=["-999", "?"])
    assert memory.column("a").missing.tolist() == memory.column("b").missing.tolist() == [False, True, False]


def test_order_of_many_rows(file, route):
    n = 150_000
    table = whence.read(file("i,h\n" + "".join(f"{i},{(i * 7919) % 1000003}\n" for i in range(n))))
    i = np.arange(n)
    assert (table.numeric("i") == i).all()
    assert (table.numeric("h") == (i * 7919) % 1000003).all()


def test_a_word_far_below_numbers(file, route):
    """The head of a file says nothing final about its columns."""
    lines = [f"{i},{i / 4}" for i in range(40_000)]
    lines[39_000] = "x,2"
    table = whence.read(file("a,b\n" + "\n".join(lines)), kinds={"a": "text"})
    assert table.column("a").values[39_000] == "x"
    assert table.column("a").values[7] == "7"
    assert table.numeric("b")[39_000] == 2


def test_dates(file, route):
    table = whence.read(file(
        "iso,zone,us,eu,slash\n2020-01-02,2020-01-01T10:00:00Z,01/31/2020,31.01.2020,2020/1/2\n"
        "2020-01-03 04:05,2020-01-01 10:00:00+02:00,02/03/2020,03.02.2020,2020/1/3\n"
        "NA,NA,NA,NA,NA\n"
    ))
    assert set(table.kinds.values()) == {"datetime"}
    assert str(table.column("iso").values[1]) == "2020-01-03T04:05:00.000000"
    assert str(table.column("zone").values[1]) == "2020-01-01T08:00:00.000000"
    for name in ("us", "eu"):
        assert [str(v)[:10] for v in table.column(name).values] == ["2020-01-31", "2020-02-03", "NaT"]
    assert str(table.column("slash").values[0])[:10] == "2020-01-02"
    assert table.column("iso").missing.tolist() == [False, False, True]


def test_kinds_given(file, route):
    path = file("a,b,c,d\n1,low,5,1\n2,high,6,0\n3,mid,7,1\n1,low,8,1\n")
    table = whence.read(path, kinds={"a": "categorical", "b": ["low", "mid", "high"], "c": "text", "d": "continuous"})
    assert table.kinds == {"a": "categorical", "b": "ordinal", "c": "text", "d": "continuous"}
    assert table.levels("a") == (1, 2, 3)
    assert table.codes("b").tolist() == [0, 2, 1, 0]
    assert list(table.column("c").values) == ["5", "6", "7", "8"]
    assert table.numeric("d").tolist() == [1, 0, 1, 1]


def test_kinds_of_a_table_can_be_changed():
    table = whence.read({"a": [1, 2, 3] * 10, "b": ["1", "2", "3"] * 10}, unit="a")
    changed = whence.read(table, kinds={"a": "categorical", "b": "continuous"}, time="b")
    assert changed.kinds == {"a": "categorical", "b": "continuous"}
    assert changed.numeric("b").tolist() == [1, 2, 3] * 10
    assert dict(changed.roles) == {"unit": "a", "time": "b"}
    assert whence.read(table) is table


def test_pandas_types():
    zone = pd.to_datetime(["2020-01-01 12:00", None, "2020-01-02 00:00"]).tz_localize("Europe/Paris")
    frame = pd.DataFrame({
        "nullable": pd.array([1, None, 300], dtype="Int64"), "truth": pd.array([True, None, False], dtype="boolean"),
        "words": pd.array(["u", None, "v"], dtype="string"), "level": pd.Categorical(["b", None, "a"]),
        "graded": pd.Categorical(["hi", "lo", "mid"], ["lo", "mid", "hi"], ordered=True), "zone": zone,
        "money": [decimal.Decimal("1.5"), None, decimal.Decimal("2")], "day": [dt.date(2020, 1, 1), None, None],
        "span": pd.to_timedelta([1, None, 3], unit="s"), "small": np.array([1, 2, 3], dtype="int8"),
        "objects": np.array([1, None, 2.5], dtype=object),
    })
    table = whence.read(frame)
    assert np.isnan(table.numeric("nullable")).tolist() == [False, True, False]
    assert table.kind("truth") == "binary"
    assert table.codes("truth").tolist() == [1, -1, 0]
    assert table.column("words").missing.tolist() == [False, True, False]
    assert table.levels("level") == ("a", "b")
    assert table.codes("graded").tolist() == [2, 0, 1]
    assert table.kind("graded") == "ordinal"
    assert str(table.column("zone").values[0]) == "2020-01-01T11:00:00.000000"
    assert table.column("zone").missing.tolist() == [False, True, False]
    assert table.numeric("money")[0] == 1.5
    assert table.kind("day") == "datetime"
    assert table.column("span").missing.tolist() == [False, True, False]
    assert table.numeric("span")[2] == 3
    assert table.numeric("objects")[2] == 2.5
    assert {"times_in_utc", "durations_as_seconds"} <= {r.code for r in table.remarks}


def test_frames_with_odd_names_and_index():
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=[0, ("a", "b")], index=["r1", "r2"])
    table = whence.read(frame)
    assert table.names == ("0", "('a', 'b')")
    assert "index_left_out" in {r.code for r in table.remarks}
    assert whence.read(pd.DataFrame({"a": [1, 2, 3, 4]}).query("a > 2")).remarks == ()


def test_arrow_and_polars_types():
    arrow = pa.table({"d": pa.array([decimal.Decimal("1.25"), None]), "c": pa.array(["x", None]).dictionary_encode(),
                      "n": pa.nulls(2), "b": pa.array([True, None])})
    table = whence.read(arrow)
    assert table.numeric("d")[0] == 1.25
    assert table.column("c").missing.tolist() == [False, True]
    assert table.column("n").missing.all()
    polars = whence.read(pl.DataFrame({"t": [dt.time(1), None], "e": pl.Series(["x", "y"], dtype=pl.Enum(["y", "x"]))}))
    assert polars.column("t").values[0] == "01:00:00"
    assert polars.codes("e").tolist() == [1, 0]


def test_arrays():
    assert whence.read(np.arange(6.0).reshape(3, 2)).names == ("x1", "x2")
    table = whence.read(np.array([[1, "u"], [None, "v"]], dtype=object), names=["n", "w"])
    assert table.column("n").missing.tolist() == [False, True]
    structured = np.array([(1, 2.5), (2, 3.5)], dtype=[("i", int), ("f", float)])
    assert whence.read(structured).names == ("i", "f")
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    assert whence.read({"m": masked}).column("m").missing.tolist() == [False, True, False]


def test_the_callers_array_stays_writeable():
    values = np.arange(5.0)
    table = whence.read({"a": values})
    values[0] = 9
    assert table.numeric("a")[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        table.numeric("a")[0] = 1


def test_parquet_types(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({
        "A": [1, None, 3], "a": [True, None, False], "s": ["x", None, "z"],
        "t": [dt.datetime(2020, 1, 1, 5), None, None],
        "z": pl.Series([dt.datetime(2020, 1, 1, 5), None, None]).dt.replace_time_zone("Asia/Tokyo"),
        "e": pl.Series(["u", "v", None], dtype=pl.Categorical), "l": pl.Series([1.5, float("nan"), None]),
    }).write_parquet(path)
    table = whence.read(path)
    assert table.names == ("A", "a", "s", "t", "z", "e", "l")
    assert table.codes("a").tolist() == [1, -1, 0]
    assert str(table.column("z").values[0])[:16] == "2019-12-31T20:00"
    assert table.column("l").missing.tolist() == [False, True, True]
    assert table.column("s").missing.tolist() == [False, True, False]


def test_backed_table_pickles_selects_and_cleans_up(file, monkeypatch):
    import gc
    from pathlib import Path

    monkeypatch.setattr(load, "SMALL_FILE", -1)
    monkeypatch.setattr(largefile, "EAGER_CELLS", -1)
    table = whence.read(file(ROWS))
    folder = Path(table.backing.database.folder)
    assert folder.is_dir()
    again = pickle.loads(pickle.dumps(table))
    assert again.hash == table.hash
    assert again.backing is None
    part = table.select(["x", "g"]).take(np.arange(5))
    assert part.n_rows == 5
    del table
    gc.collect()
    assert not folder.exists()


def test_shown_in_a_notebook(file):
    html = whence.read(file("<a>,b\n<script>,1\nNA,2\nz,3\n"))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


# What a text file cannot tell apart is left out: words that read as numbers, dates or markers.
letters = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\n\t,;|\"'")
words = st.text(letters, min_size=1, max_size=8).filter(lambda s: s.strip() == s and s not in MARKERS and "_" not in s)
plain_words = st.builds(lambda s: "w" + s, words).map(lambda s: s.strip())
finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
columns = st.integers(1, 12).flatmap(
    lambda n: st.lists(
        st.one_of(
            st.lists(st.none() | finite, min_size=n, max_size=n),
            st.lists(st.none() | plain_words, min_size=n, max_size=n),
            st.lists(st.none() | st.integers(-50, 50), min_size=n, max_size=n),
        ), min_size=1, max_size=4,
    )
)


@pytest.mark.parametrize("small", [True, False])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=columns)
def test_round_trip_through_csv(data, small, tmp_path, monkeypatch):
    """Values, missing values and the number of rows survive a dict -> CSV -> read round trip."""
    monkeypatch.setattr(load, "SMALL_FILE", load.SMALL_FILE if small else -1)
    names = [f"c{i}" for i in range(len(data))]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow([*names, "end"])
    for row in zip(*data, strict=True):
        writer.writerow([*("" if v is None else repr(v) if isinstance(v, float) else v for v in row), "w"])
    path = tmp_path / "t.csv"
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    table = whence.read(path)
    assert table.n_rows == len(data[0])
    for name, values in zip(names, data, strict=True):
        column = table.column(name)
        assert column.missing.tolist() == [v is None for v in values]
        got = column.values if column.levels is None else [column.levels[c] if c >= 0 else None for c in column.values]
        for mine, theirs in zip(got, values, strict=True):
            assert theirs is None or mine == theirs
