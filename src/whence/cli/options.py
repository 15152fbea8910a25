"""Arguments that several commands share, each said once."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter, validators

Data = Annotated[str, Parameter(name="DATA", help="File to read: CSV, TSV, Parquet, JSON or Feather.")]
Json = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Print one JSON object and nothing else.")
]
Seed = Annotated[
    int,
    Parameter(
        name="--seed", validator=validators.Number(gte=0),
        help="Seed of the random numbers: same seed, same answer.",
    ),
]
Kinds = Annotated[
    tuple[str, ...],
    Parameter(
        name=("--kinds", "--kind"), metavar="COLUMN=KIND", negative="", consume_multiple=True, show_default=False,
        help="Kind of a column where the inferred one is wrong: continuous, binary, categorical, ordinal, count, "
        "datetime or text.",
    ),
]
Missing = Annotated[
    tuple[str, ...],
    Parameter(
        name="--missing", metavar="WORD", negative="", show_default=False, allow_leading_hyphen=True,
        help="A word that stands for a missing value, such as -999; may be repeated.",
    ),
]
Method = Annotated[
    str, Parameter(name="--method", metavar="NAME", help="Name of a method; `whence methods` lists them.")
]
Params = Annotated[
    tuple[str, ...],
    Parameter(
        name="--param", metavar="NAME=VALUE", negative="", consume_multiple=True, show_default=False,
        help="Parameter of the method; `whence methods METHOD` explains them.",
    ),
]
KnowledgeFile = Annotated[
    str | None,
    Parameter(
        name="--knowledge", metavar="FILE",
        help="What is known of the graph: lines 'tier: age sex', 'require a --> b', 'forbid a --> b'; or JSON.",
    ),
]
GraphSource = Annotated[
    str | None,
    Parameter(
        name="--graph", metavar="GRAPH",
        help="Causal graph: a file, text such as 'a --> b; b --> c', or the word learn to learn it from the data.",
    ),
]
SpecFile = Annotated[
    str,
    Parameter(
        name="--spec", metavar="FILE", help="Specification, as JSON: strategy, treatments, outcomes, controls ..."
    ),
]
Report = Annotated[str | None, Parameter(name="--report", metavar="FILE", help="Write the HTML report here.")]
Script = Annotated[
    str | None, Parameter(name="--script", metavar="FILE", help="Write Python that repeats the numbers here.")
]
