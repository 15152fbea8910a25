"""From a finding to a page a person reads."""
