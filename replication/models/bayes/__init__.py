"""Bayesian meta-analysis: priors as records, exact posteriors by quadrature, sampled ones where quadrature ends.

Layout, imports run from top to bottom:

- `priors.py`        prior records, each with its reason (own files: `positive_priors`, `coefficient_priors`)
- `informed.py`      default prior sets, and priors built from a published estimate by a recipe that is shown
- `quadrature.py`    adaptive Gauss-Legendre cells in one to a few dimensions
- `marginals.py`     one-dimensional posteriors; `summaries.py`: their mode, median, intervals and curves
- `gaussian.py`      y given the standard deviations: coefficients and effects integrated out
- `model.py`         data, priors and axes of integration in computed units; `tails.py`: does the posterior exist
- `integration.py`   the standard deviations integrated out, with a measured error
- `exact_data.py`    what is fitted, also under a restriction; `joint.py`: joint densities
- `posterior.py`     what can be asked of an exact posterior
- `exact.py`         `exact_two_level`, `exact_three_level`
- `pymc_models.py`   models that need sampling
"""
