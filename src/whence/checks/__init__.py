"""Checks of an estimate: each says what would have worried us and what we saw."""
