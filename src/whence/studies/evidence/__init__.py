"""Evidence for each design, from the words of a description and from the data."""
