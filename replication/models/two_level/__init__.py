"""Two-level random-effects models: one effect per study, between-study variance, meta-regression, influence."""
