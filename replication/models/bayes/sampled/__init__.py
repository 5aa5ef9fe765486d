"""The models that need sampling, in one place: PyMC models drawn by nutpie, each behind a convergence gate.

- `sample_multilevel`  all relationship x outcome correlations at once; with fewer parts the two- and three-level models
- `sample_selection`   random effects with publication weights by steps of the p value
- `sample_roles`       bullying roles: multilevel multinomial logit

Each returns a `SampledPosterior`, or `Failed` with the reasons and no estimates. Given equal data, priors and settings
(with their seed) the draws are equal on one machine, so results may be kept by content.

Layout, imports run from top to bottom:

- `sampling.py`            settings; PyMC loaded without a C++ compiler; compile once, draw
- `diagnostics.py`         convergence and the gate; `SampledPosterior` and `Failed`
- `sampled_model.py`       from a PyMC model to one of the two
- `likelihood_op.py`       a log-likelihood with its own gradient as one step of a PyMC model
- `pymc_priors.py`         prior records as PyMC variables, and the units they are sampled in
- `multilevel_kernel.py`   the multilevel log-likelihood; those of roles and selection stand with their models
- `multilevel_data.py`, `multivariate.py`, `selection.py`, `roles_data.py`, `roles.py`, `roles_simulated.py`
- `agreement.py`           exact and sampled posteriors of one model side by side
"""

from replication.models.bayes.sampled.agreement import AgreementRow, compare_with_exact
from replication.models.bayes.sampled.diagnostics import (
    Diagnostics,
    Failed,
    Gate,
    Parameter,
    Probability,
    SampledPosterior,
    SampledSummary,
)
from replication.models.bayes.sampled.multilevel_data import MultilevelData, multilevel_data
from replication.models.bayes.sampled.multilevel_model import MultilevelPriors, sample_multilevel
from replication.models.bayes.sampled.roles import RolesPriors, roles_priors, sample_roles
from replication.models.bayes.sampled.roles_data import RolesData, roles_data
from replication.models.bayes.sampled.roles_simulated import (
    SimulatedRecovery,
    SimulatedTruth,
    recover_simulated_roles,
    simulated_truth,
)
from replication.models.bayes.sampled.sampling import Settings
from replication.models.bayes.sampled.selection import SelectionData, SelectionPriors, sample_selection, selection_data

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
