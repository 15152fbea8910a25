"""Graphs: storage apart from analysis, transforms, formats and layout."""
