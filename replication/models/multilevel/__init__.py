"""Multilevel models with a known covariance of errors: nested and crossed random effects, cluster-robust inference."""
