"""Averaging over models of publication bias, each with an exact marginal likelihood."""
