"""All methods on the protein data of Sachs et al. (2005) beside the consensus graph: ``bench/scores.py --sachs DIR``.

DIR holds ``sachs.2005.continuous.txt`` and ``sachs.2005.discrete.txt`` (tab-separated, names in the first line) and
``sachs.truth.txt`` (numbered lines ``1. a --> b``). The rows pool experiments with interventions, which none of the
methods below is told, so that none can be right about all arrows.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = (("pc", {}), ("fci", {}), ("boss", {}), ("boss", {"penalty": 2.0}), ("ges", {}),
           ("exact", {}), ("posterior", {}))
LEVELS = (("pc", {"test": "chi2"}), ("pc", {"test": "g2"}), ("fci", {}), ("boss", {}), ("boss", {"score": "qnml"}),
          ("boss", {"score": "discrete_bic"}), ("ges", {}), ("exact", {}), ("posterior", {}))


def columns(path: Path, levels: bool) -> dict[str, Any]:
    names = path.read_text().split("\n", 1)[0].split()
    values = np.loadtxt(path, skiprows=1)
    return {n: [f"l{int(v)}" for v in x] if levels else x for n, x in zip(names, values.T, strict=True)}


def compare(marks: np.ndarray, names: tuple[str, ...], arrows: set[tuple[str, str]]) -> str:
    """Skeleton and orientation against the consensus. An edge counts as oriented with an arrowhead at one end only."""
    from discovery import scores
    from whence.graphs.orient import class_of

    at = {n: i for i, n in enumerate(names)}
    true = np.zeros(marks.shape, dtype=np.int8)
    for a, b in arrows:
        true[at[a], at[b]], true[at[b], at[a]] = 2, 3
    found, near = np.triu((marks != 0) | (marks.T != 0)), np.triu((true != 0) | (true.T != 0))
    both = int((found & near).sum())
    right = sum(marks[at[a], at[b]] == 2 and marks[at[b], at[a]] != 2 for a, b in arrows)
    wrong = sum(marks[at[b], at[a]] == 2 and marks[at[a], at[b]] != 2 for a, b in arrows)
    precision, recall = both / max(found.sum(), 1), both / near.sum()
    return (f"{found.sum():3d} edges, skeleton precision {precision:.2f} recall {recall:.2f} "
            f"F1 {2 * both / (found.sum() + near.sum()):.2f}; arrows {right} right {wrong} wrong "
            f"{both - right - wrong} open; SHD to its class {scores(marks, class_of(true))['SHD']}")


def table(folder: str) -> None:
    """Prints a line for every method and both tables."""
    import whence

    root = Path(folder)
    text = (root / "sachs.truth.txt").read_text()
    arrows = set(re.findall(r"^\d+\. (\w+) --> (\w+)", text, re.MULTILINE))
    print(f"{len(arrows)} arrows in the consensus")
    for kind, methods in (("continuous", NUMBERS), ("discrete", LEVELS)):
        source = whence.read(columns(root / f"sachs.2005.{kind}.txt", kind == "discrete"))
        for method, parameters in methods:
            start = time.process_time()
            if method == "posterior":
                found = whence.posterior(source)
                names, marks = found.names, np.where(found.edges > 0.5, 2, np.where(found.edges.T > 0.5, 3, 0))
            else:
                graph = whence.discover(source, method, **parameters).graph
                names, marks = graph.names, graph.marks
            spent = time.process_time() - start
            label = " ".join([method, *(f"{k}={v}" for k, v in parameters.items())])
            print(f"{kind}, {label}: {compare(marks.astype(np.int8), names, arrows)}; {spent:.2f} s CPU", flush=True)
