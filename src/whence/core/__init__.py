"""What every layer shares: errors, results, cards, seeds, progress, executors, hashes."""
