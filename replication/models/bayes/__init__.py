"""Bayesian meta-analysis: priors as records, exact posteriors by quadrature, sampled ones where quadrature ends.

Layout, imports run from top to bottom:

- `priors.py`        prior records, each with its reason (own files: `positive_priors`, `coefficient_priors`)
- `informed.py`      default prior sets, and priors built from a published estimate by a recipe that is shown
- `quadrature.py`    adaptive Legendre panels for many one-dimensional integrals at once
- `marginals.py`     one-dimensional posteriors: mean, sd, mode, quantiles, intervals, curves
- `gaussian.py`      y given the standard deviations: coefficients and effects integrated out
- `nested.py`        the standard deviations integrated out, one inside the other
- `exact.py`         `fit_exact`: two levels, three levels, meta-regression; `posterior.py` is what it returns
- `pymc_models.py`   models that need sampling
"""
