"""Two-level random-effects models: one effect a study, between-study variance, meta-regression, influence."""
