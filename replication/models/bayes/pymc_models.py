"""The models that need sampling, in one place: PyMC models drawn by nutpie, each behind a convergence gate.

- `sample_multilevel`  all relationship x outcome correlations at once; with fewer parts the two- and three-level models
- `sample_selection`   random effects with publication weights by steps of the p value
- `sample_roles`       bullying roles: multilevel multinomial logit

Each returns a `SampledPosterior`, or `Failed` with the reasons and no estimates. Given equal data, priors and settings
(with their seed) the draws are equal on one machine, so results may be kept by content.
"""

from replication.models.bayes.agreement import AgreementRow, compare_with_exact
from replication.models.bayes.diagnostics import (
    Diagnostics,
    Failed,
    Gate,
    Parameter,
    Probability,
    SampledPosterior,
    SampledSummary,
)
from replication.models.bayes.multilevel_data import MultilevelData, multilevel_data
from replication.models.bayes.multivariate import MultilevelPriors, sample_multilevel
from replication.models.bayes.roles import RolesPriors, roles_priors, sample_roles
from replication.models.bayes.roles_data import RolesData, roles_data
from replication.models.bayes.roles_simulated import (
    SimulatedRecovery,
    SimulatedTruth,
    recover_simulated_roles,
    simulated_truth,
)
from replication.models.bayes.sampling import Settings
from replication.models.bayes.selection import (
    SelectionData,
    SelectionPriors,
    sample_selection,
    selection_data,
)

__all__ = [
    "AgreementRow",
    "Diagnostics",
    "Failed",
    "Gate",
    "MultilevelData",
    "MultilevelPriors",
    "Parameter",
    "Probability",
    "RolesData",
    "RolesPriors",
    "SampledPosterior",
    "SampledSummary",
    "SelectionData",
    "SelectionPriors",
    "Settings",
    "SimulatedRecovery",
    "SimulatedTruth",
    "compare_with_exact",
    "multilevel_data",
    "recover_simulated_roles",
    "roles_data",
    "roles_priors",
    "sample_multilevel",
    "sample_roles",
    "sample_selection",
    "selection_data",
    "simulated_truth",
]
