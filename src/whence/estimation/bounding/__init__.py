"""Methods of ``whence.bounds``, one per file."""
