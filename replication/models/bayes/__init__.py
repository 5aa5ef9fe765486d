"""Bayesian meta-analysis: priors as records, exact posteriors by quadrature, sampled ones where quadrature ends.

- `priors/`      prior records, each with its reason; default sets, and priors built from a published estimate
- `exact/`       two and three levels: standard deviations integrated out with a measured error
- `sampled/`     PyMC models drawn by nutpie, each behind a convergence gate
- `averaging/`   models of publication bias, averaged by exact marginal likelihoods
"""
