"""Meta-analytic structural equation modelling: path and factor models on the correlations of many studies.

    data = correlations_from_rows(study, n, var_a, var_b, r)          # or correlations_from_matrices
    pool = fit_stage1_random(data)                                    # or fit_stage1_fixed
    paths = fit_stage2(pool, "enga ~ a*pos + neg; achiev ~ b*enga; ind := a*b")
    likelihood_intervals(paths, ["ind"])
    one = fit_one_stage(data, "...", moderators={"ses": "paths"})     # all in one stage

Variables match by name, never by position. What is not used is in `data.audit`, and every fit carries it.
"""

from replication.models.masem.audit import Audit, AuditEntry
from replication.models.masem.comparison import explained_heterogeneity, likelihood_ratio_test, one_stage_indices
from replication.models.masem.correlations import CorrelationSet, pair_names
from replication.models.masem.effects import Effect
from replication.models.masem.fit_indices import ChiSquareTest, FitIndices
from replication.models.masem.matrices import LabelledMatrix, correlations_from_matrices, correlations_from_rows
from replication.models.masem.model_text import PathModel, parse_model
from replication.models.masem.multigroup import GroupFit, equality_test, fit_groups, group_intervals
from replication.models.masem.osmasem import OneStageFit, fit_one_stage, one_stage_intervals
from replication.models.masem.sampling_covariance import PooledCorrelations, pooled_correlations
from replication.models.masem.stage1 import RandomPool, fit_stage1_random, pool_intervals, tau2_intervals
from replication.models.masem.stage1_fixed import FixedPool, fit_stage1_fixed
from replication.models.masem.stage2 import PathFit, fit_stage2, likelihood_intervals

__all__ = [
    "Audit",
    "AuditEntry",
    "ChiSquareTest",
    "CorrelationSet",
    "Effect",
    "FitIndices",
    "FixedPool",
    "GroupFit",
    "LabelledMatrix",
    "OneStageFit",
    "PathFit",
    "PathModel",
    "PooledCorrelations",
    "RandomPool",
    "correlations_from_matrices",
    "correlations_from_rows",
    "equality_test",
    "explained_heterogeneity",
    "fit_groups",
    "fit_one_stage",
    "fit_stage1_fixed",
    "fit_stage1_random",
    "fit_stage2",
    "group_intervals",
    "likelihood_intervals",
    "likelihood_ratio_test",
    "one_stage_indices",
    "one_stage_intervals",
    "pair_names",
    "parse_model",
    "pool_intervals",
    "pooled_correlations",
    "tau2_intervals",
]
