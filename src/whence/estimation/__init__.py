"""Estimators and designs: one per file, each with its card."""
