"""Meta-analytic models: numbers in, a frozen `Fit` out.

Three ideas carry this package:

1. A model takes effects `y (k,)`, their sampling variances `v (k,)` or covariance `V`, and moderators `X (k, p)`.
   It knows nothing of files, studies or claims.
2. It returns a frozen `Fit` that holds every choice made, by name. Nothing mutates a fit; robust inference is a
   function from a fit to another fit.
3. What did not go smoothly (a variance on its bound, rows left out, no convergence) is a `Note` on the fit: a value,
   not a warning lost on a screen.

Shape letters: k effects, m clusters, p coefficients, q variance components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replication.lazily import on_first_use

if TYPE_CHECKING:
    from replication.models.criteria import akaike_weights, average_coefficients, information_criteria, likelihood_ratio
    from replication.models.fit import Component, Fit, Heterogeneity, Interval, Note
    from replication.models.multilevel.cluster_influence import cluster_influence
    from replication.models.multilevel.multilevel import fit_multilevel
    from replication.models.multilevel.multivariate import KnownCorrelation, fit_multivariate
    from replication.models.multilevel.residuals import row_diagnostics, variance_inflation
    from replication.models.multilevel.results import (
        cluster_effects,
        leave_one_cluster_out,
        profile_intervals,
        profile_log_likelihood,
        row_sum_weights,
        variance_shares,
    )
    from replication.models.multilevel.robust import contrast_df, fit_che, reweight, robust, wald_test
    from replication.models.multilevel.structure import BlockV
    from replication.models.prediction import Prediction, blups, predict, prediction_interval
    from replication.models.two_level.batch import BatchFits, fit_batch
    from replication.models.two_level.count_models import fit_counts, study_counts
    from replication.models.two_level.influence import baujat, cumulative, gosh, influence, leave_one_out
    from replication.models.two_level.intervals import heterogeneity_intervals, tau2_interval
    from replication.models.two_level.location_scale import fit_location_scale
    from replication.models.two_level.random_effects import fit_random_effects
    from replication.models.two_level.resampling import bootstrap, permutation_test

__all__ = [
    "BatchFits",
    "BlockV",
    "Component",
    "Fit",
    "Heterogeneity",
    "Interval",
    "KnownCorrelation",
    "Note",
    "Prediction",
    "akaike_weights",
    "average_coefficients",
    "baujat",
    "blups",
    "bootstrap",
    "cluster_effects",
    "cluster_influence",
    "contrast_df",
    "cumulative",
    "fit_batch",
    "fit_che",
    "fit_counts",
    "fit_location_scale",
    "fit_multilevel",
    "fit_multivariate",
    "fit_random_effects",
    "gosh",
    "heterogeneity_intervals",
    "influence",
    "information_criteria",
    "leave_one_cluster_out",
    "leave_one_out",
    "likelihood_ratio",
    "permutation_test",
    "predict",
    "prediction_interval",
    "profile_intervals",
    "profile_log_likelihood",
    "reweight",
    "robust",
    "row_diagnostics",
    "row_sum_weights",
    "study_counts",
    "tau2_interval",
    "variance_inflation",
    "variance_shares",
    "wald_test",
]

__getattr__ = on_first_use(
    "replication.models",
    {
        "replication.models.criteria": (
            "akaike_weights",
            "average_coefficients",
            "information_criteria",
            "likelihood_ratio",
        ),
        "replication.models.fit": ("Component", "Fit", "Heterogeneity", "Interval", "Note"),
        "replication.models.multilevel.cluster_influence": ("cluster_influence",),
        "replication.models.multilevel.multilevel": ("fit_multilevel",),
        "replication.models.multilevel.multivariate": ("KnownCorrelation", "fit_multivariate"),
        "replication.models.multilevel.residuals": ("row_diagnostics", "variance_inflation"),
        "replication.models.multilevel.results": (
            "cluster_effects",
            "leave_one_cluster_out",
            "profile_intervals",
            "profile_log_likelihood",
            "row_sum_weights",
            "variance_shares",
        ),
        "replication.models.multilevel.robust": ("contrast_df", "fit_che", "reweight", "robust", "wald_test"),
        "replication.models.multilevel.structure": ("BlockV",),
        "replication.models.prediction": ("Prediction", "blups", "predict", "prediction_interval"),
        "replication.models.two_level.batch": ("BatchFits", "fit_batch"),
        "replication.models.two_level.influence": ("baujat", "cumulative", "gosh", "influence", "leave_one_out"),
        "replication.models.two_level.intervals": ("heterogeneity_intervals", "tau2_interval"),
        "replication.models.two_level.count_models": ("fit_counts", "study_counts"),
        "replication.models.two_level.location_scale": ("fit_location_scale",),
        "replication.models.two_level.random_effects": ("fit_random_effects",),
        "replication.models.two_level.resampling": ("bootstrap", "permutation_test"),
    },
)
