"""Bullying roles in every country of a whole survey: a multinomial logit each, and what they have in common.

In one country the roles bully, victim and bully/victim are set against uninvolved; predictors are a student's distance
from the class mean of the relationship with teachers, that class mean, and the class mean of the climate among
students, each in standard deviations. Classes are the sampling units, so the covariance is clustered by class
(statsmodels). Countries are pooled one predictor at a time by a multivariate random-effects model of the three
contrasts, with the covariance of the country's estimates known and that of the true effects unstructured (van
Houwelingen et al. 2002).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replication.dataset.problems import nearest
from replication.dataset.recipes import RoleQuestions, WholeSurvey
from replication.errors import ModelError, UserError
from replication.models.bayes.sampled.roles_data import CONTRASTS, REFERENCE, RolesData, class_mean
from replication.models.bayes.sampled.sampling import Settings
from replication.models.fit import Array
from replication.models.multilevel.multivariate import fit_multivariate
from replication.models.multilevel.structure import BlockV
from replication.study.conceptual_regressions import ConceptualEstimate, roles_by_cut, sampled_roles
from replication.study.microdata.coding import code_sample
from replication.study.microdata.design import Groups
from replication.study.microdata.whole_files import country_frames

__all__ = [
    "PREDICTORS",
    "CountryRoles",
    "PooledRole",
    "pool_roles",
    "roles_by_country",
    "roles_of",
    "sample_country_roles",
]

PREDICTORS = ("relationship", "relationship of the class", "climate of the class")
_FEWEST = 20  # students in a role: with fewer a logit of four coefficients has next to nothing to rest on
_FEWEST_COUNTRIES = 5


@dataclass(frozen=True, slots=True, eq=False)
class CountryRoles:
    """One country at one cut, or the `problem` that leaves it out.

    `beta (3, 3)` are log odds by predictor and contrast, `vcov (3, 3, 3)` their covariance among the contrasts of each
    predictor; `n` students in `classes` classes, of whom `counts` have each role (uninvolved first).
    """

    country: str
    cut: float
    beta: Array
    vcov: Array
    n: int
    classes: int
    counts: tuple[int, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PooledRole:
    """The mean log odds of one contrast a standard deviation of one predictor, over countries."""

    predictor: str
    contrast: str
    value: float
    low: float
    high: float
    sd: float
    countries: int


def roles_by_country(survey: WholeSurvey, path: Path, cache: Path, *, softer: bool = False) -> Iterator[CountryRoles]:
    """Every country of a whole file at the survey's cut, or at the softer one.

    Raises
    ------
    UserError
        when the survey has no questions on roles, or the file cannot be read.
    """
    if survey.roles is None:
        raise UserError(f"{survey.title} has no questions on bullying roles; hbsc2014 and hbsc2018 have")
    cut = float(survey.roles.softer if softer else survey.roles.cut)
    for sample, frame in country_frames(survey.recipe, path, cache):
        nothing = CountryRoles(sample, cut, np.zeros((3, 3)), np.zeros((3, 3, 3)), len(frame), 0)
        try:
            measures = code_sample(frame, survey.recipe, np.ones(len(frame), dtype=bool))
        except (KeyError, UserError) as error:
            yield _with_problem(nothing, f"lacks a column of the recipe: {error}")
            continue
        values = {m.measure: m.values[:, 0] for m in measures}
        groups = np.asarray(frame.groupby(survey.recipe.cluster, dropna=False).ngroup(), dtype=np.intp)
        yield roles_of(sample, survey.roles, values, groups, cut)


def roles_of(country: str, asked: RoleQuestions, values: dict[str, Array], classes: Groups, cut: float) -> CountryRoles:
    """The multinomial logit of one country.

    Parameters
    ----------
    values : measures by name `(n,)`, NaN for missing; more is more.
    classes : (n,) numbers of the classes.
    cut : a student at or above it bullies, or is bullied.
    """
    from statsmodels.discrete.discrete_model import MNLogit

    X, role, groups = _design(asked, values, classes, cut)
    counts = tuple(np.bincount(role, minlength=4).tolist())
    found = CountryRoles(country, cut, np.zeros((3, 3)), np.zeros((3, 3, 3)), len(role), len(np.unique(groups)), counts)
    # With an almost empty role a logit can run off towards infinity, with a small robust error: worse than none.
    if min(counts) < _FEWEST:
        fewest = int(np.argmin(counts))
        return _with_problem(
            found, f"{counts[fewest]} students are {(REFERENCE, *CONTRASTS)[fewest]}, {_FEWEST} are needed"
        )
    fit = MNLogit(role, X).fit(
        method="newton", maxiter=100, disp=False, cov_type="cluster", cov_kwds={"groups": groups}
    )
    if not fit.mle_retvals["converged"]:
        return _with_problem(found, "the logit did not converge")
    beta = np.asarray(fit.params)[1:]
    # statsmodels stacks the contrasts one after the other: coefficient p of contrast c stands at 4 c + p
    whole = np.asarray(fit.cov_params())
    vcov = np.stack([whole[np.ix_(*[[4 * c + p for c in range(3)]] * 2)] for p in (1, 2, 3)])
    return CountryRoles(country, cut, beta, vcov, found.n, found.classes, counts)


def sample_country_roles(
    survey: WholeSurvey, path: Path, cache: Path, country: str, settings: Settings, *, softer: bool = False
) -> tuple[ConceptualEstimate, ...]:
    """One country by the Bayesian multilevel multinomial logit, with a deviation of each class for each role.

    The predictors are those of `roles_by_country`, so the two can be laid beside each other.

    Parameters
    ----------
    country : the sample's id, or the end of it (norway).

    Raises
    ------
    UserError
        when the survey has no roles, the file no such country, or the fit fails its gate.
    """
    if survey.roles is None:
        raise UserError(f"{survey.title} has no questions on bullying roles; hbsc2014 and hbsc2018 have")
    cut = float(survey.roles.softer if softer else survey.roles.cut)
    known = []
    for sample, frame in country_frames(survey.recipe, path, cache):
        known.append(sample)
        # By the end of the id, as a user knows the country and not the cycle's prefix.
        if sample != country and not sample.endswith(f"_{country}"):
            continue
        measures = code_sample(frame, survey.recipe, np.ones(len(frame), dtype=bool))
        values = {m.measure: m.values[:, 0] for m in measures}
        numbers = np.asarray(frame.groupby(survey.recipe.cluster, dropna=False).ngroup(), dtype=np.intp)
        X, role, groups = _design(survey.roles, values, numbers, cut)
        labels, group = np.unique(groups, return_inverse=True)
        names, rows = ("intercept", *PREDICTORS), tuple(range(len(role)))
        classes = tuple(map(str, labels.tolist()))
        students = RolesData(X, names, np.ones(len(names)), group.astype(np.int64), role, classes, rows, ())
        return sampled_roles(students, PREDICTORS, cut, settings, cache / "compiled")
    raise UserError(f"{path.name} has no country {country}: {nearest(country, known)}")


def _design(
    asked: RoleQuestions, values: dict[str, Array], classes: Groups, cut: float
) -> tuple[Array, NDArray[np.int64], Groups]:
    """Intercept and standardised predictors `(n, 4)`, roles and classes of the students who have all of them."""
    x, climate = values[asked.relationship], values[asked.climate]
    # Of everybody in the class who answered, before anybody leaves for another missing answer.
    mean = class_mean(x, classes)
    columns = (x - mean, mean, class_mean(climate, classes))
    role = roles_by_cut(values[asked.bullies], values[asked.bullied], cut)
    keep = (role >= 0) & np.isfinite(np.column_stack(columns)).all(axis=1)
    X = np.column_stack([np.ones(int(keep.sum())), *(_standardised(column[keep]) for column in columns)])
    return X, role[keep], classes[keep]


def pool_roles(countries: Sequence[CountryRoles]) -> tuple[PooledRole, ...]:
    """Means over the countries that could be fitted, a line a predictor and contrast.

    Raises
    ------
    ModelError
        with fewer than five countries: an unstructured covariance of three contrasts has six parameters.
    """
    held = [country for country in countries if not country.problem]
    if len(held) < _FEWEST_COUNTRIES:
        raise ModelError(f"{len(held)} countries have estimates; {_FEWEST_COUNTRIES} are needed to pool them")
    outcome = np.tile(CONTRASTS, len(held))
    study = np.repeat([country.country for country in held], 3)
    # A mean for each contrast and no intercept: what comes out are the contrasts themselves.
    x = np.column_stack([outcome == name for name in CONTRASTS]).astype(float)
    pooled = []
    for p, predictor in enumerate(PREDICTORS):
        y = np.concatenate([country.beta[p] for country in held])
        # Contrasts of one country share the uninvolved, so their errors are correlated.
        V = BlockV.from_matrix(_blocks([country.vcov[p] for country in held]))
        fit = fit_multivariate(y, V, outcome, study, x, names=list(CONTRASTS))
        spread = [component.estimate for component in fit.components][:3]
        for j, contrast in enumerate(CONTRASTS):
            low, high = fit.interval()[j].tolist()
            pooled.append(
                PooledRole(predictor, contrast, float(fit.beta[j]), low, high, float(np.sqrt(spread[j])), len(held))
            )
    return tuple(pooled)


def _with_problem(found: CountryRoles, problem: str) -> CountryRoles:
    return CountryRoles(found.country, found.cut, found.beta, found.vcov, found.n, found.classes, found.counts, problem)


def _standardised(column: Array) -> Array:
    scaled: Array = (column - column.mean()) / column.std(ddof=1)
    return scaled


def _blocks(blocks: Sequence[Array]) -> Array:
    whole = np.zeros((3 * len(blocks), 3 * len(blocks)))
    for i, block in enumerate(blocks):
        whole[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = block
    return whole
