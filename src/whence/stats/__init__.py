"""Numbers from arrays: regressions, learners, resampling, independence tests."""
