"""Replicate weights, plausible values and strata: each by hand, by collapse to a simpler case, or by brute force.

All data here are simulated.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from replication.dataset.recipes import Recipe
from replication.errors import UserError
from replication.study.microdata.design import SurveyDesign, jackknife_weights, survey_design, taylor_variance
from replication.study.microdata.design_correlations import combine_plausible, correlate_by_design


def simulated(n: int = 400, schools: int = 40, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Two variables that share a school effect, weights, and the school of each simulated student."""
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), n // schools)
    effect = rng.normal(size=(schools, 2)) * 0.5
    x = rng.normal(size=n)
    y = 0.4 * x + rng.normal(size=n)
    return (x + effect[school, 0])[:, None], (y + effect[school, 1])[:, None], rng.uniform(0.5, 3, n), school


def weighted_z(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    c = np.cov(np.vstack([x, y]), aweights=w)
    return float(np.arctanh(c[0, 1] / np.sqrt(c[0, 0] * c[1, 1])))


def halves(school: np.ndarray, schools: int = 40) -> np.ndarray:
    """Two neighbouring schools are a zone; the first of them its first half."""
    return school % 2 == 0


@pytest.mark.parametrize(("both", "factor"), [(False, 1.0), (True, 0.5)])
def test_jackknife_by_brute_force(both: bool, factor: float) -> None:
    """A zone's replicate doubles one school and drops the other; both forms, a loop over replicates."""
    x, y, w, school = simulated()
    replicates = jackknife_weights(w, school // 2, halves(school), both=both)
    assert replicates.shape[1] == (40 if both else 20)
    design = SurveyDesign(w, school, None, replicates, factor, 19.0)
    full = weighted_z(x[:, 0], y[:, 0], w)
    expected = factor * sum((weighted_z(x[:, 0], y[:, 0], column) - full) ** 2 for column in replicates.T)
    found = correlate_by_design(x, y, design)
    assert found.n_effective == pytest.approx(1 / expected + 3, rel=1e-9)
    assert np.arctanh(found.r_weighted) == pytest.approx(full, abs=1e-12)


def test_linearisation_over_pairs_of_schools_is_near_their_jackknife() -> None:
    """Zones of two schools are strata: both ways estimate one variance."""
    x, y, w, school = simulated(8000, 400)
    jackknife = SurveyDesign(w, school, None, jackknife_weights(w, school // 2, halves(school), both=True), 0.5, 200.0)
    taylor = SurveyDesign(w, school, school // 2, df=200.0)
    a, b = (correlate_by_design(x, y, design).n_effective for design in (jackknife, taylor))
    assert a == pytest.approx(b, rel=0.02)


def test_one_stratum_is_no_stratum_and_persons_are_their_own_schools() -> None:
    x, y, w, school = simulated()
    plain = correlate_by_design(x, y, SurveyDesign(w, school))
    assert correlate_by_design(x, y, SurveyDesign(w, school, np.zeros_like(school))) == plain
    assert correlate_by_design(x, y, SurveyDesign()).n_effective == pytest.approx(
        correlate_by_design(x, y, SurveyDesign(None, np.arange(400))).n_effective
    )


def test_taylor_variance_by_hand() -> None:
    """Stratum A has schools with sums 1 and 3 (2 x (1 + 1) = 4); B has one school, 6 from the mean 10/3."""
    scores = np.array([[1.0], [1.0], [2.0], [6.0]])
    design = SurveyDesign(None, np.array([0, 1, 1, 2]), np.array([0, 0, 0, 1]))
    assert taylor_variance(scores, design)[0] == pytest.approx(4.0 + (6.0 - 10.0 / 3.0) ** 2)


def test_a_school_without_answers_stays_a_school_drawn() -> None:
    """Half the schools give no answer: their zeros belong to the variance; dropping them first is another design."""
    x, y, w, school = simulated()
    answered = np.where((school < 20)[:, None], x, np.nan)
    whole = correlate_by_design(answered, y, SurveyDesign(w, school, school // 10))
    kept = school < 20
    cut = correlate_by_design(x[kept], y[kept], SurveyDesign(w[kept], school[kept], school[kept] // 10))
    assert whole.r_weighted == pytest.approx(cut.r_weighted)
    one = SurveyDesign(w, school)
    assert correlate_by_design(answered, y, one).n_effective != pytest.approx(
        correlate_by_design(x[kept], y[kept], SurveyDesign(w[kept], school[kept])).n_effective, rel=1e-6
    )


def test_plausible_values_by_hand() -> None:
    """Mean r; on z the mean variance plus 1.2 times the variance of five z; each z by a call of its own."""
    x, y, w, school = simulated()
    rng = np.random.default_rng(9)
    plausible = y + rng.normal(scale=0.5, size=(400, 5))
    design = SurveyDesign(w, school, None, jackknife_weights(w, school // 2, halves(school), both=False), 1.0, 19.0)
    single = [correlate_by_design(x, plausible[:, [j]], design) for j in range(5)]
    z = np.arctanh([one.r_weighted for one in single])
    variance = np.mean([1 / (one.n_effective - 3) for one in single]) + 1.2 * z.var(ddof=1)
    found = correlate_by_design(x, plausible, design)
    assert found.r_weighted == pytest.approx(np.tanh(z).mean())
    assert found.n_effective == pytest.approx(1 / variance + 3)
    assert found.df < 19.0


def test_degrees_of_freedom_of_plausible_values() -> None:
    """Without spread between values only the design counts; with large samples only the values do."""
    same = combine_plausible(np.full(5, 0.2), np.full(5, 0.01), 50.0)
    assert same.df == pytest.approx(51 / 53 * 50)
    endless = combine_plausible(np.array([0.1, 0.3]), np.array([0.01, 0.03]), np.inf)
    assert endless.df == pytest.approx(1 / (0.03 / 0.05) ** 2)


def test_jointly_scaled_values_go_by_index() -> None:
    """Latent correlation .8, two tests with joint plausible values: found by index, watered down crosswise."""
    rng = np.random.default_rng(5)
    latent = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 20_000)
    error = np.array([[0.3, 0.1], [0.1, 0.3]])  # the part of the truth that the test leaves open
    draws = [latent + rng.multivariate_normal([0, 0], error, 20_000) for _ in range(5)]
    x, y = (np.column_stack([draw[:, side] for draw in draws]) for side in (0, 1))
    joint = (0.8 + 0.1) / 1.3
    assert correlate_by_design(x, y, SurveyDesign(), by_index=True).r == pytest.approx(joint, abs=0.01)
    crossed = correlate_by_design(x, y, SurveyDesign()).r
    assert crossed == pytest.approx((0.1 * 0.2 + 0.8) / 1.3, abs=0.02) and crossed < joint - 0.03


def test_a_part_keeps_the_design_of_the_whole() -> None:
    """Girls alone: the same as weights of zero for everybody else, not a sample of girls' schools."""
    x, y, w, school = simulated()
    girls = np.random.default_rng(3).random(400) < 0.5
    part = correlate_by_design(x, y, SurveyDesign(w, school), girls)
    other = correlate_by_design(x, y, SurveyDesign(np.where(girls, w, 0.0), school))
    assert part.r_weighted == pytest.approx(other.r_weighted)
    assert part.n == girls.sum() and other.n == 400


@pytest.mark.parametrize("zero", [True, False])
def test_no_variance_is_said(zero: bool) -> None:
    x, y, w, school = simulated()
    found = correlate_by_design(x, y, SurveyDesign(np.zeros_like(w) if zero else w, np.zeros_like(school)))
    assert np.isnan(found.n_effective)
    assert found.note == (
        "fewer than 4 different persons with a weight above 0" if zero else "everybody is in one cluster"
    )


def record(**keys: object) -> Recipe:
    measures = [
        {"variable": "positive", "measure": "a", "items": ["A"]},
        {"variable": "engagement", "measure": "b", "items": ["B"]},
    ]
    base = {"sample": "s", "source": "simulated", "file": ["f.csv"], "verified": "simulated", "weight": "W"}
    return Recipe.model_validate(base | {"measure": measures, "effective": "design"} | keys)


def frame() -> pd.DataFrame:
    school = np.repeat(np.arange(8), 5)
    return pd.DataFrame({"W": 1.0, "S": school, "ZONE": school // 2 + 1.0, "HALF": school % 2.0, "R1": 1.0, "R2": 2.0})


def test_a_design_from_columns_and_from_zones() -> None:
    named = record(replicate_weights={"method": "fay", "columns": ["R{1..2}"]})
    design = survey_design(frame(), named, "f.csv")
    assert design.replicates is not None and design.replicates.shape == (40, 2) and design.factor == 2.0
    zones = record(cluster=["S"], replicate_weights={"method": "jackknife_both", "zone": "ZONE", "half": "HALF"})
    design = survey_design(frame(), zones, "f.csv")
    assert design.replicates is not None and design.replicates.shape == (40, 8)
    assert design.factor == 0.5 and design.df == 4
    assert set(zones.columns) == {"W", "S", "ZONE", "HALF", "A", "B"}


def test_a_person_without_a_weight_needs_no_replicate_weight() -> None:
    cells = frame()
    cells.loc[:4, ["W", "R1", "R2"]] = np.nan
    design = survey_design(cells, record(replicate_weights={"method": "fay", "columns": ["R{1..2}"]}), "f.csv")
    assert design.replicates is not None and (design.replicates[:5] == 0).all()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("R2", np.nan, "column R2: found"),
        ("R2", -1.0, 'column R2: found "-1.0" for a person with a weight'),
        ("HALF", 2.0, "column HALF: found 2; expected 0 or 1"),
    ],
)
def test_a_bad_replicate_weight_is_named(column: str, value: float, reason: str) -> None:
    cells = frame()
    cells.loc[3, column] = value
    made = {"method": "fay", "columns": ["R{1..2}"]}
    if column == "HALF":
        made = {"method": "jackknife", "zone": "ZONE", "half": "HALF"}
    with pytest.raises(UserError, match=reason):
        survey_design(cells, record(replicate_weights=made), "f.csv")


@pytest.mark.parametrize(
    "keys",
    [
        {"replicate_weights": {"method": "fay"}},
        {"replicate_weights": {"method": "fay", "zone": "ZONE", "half": "HALF"}},
        {"replicate_weights": {"method": "jackknife", "zone": "ZONE"}},
        {"replicate_weights": {"method": "fay", "columns": ["R1"]}, "effective": "clusters"},
        {"strata": ["S"]},
    ],
)
def test_a_recipe_that_names_half_a_design_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs|go with|make"):
        record(**keys)


def test_schools_alone_never_count_for_more_than_their_students() -> None:
    """Ten simulated files of schools that do not matter: by chance the variance falls under that of a simple sample."""
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 200, 1))
        school = np.repeat(np.arange(20), 10)
        alone = correlate_by_design(x, y, SurveyDesign(None, school))
        pairs = correlate_by_design(x, y, SurveyDesign(None, school, school // 2))
        found.append((alone.n_effective, pairs.n_effective))
    alone, pairs = np.array(found).T
    assert (alone <= 200).all() and (alone == 200).any() and (pairs > 200).any()
