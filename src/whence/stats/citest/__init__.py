"""Conditional independence tests, one per file."""
