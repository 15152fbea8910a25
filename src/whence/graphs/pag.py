"""From a MAG to its class, the PAG: what every MAG with the same separations has in common."""

from __future__ import annotations

import numpy as np

from whence.graphs.classes import ADMG, DAG, MAG, PAG
from whence.graphs.mag import to_mag
from whence.graphs.zhang import class_of_mag


def to_pag(graph: DAG | ADMG | MAG | PAG) -> PAG:
    """The PAG: an arrowhead or a tail where all Markov equivalent MAGs have it, a circle where they differ.

    A DAG or ADMG is turned into its MAG first. The class is that of all MAGs, those with --- (selection)
    among them; the rules R5 to R7, which concern --- only, are applied and never turn an end of a graph
    without it.

    Raises ``WhenceError`` (``unsupported_graph``) for a class of DAGs.
    Source: Zhang (2008); whence.graphs.zhang has the rules.
    """
    if isinstance(graph, PAG):
        return graph
    mag = to_mag(graph)
    order = sorted(range(len(mag)), key=mag.names.__getitem__)
    back = np.argsort(order)
    marks = class_of_mag(mag.marks[np.ix_(order, order)])
    return PAG(mag.names, marks[np.ix_(back, back)])
