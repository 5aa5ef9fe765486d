"""Exact posteriors by quadrature, with a measured numerical error."""
