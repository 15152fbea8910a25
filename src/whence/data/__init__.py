"""Data in: tables with kinds, reading, profiles, moments, missing values."""
