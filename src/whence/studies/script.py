"""A study as a Python script that gives the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whence.data.table import Table
from whence.graphs.graph import Graph
from whence.identification.spec import Spec


def script(
    table: Table, source: str | None, spec: Spec, method: str, parameters: Mapping[str, Any], seed: int,
    kinds: Mapping[str, str], missing: Sequence[str], graph: Graph | None, question: str | None,
) -> str:
    """Python text that reads the data, checks that they are the same, and repeats the estimate and the checks.

    source: a path, or None for data that were in memory (the script then says what to put there).
    kinds, missing: as given to ``read``.
    """
    lines = ["# Repeats the numbers of a whence study."]
    if question:
        lines.append(f"# Question: {' '.join(question.split())}")
    lines += ["import whence", ""]
    arguments = [repr(source if source is not None else "data.csv")]
    if kinds:
        arguments.append(f"kinds={dict(sorted(kinds.items()))!r}")
    if missing:
        arguments.append(f"missing={list(missing)!r}")
    remark = "" if source is not None else "  # the data were in memory: save them here first"
    lines.append(f"table = whence.read({', '.join(arguments)}){remark}")
    lines.append(f"assert table.hash == {table.hash!r}, 'these are not the data of the study'")
    lines.append(f"spec = whence.Spec.from_json(r'''{spec.to_json()}''')")
    if graph is not None:
        lines.append(f"graph = whence.graph({graph.to_dict()!r})")
    given = "".join(f", {name}={value!r}" for name, value in sorted(parameters.items()))
    lines.append(f"effect = whence.estimate(table, spec, method={method!r}, seed={seed}{given})")
    lines.append("print(effect)")
    drawn = ", graph=graph" if graph is not None else ""
    lines.append(f"for check in whence.check(table, effect{drawn}, seed={seed}):")
    lines.append("    print(check)")
    return "\n".join(lines) + "\n"
