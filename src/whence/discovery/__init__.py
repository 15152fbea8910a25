"""Causal discovery: one method per file, each with its card."""
