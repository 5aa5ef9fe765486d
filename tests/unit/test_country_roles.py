"""Bullying roles by country: a known truth is found, and what cannot be fitted is said. All data here are simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from replication.dataset.conceptual_records import BAYESIAN
from replication.dataset.recipes import RoleQuestions, WholeSurvey
from replication.errors import ModelError, UserError
from replication.models.bayes.sampled.roles_data import CONTRASTS
from replication.models.bayes.sampled.sampling import Settings
from replication.paths import data_dir
from replication.study.microdata.country_roles import (
    PREDICTORS,
    CountryRoles,
    pool_roles,
    roles_by_country,
    roles_of,
    sample_country_roles,
)
from replication.study.microdata.whole_files import load_survey

ASKED = RoleQuestions(
    bullies="bullies", bullied="bullied", relationship="teachers", climate="students", cut=3, softer=2, reason="x"
)
# log odds against uninvolved (bully, victim, bully/victim) by predictor, per standard deviation
TRUTH = np.array([[-0.5, -0.3, -0.8], [-0.2, -0.1, -0.3], [-0.1, -0.4, -0.3]])
START = np.array([-2.0, -1.5, -2.2])


def standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std(ddof=1)


def simulated(
    seed: int, classes: int = 120, size: int = 20, spread: float = 0.0
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A simulated country with the truth above, moved by the country's own deviation of sd `spread`."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(classes), size)
    teachers = rng.normal(scale=0.5, size=classes)[group] + rng.normal(size=classes * size)
    students = rng.normal(scale=0.5, size=classes)[group] + rng.normal(size=classes * size)
    mean = lambda x: (np.bincount(group, weights=x) / size)[group]  # noqa: E731
    X = np.column_stack([standardised(c) for c in (teachers - mean(teachers), mean(teachers), mean(students))])
    truth = TRUTH + rng.normal(scale=spread, size=(3, 1)) if spread else TRUTH
    odds = np.exp(np.column_stack([np.zeros(len(group)), START + X @ truth]))
    share = odds / odds.sum(axis=1, keepdims=True)
    role = (rng.random((len(group), 1)) > share.cumsum(axis=1)).sum(axis=1)
    answers = {"bullies": np.where(np.isin(role, (1, 3)), 4.0, 1.0), "bullied": np.where(role >= 2, 3.0, 2.0)}
    return {**answers, "teachers": teachers, "students": students}, group


def test_one_country_finds_the_truth_within_its_error() -> None:
    values, group = simulated(1, classes=400)
    found = roles_of("sim", ASKED, values, group, 3.0)
    error = np.sqrt(np.stack([np.diag(v) for v in found.vcov]))
    assert not found.problem and found.n == 8000 and found.classes == 400 and sum(found.counts) == 8000
    assert (np.abs(found.beta - TRUTH) < 3.5 * error).all()
    assert (error < 0.15).all()


def test_covariances_stand_at_their_own_coefficients() -> None:
    """Every student three times in the same class: the estimate stays, the clustered covariance hardly moves."""
    values, group = simulated(2, classes=60)
    once = roles_of("sim", ASKED, values, group, 3.0)
    thrice = roles_of("sim", ASKED, {k: np.tile(v, 3) for k, v in values.items()}, np.tile(group, 3), 3.0)
    assert thrice.beta == pytest.approx(once.beta, abs=1e-3)
    for mine, theirs in zip(once.vcov, thrice.vcov, strict=True):
        assert np.diag(theirs) == pytest.approx(np.diag(mine), rel=0.05)
        assert np.linalg.eigvalsh(mine).min() > 0


def test_the_softer_cut_makes_more_roles() -> None:
    values, group = simulated(3)
    values["bullied"] = np.where(
        np.random.default_rng(0).random(len(group)) < 0.2, 2.0, np.where(values["bullied"] > 2, 3, 1)
    )
    strict, soft = (roles_of("sim", ASKED, values, group, cut) for cut in (3.0, 2.0))
    assert soft.counts[0] < strict.counts[0] and soft.counts[2] > strict.counts[2]


def test_countries_are_pooled_to_the_truth() -> None:
    """Twelve countries that differ by an sd of .2: means within their intervals' reach, spread seen."""
    found = [roles_of(f"c{i}", ASKED, *simulated(10 + i, classes=100, spread=0.2), 3.0) for i in range(12)]
    pooled = pool_roles(found)
    assert len(pooled) == 9 and {p.countries for p in pooled} == {12}
    for p in pooled:
        at = TRUTH[
            [*dict.fromkeys(q.predictor for q in pooled)].index(p.predictor),
            ["bully", "victim", "bully/victim"].index(p.contrast),
        ]
        half = (p.high - p.low) / 2
        assert abs(p.value - at) < 1.8 * half and p.low < p.value < p.high
    assert 0.1 < np.mean([p.sd for p in pooled]) < 0.35


def test_too_few_are_said() -> None:
    values, group = simulated(4, classes=5)
    assert "are needed" in roles_of("sim", ASKED, values, group, 3.0).problem
    with pytest.raises(ModelError, match="0 countries have estimates; 5 are needed"):
        pool_roles([roles_of("sim", ASKED, values, group, 3.0)])


def file_of_the_survey(folder: Path) -> tuple[WholeSurvey, Path]:
    """Two simulated countries in the layout of the open-access file, items turned as the codebook says."""
    survey = load_survey("hbsc2018", data_dir().parent / "surveys")
    assert survey is not None
    parts = []
    for seed, code in ((5, 578000.0), (6, 752000.0)):
        values, group = simulated(seed, classes=100)
        items = {
            n: 6 - np.clip(np.round(3 + values["teachers"]), 1, 5)
            for n in ("teacheraccept", "teachercare", "teachertrust")
        }
        items |= {
            n: 6 - np.clip(np.round(3 + values["students"]), 1, 5)
            for n in ("studtogether", "studhelpful", "studaccept")
        }
        other = {n: np.ones(len(group)) for n in ("cbeenbullied", "cbulliedothers", "likeschool", "weight")}
        asked = {"bulliedothers": values["bullies"], "beenbullied": values["bullied"]}
        parts.append(pd.DataFrame({"countryno": code, "cluster": group + 1000 * seed, **items, **other, **asked}))
    path = folder / "HBSC.csv"
    pd.concat(parts).to_csv(path, index=False, sep=";", decimal=",")
    return survey, path


def test_a_file_of_the_surveys_form(tmp_path: Path) -> None:
    survey, path = file_of_the_survey(tmp_path)
    found: list[CountryRoles] = list(roles_by_country(survey, path, tmp_path / "cache"))
    assert [c.country for c in found] == ["hbsc2018_norway", "hbsc2018_sweden"]
    assert all(not c.problem and c.n == 2000 and (c.beta[0] < 0).all() for c in found)
    pisa = load_survey("pisa2018", data_dir().parent / "surveys")
    assert pisa is not None
    with pytest.raises(UserError, match="has no questions on bullying roles"):
        next(roles_by_country(pisa, path, tmp_path / "cache"))
    with pytest.raises(UserError, match="has no country danmark"):
        sample_country_roles(survey, path, tmp_path / "cache", "danmark", Settings())


@pytest.mark.simulation
def test_the_bayesian_model_of_a_country_agrees_with_its_logit(tmp_path: Path) -> None:
    """Simulated without deviations of classes, so both models hold: estimates within half a standard error."""
    survey, path = file_of_the_survey(tmp_path)
    logit = next(roles_by_country(survey, path, tmp_path / "cache"))
    found = sample_country_roles(survey, path, tmp_path / "cache", "norway", Settings())
    posterior = {(row.outcome, row.term.removesuffix(BAYESIAN)): row.estimate for row in found}
    for p, predictor in enumerate(PREDICTORS):
        for c, contrast in enumerate(CONTRASTS):
            error = np.sqrt(logit.vcov[p][c, c])
            assert abs(posterior[contrast, predictor] - logit.beta[p, c]) < 0.5 * error, (contrast, predictor)
