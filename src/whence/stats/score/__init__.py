"""Decomposable scores of graphs: one per file."""
