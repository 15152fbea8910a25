"""Data with a known causal answer."""
