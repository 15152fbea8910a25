"""Lists of neighbours as people write them, and the network they make."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.load import read
from whence.data.network import Network, read_network, with_neighbours


def network(units, lists, **kinds):
    table = read({"unit": units, "near": lists}, kinds=kinds)
    return read_network(table.column("unit"), table.column("near"))


def pairs(net: Network) -> set[tuple[int, int]]:
    return set(zip(net.heads.tolist(), net.links.tolist(), strict=True))


@pytest.mark.parametrize("lists", [
    ["2 3", "1", "1"], ["2,3", "1", "1"], ["2; 3", "1", "1"], ["[2, 3]", "['1']", "(1)"], ["2|3", "1.0", " 1 "],
    ["2.0 3.0", "1", "1"],
])
def test_lists_are_read_as_people_write_them(lists):
    net, said = network([1, 2, 3], lists, near="text")
    assert pairs(net) == {(0, 1), (0, 2), (1, 0), (2, 0)} and not said
    assert net.degree.tolist() == [2, 1, 1]


def test_names_may_hold_a_separator():
    net, _ = network(["New York", "Washington, DC", "Ohio"], ["Washington, DC; Ohio", "New York", ""], near="text")
    assert pairs(net) == {(0, 1), (0, 2), (1, 0)}


def test_a_column_of_single_numbers_is_a_list_too():
    net, _ = network([10, 20, 30], [20.0, 10.0, np.nan])
    assert pairs(net) == {(0, 1), (1, 0)} and net.degree.tolist() == [1, 1, 0]


def test_what_is_left_out_is_said():
    net, said = network(["a", "b", "c"], ["a b b", "a", "b"], near="text")
    assert pairs(net) == {(0, 1), (1, 0), (2, 1)}
    found = {remark.code: remark.evidence for remark in said}
    assert found["self_links_dropped"]["links"] == 1 and found["repeated_links"]["links"] == 1
    assert found["one_sided_links"] == {"one_sided": 1, "links": 3}


@pytest.mark.parametrize("units, lists, code, seen", [
    (["a", "b"], ["b", "z a"], "unknown_units", "'z'"), (["a", "a"], ["b", "a"], "unit_repeated", "another row"),
    (["a", "b"], ["", "b"], "no_links", "no neighbour"),
])
def test_lists_that_make_no_network_are_refused(units, lists, code, seen):
    found = network(units, lists, near="text", unit="text")
    assert isinstance(found, Refused) and found.code == code and seen in found.reason


def test_sums_components_and_both_directions():
    net = Network.of(6, np.array([0, 1, 3, 4, 4]), np.array([1, 2, 4, 3, 4]))
    values = np.arange(6.0)
    by_hand = [sum(values[j] for i, j in pairs(net) if i == row) for row in range(6)]
    assert net.sums(values).tolist() == by_hand
    assert pairs(net.mutual) == {(0, 1), (1, 0), (1, 2), (2, 1), (3, 4), (4, 3)}
    assert [net.components.tolist().index(c) for c in net.components.tolist()] == [0, 0, 0, 3, 3, 5]


@pytest.mark.parametrize("names", [[1, 2, 3, 4], ["a b", "c", "d", "e"], ["a; b", "c", "d", "e"]])
def test_links_from_a_table_of_edges_come_back(names):
    table = read({"who": names, "y": [1.0, 2.0, 3.0, 4.0]})
    edges = {"from": [names[0], names[1]], "to": [names[1], names[2]], "since": [1, 2]}
    made = with_neighbours(table, edges, "who")
    net = read_network(made.column("who"), made.column("neighbours"))
    assert not isinstance(net, Refused) and pairs(net[0]) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    one_way = with_neighbours(table, edges, "who", ends=("to", "from"), directed=True, column="near")
    net = read_network(one_way.column("who"), one_way.column("near"))
    assert not isinstance(net, Refused) and pairs(net[0]) == {(1, 0), (2, 1)}


@pytest.mark.parametrize("edges, options, code", [
    ({"from": [1, 9], "to": [2, 1]}, {}, "unknown_unit"), ({"from": [1, 2]}, {}, "bad_edges"),
    ({"from": [1.0, np.nan], "to": [2, 1]}, {}, "bad_edges"),
    ({"from": [1], "to": [2]}, {"column": "y"}, "column_exists"),
    ({"from": [1], "to": [2]}, {"ends": ("from", "too")}, "unknown_column"),
])
def test_edges_that_cannot_be_used(edges, options, code):
    table = read({"who": [1, 2, 3], "y": [1.0, 2.0, 3.0]})
    with pytest.raises(WhenceError) as caught:
        with_neighbours(table, edges, "who", **options)
    assert caught.value.code == code
