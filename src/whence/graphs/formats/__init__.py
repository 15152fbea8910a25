"""Graph formats: text and objects in and out."""
