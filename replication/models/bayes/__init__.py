"""Bayesian meta-analysis: priors as records, exact posteriors by quadrature, sampled ones where quadrature ends.

- `priors/`      prior records, each with its reason; default sets, and priors built from a published estimate
- `exact/`       two and three levels: standard deviations integrated out with a measured error
- `sampled/`     PyMC models drawn by nutpie, each behind a convergence gate
- `averaging/`   models of publication bias, averaged by exact marginal likelihoods
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replication.lazily import on_first_use

if TYPE_CHECKING:
    from replication.models.bayes.arviz_data import inference_data
    from replication.models.bayes.averaging.averaging import Averaged, average_models
    from replication.models.bayes.averaging.bias_models import BiasPriors, bias_priors, psma_models
    from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
    from replication.models.bayes.exact.posterior import ExactPosterior
    from replication.models.bayes.exact.summaries import density_curve, summarize
    from replication.models.bayes.joint_draws import JointDraws, draw_exact
    from replication.models.bayes.priors import (
        Cauchy,
        Exponential,
        Fixed,
        Flat,
        HalfCauchy,
        HalfNormal,
        HalfT,
        InverseGamma,
        LogNormal,
        Normal,
        Power,
        StudentT,
        Uniform,
    )
    from replication.models.bayes.priors.informed import (
        correlation_priors,
        prior_from_published,
        sensitivity_priors,
        tau_prior_from_published,
    )
    from replication.models.bayes.sampled.agreement import compare_with_exact
    from replication.models.bayes.sampled.selection import sample_selection, selection_data

__all__ = [
    "Averaged",
    "BiasPriors",
    "Cauchy",
    "ExactPosterior",
    "Exponential",
    "Fixed",
    "Flat",
    "HalfCauchy",
    "HalfNormal",
    "HalfT",
    "InverseGamma",
    "JointDraws",
    "LogNormal",
    "Normal",
    "Power",
    "StudentT",
    "Uniform",
    "average_models",
    "bias_priors",
    "compare_with_exact",
    "correlation_priors",
    "density_curve",
    "draw_exact",
    "exact_three_level",
    "exact_two_level",
    "inference_data",
    "prior_from_published",
    "psma_models",
    "sample_selection",
    "selection_data",
    "sensitivity_priors",
    "summarize",
    "tau_prior_from_published",
]

__getattr__ = on_first_use(
    "replication.models.bayes",
    {
        "replication.models.bayes.averaging.averaging": ("Averaged", "average_models"),
        "replication.models.bayes.averaging.bias_models": ("BiasPriors", "bias_priors", "psma_models"),
        "replication.models.bayes.exact.exact": ("exact_three_level", "exact_two_level"),
        "replication.models.bayes.exact.posterior": ("ExactPosterior",),
        "replication.models.bayes.exact.summaries": ("density_curve", "summarize"),
        "replication.models.bayes.arviz_data": ("inference_data",),
        "replication.models.bayes.joint_draws": ("JointDraws", "draw_exact"),
        "replication.models.bayes.priors": (
            "Cauchy",
            "Exponential",
            "Fixed",
            "Flat",
            "HalfCauchy",
            "HalfNormal",
            "HalfT",
            "InverseGamma",
            "LogNormal",
            "Normal",
            "Power",
            "StudentT",
            "Uniform",
        ),
        "replication.models.bayes.priors.informed": (
            "correlation_priors",
            "prior_from_published",
            "sensitivity_priors",
            "tau_prior_from_published",
        ),
        "replication.models.bayes.sampled.agreement": ("compare_with_exact",),
        "replication.models.bayes.sampled.selection": ("sample_selection", "selection_data"),
    },
)
