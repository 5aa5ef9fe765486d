"""Bullying roles: a Bayesian multilevel multinomial logit of bully, victim and bully/victim against uninvolved.

The model of Thornberg, Wegmann, Wänström, Bjereld & Hong (2022), whose data are not public: predictors of student and
class, and a deviation of each class for each contrast, correlated. Its priors are not known here; ours are our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replication.errors import ModelError
from replication.models.bayes.coefficient_priors import CoefficientPrior, Normal
from replication.models.bayes.coefficient_space import CoefficientSpace
from replication.models.bayes.correlation_root import correlation_draws, lkj_shapes, lower_pairs
from replication.models.bayes.diagnostics import Failed, SampledPosterior
from replication.models.bayes.likelihood_op import add_likelihood
from replication.models.bayes.positive_priors import Fixed, HalfNormal, PositivePrior
from replication.models.bayes.prior_record import PriorRecord
from replication.models.bayes.pymc_priors import (
    add_standard_deviations,
    check_eta,
    correlation_partials,
    lkj_record,
    unsigned_correlations,
)
from replication.models.bayes.roles_data import CONTRASTS, REFERENCE, RolesData
from replication.models.bayes.roles_kernel import roles_loglik
from replication.models.bayes.sampled_model import SampledModel, sample_model
from replication.models.bayes.sampling import Settings, load_pymc
from replication.models.fit import Array

__all__ = ["RolesPriors", "roles_model", "roles_priors", "sample_roles"]


@dataclass(frozen=True, slots=True)
class RolesPriors:
    """Priors of the intercepts, of every slope, of the sds between classes, and `eta` of their LKJ correlations."""

    intercept: CoefficientPrior
    slope: CoefficientPrior
    class_sd: PositivePrior
    eta: float = 2.0

    def __post_init__(self) -> None:
        check_eta(self.eta)
        if isinstance(self.class_sd, Fixed):
            raise ModelError("class_sd cannot be fixed; use a narrow HalfNormal for classes that hardly differ.")


def roles_priors() -> RolesPriors:
    """The default priors, on the scale of log odds a standard deviation of the predictor."""
    return RolesPriors(
        Normal(
            0.0,
            2.5,
            reason="the odds of a role against uninvolved lie between 1 : 134 and 134 : 1 (95 %)",
            source="own choice",
        ),
        Normal(
            0.0, 1.0, reason="a predictor's sd changes the odds by less than a factor 7.1 (95 %)", source="own choice"
        ),
        HalfNormal(
            1.0, reason="classes one sd above the average have odds up to 7.1 times (95 %)", source="own choice"
        ),
    )


def sample_roles(
    data: RolesData,
    priors: RolesPriors | None = None,
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    *,
    compile_dir: Path | None = None,
) -> SampledPosterior | Failed:
    """The posterior of all slopes, or the reasons why there is none.

    Parameters
    ----------
    data
        From `roles_data`.
    priors
        `roles_priors()` by default.
    settings, compile_dir
        As for `sample_multilevel`.

    Returns
    -------
    SampledPosterior | Failed
        `contrast: predictor` are log odds against uninvolved; `class sd[contrast]`; `rho[a, b]` of the class
        deviations; `change[role]: predictor`: by how much the probability of a role changes for the average student of
        an average class when the predictor rises by one unit of the design (an sd; for yes/no predictors, by 1).

    Notes
    -----
    A slope of the logit may differ in sign from the change in probability; published claims are about the latter.
    """
    load_pymc(compile_dir)
    return sample_model(roles_model(data, priors or roles_priors()), settings)


def roles_model(data: RolesData, priors: RolesPriors) -> SampledModel:
    """The PyMC model of `data` under `priors`, not yet compiled. Its data named `role` can be exchanged."""
    import pymc as pm
    from pytensor import shared
    from pytensor.tensor import as_tensor

    c, p, m = len(CONTRASTS), data.X.shape[1], len(data.classes)
    every = (priors.intercept, *(priors.slope,) * (p - 1)) * c
    space = _space(data, every)
    role = shared(data.role, name="role", shape=data.role.shape)
    with pm.Model(check_bounds=False) as model:
        slopes = space.add(every)
        sd = add_standard_deviations("class_sd", priors.class_sd, c, 0.5, zero_is_near=True)
        partial = correlation_partials("partial", lkj_shapes(c, priors.eta))
        raw = pm.Normal("class_raw", shape=c * m)
        inputs = [as_tensor(data.X), as_tensor(data.group), role]
        pm.Potential("loglik", add_likelihood(roles_loglik, [slopes, sd, partial, raw], inputs))
    method = {
        "outcome": f"{', '.join(CONTRASTS)} against {REFERENCE}",
        "centring": "within classes and at the grand mean",
        "classes": "a correlated deviation a contrast",
        "sampler": "NUTS (nutpie)",
    }
    return SampledModel("bullying roles", model, _Report(data, space).quantities, method, _records(priors), data.notes)


def _records(priors: RolesPriors) -> dict[str, PriorRecord]:
    return {
        "intercepts": priors.intercept.record(),
        "slopes": priors.slope.record(),
        "sds between classes": priors.class_sd.record(),
        "correlations of class deviations": lkj_record(priors.eta),
    }


def _space(data: RolesData, priors: tuple[CoefficientPrior, ...]) -> CoefficientSpace:
    """Units for the sampler: the information of a logit whose only predictor is the intercept, contrast by contrast."""
    share = np.bincount(data.role, minlength=len(CONTRASTS) + 1) / len(data.role)
    p = data.X.shape[1]
    centre, root = np.zeros(p * len(CONTRASTS)), np.zeros((p * len(CONTRASTS), p * len(CONTRASTS)))
    for a in range(len(CONTRASTS)):
        block = slice(a * p, (a + 1) * p)
        known = np.array([prior.sd**-2 if isinstance(prior, Normal) else 0.0 for prior in priors[block]])
        information = share[a + 1] * (1.0 - share[a + 1]) * data.X.T @ data.X + np.diag(known)
        root[block, block] = np.linalg.cholesky(np.linalg.inv(information))
        centre[a * p] = np.log(share[a + 1] / share[0])
    return CoefficientSpace(centre, root)


@dataclass(frozen=True, slots=True, eq=False)
class _Report:
    """From draws of the sampled variables to the quantities shown."""

    data: RolesData
    space: CoefficientSpace

    def quantities(self, values: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        """All slopes, sds, correlations and changes in probability."""
        p = len(self.data.names)
        slopes = self.space.read(values)
        slopes = slopes.reshape(*slopes.shape[:2], len(CONTRASTS), p)
        shown = {
            f"{role}: {name}": slopes[..., a, j]
            for a, role in enumerate(CONTRASTS)
            for j, name in enumerate(self.data.names)
        }
        shown |= {f"class sd[{role}]": np.abs(values["class_sd"][..., a]) for a, role in enumerate(CONTRASTS)}
        rho = correlation_draws(2.0 * values["partial"] - 1.0, len(CONTRASTS))
        rho = unsigned_correlations(values["class_sd"], rho)
        shown |= {f"rho[{CONTRASTS[j]}, {CONTRASTS[i]}]": rho[..., i, j] for i, j in lower_pairs(len(CONTRASTS))}
        for j, name in enumerate(self.data.names[1:], start=1):
            change = probabilities(slopes[..., 0] + slopes[..., j]) - probabilities(slopes[..., 0])
            shown |= {f"change[{role}]: {name}": change[..., a] for a, role in enumerate((REFERENCE, *CONTRASTS))}
        return shown


def probabilities(eta: Array) -> Array:
    """Probabilities `(..., c + 1)` of the reference and the c contrasts from log odds `(..., c)`.

    >>> probabilities(np.log(np.array([2.0, 1.0]))).round(3).tolist()
    [0.25, 0.5, 0.25]
    """
    whole = np.concatenate([np.zeros((*eta.shape[:-1], 1)), eta], axis=-1)
    weights = np.exp(whole - whole.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
