"""The one facade all faces call: plan, run, finding."""
