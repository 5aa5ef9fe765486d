"""Log-likelihood of the multilevel multinomial logit, and its gradient.

Student i of class j has role c with log odds `eta_c = x_i' b_c + u_jc` against the reference, whose eta is 0. The class
deviations are `u_j = diag(sd) L raw_j`, with `raw` standard normal: sampled in units of their own sd (non-centred), as
a class holds few students with each role.

Functions here are written for numba: plain loops over vectors.

Bullying roles: a Bayesian multilevel multinomial logit of bully, victim and bully/victim against uninvolved.

The model of Thornberg, Wegmann, Wänström, Bjereld & Hong (2022), whose data are not public: predictors of student and
class, and a deviation of each class for each contrast, correlated. Its priors are not known here; ours are our own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.models.bayes.priors.coefficient import CoefficientPrior, Normal
from replication.models.bayes.priors.positive import Fixed, HalfNormal, PositivePrior
from replication.models.bayes.priors.record import PriorRecord
from replication.models.bayes.sampled.diagnostics import Failed, SampledPosterior
from replication.models.bayes.sampled.likelihood_op import (
    add_likelihood,
    correlation_draws,
    correlation_root,
    lkj_shapes,
    lower_pairs,
    one,
    root_gradient,
)
from replication.models.bayes.sampled.pymc_priors import (
    CoefficientSpace,
    add_standard_deviations,
    check_eta,
    correlation_partials,
    lkj_record,
    unsigned_correlations,
)
from replication.models.bayes.sampled.roles_data import CONTRASTS, REFERENCE, RolesData, class_sd_of, slope_of
from replication.models.bayes.sampled.sampled_model import SampledModel, sample_model
from replication.models.bayes.sampled.sampling import Settings, load_pymc
from replication.models.fit import Array

__all__ = ["RolesPriors", "roles_loglik", "roles_model", "roles_priors", "sample_roles"]

Codes = NDArray[np.int64]


def roles_loglik(
    slopes: Array, sd: Array, partial: Array, raw: Array, X: Array, group: Codes, role: Codes
) -> tuple[Array, Array, Array, Array, Array]:
    """Log-likelihood `(1,)` and derivatives by `slopes (3 p,)`, `sd (3,)`, `partial (3,)` and `raw (3 m,)`.

    `slopes` holds the p coefficients of the first contrast, then those of the next; `raw` the deviations of the first
    class, then of the next. `X (n, p)`, class codes `group (n,)`, `role (n,)` with 0 the reference.
    """
    c, p, m = sd.shape[0], X.shape[1], raw.shape[0] // sd.shape[0]
    L = correlation_root(partial, c)
    u = deviations(L, raw, m)
    loglik, dslopes, du = 0.0, np.zeros(slopes.shape[0]), np.zeros((m, c))
    eta = np.zeros(c)
    for i in range(X.shape[0]):
        j = group[i]
        for a in range(c):
            # The sd is applied here and not to u, so that its derivative is u itself.
            eta[a] = sd[a] * u[j, a]
            for q in range(p):
                eta[a] += X[i, q] * slopes[a * p + q]
        if role[i] > 0:
            loglik += eta[role[i] - 1]
        loglik -= log_sum(eta)
        if role[i] > 0:
            eta[role[i] - 1] += 1.0
        for a in range(c):
            du[j, a] += eta[a]
            for q in range(p):
                dslopes[a * p + q] += eta[a] * X[i, q]
    dsd, dL, draw = split_deviations(L, sd, raw, u, du)
    return one(loglik), dslopes, dsd, root_gradient(partial, L, dL), draw


def deviations(L: Array, raw: Array, m: int) -> Array:
    """`L raw_j (m, c)`: correlated deviations of each class, in units of their sds."""
    c = L.shape[0]
    u = np.zeros((m, c))
    for j in range(m):
        for a in range(c):
            for q in range(a + 1):
                u[j, a] += L[a, q] * raw[j * c + q]
    return u


def log_sum(eta: Array) -> float:
    """`log(1 + sum exp eta)`; `eta` becomes minus the probabilities."""
    # 0 is the eta of the reference, which takes part in the sum too.
    top = 0.0
    for a in range(eta.shape[0]):
        top = max(top, eta[a])
    total = math.exp(-top)
    for a in range(eta.shape[0]):
        eta[a] = math.exp(eta[a] - top)
        total += eta[a]
    for a in range(eta.shape[0]):
        eta[a] = -eta[a] / total
    return top + math.log(total)


def split_deviations(L: Array, sd: Array, raw: Array, u: Array, du: Array) -> tuple[Array, Array, Array]:
    """From the derivatives by the deviations `du (m, c)` to those by `sd (c,)`, root `L (c, c)` and `raw (3 m,)`."""
    m, c = du.shape
    dsd, dL, draw = np.zeros(c), np.zeros((c, c)), np.zeros(raw.shape[0])
    for j in range(m):
        for a in range(c):
            dsd[a] += du[j, a] * u[j, a]
            scaled = du[j, a] * sd[a]
            for q in range(a + 1):
                dL[a, q] += scaled * raw[j * c + q]
                draw[j * c + q] += scaled * L[a, q]
    return dsd, dL, draw


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
            # The report reads class_sd among the draws, and a constant has none.
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


def roles_model(data: RolesData, priors: RolesPriors, *, exchange: bool = False) -> SampledModel:
    """The PyMC model of `data` under `priors`, not yet compiled; with `exchange` its `role` can be exchanged."""
    import pymc as pm
    from pytensor import shared

    c, p, m = len(CONTRASTS), data.X.shape[1], len(data.classes)
    # The order of `slopes` in the kernel: all coefficients of one contrast, then those of the next.
    every = (priors.intercept, *(priors.slope,) * (p - 1)) * c
    space = _space(data, every)
    role = shared(data.role, name="role", shape=data.role.shape) if exchange else data.role
    with pm.Model(check_bounds=False) as model:
        slopes = space.add(every)
        sd = add_standard_deviations("class_sd", priors.class_sd, c, 0.5, zero_is_near=True)
        partial = correlation_partials("partial", lkj_shapes(c, priors.eta))
        raw = pm.Normal("class_raw", shape=c * m)
        inputs = [data.X, data.group, role]
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
    # Good enough as a unit of length; the exact information would need the estimates that are looked for.
    share = np.bincount(data.role, minlength=len(CONTRASTS) + 1) / len(data.role)
    p = data.X.shape[1]
    centre, root = np.zeros(p * len(CONTRASTS)), np.zeros((p * len(CONTRASTS), p * len(CONTRASTS)))
    for a in range(len(CONTRASTS)):
        block = slice(a * p, (a + 1) * p)
        known = np.array([prior.sd**-2 if isinstance(prior, Normal) else 0.0 for prior in priors[block]])
        information = share[a + 1] * (1.0 - share[a + 1]) * data.X.T @ data.X + np.diag(known)
        root[block, block] = np.linalg.cholesky(np.linalg.inv(information))
        # Predictors are centred, so the intercept is near the log odds of the role among all students.
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
            slope_of(role, name): slopes[..., a, j]
            for a, role in enumerate(CONTRASTS)
            for j, name in enumerate(self.data.names)
        }
        shown |= {class_sd_of(role): np.abs(values["class_sd"][..., a]) for a, role in enumerate(CONTRASTS)}
        # As for the sds of the multilevel model, a sign drawn with an sd is moved to its correlations.
        rho = correlation_draws(2.0 * values["partial"] - 1.0, len(CONTRASTS))
        rho = unsigned_correlations(values["class_sd"], rho)
        shown |= {f"rho[{CONTRASTS[j]}, {CONTRASTS[i]}]": rho[..., i, j] for i, j in lower_pairs(len(CONTRASTS))}
        for j, name in enumerate(self.data.names[1:], start=1):
            # At predictors of 0 and class deviations of 0: the average student of an average class.
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
