"""The verdicts on the real claims: what must hold, what may differ, and explanations that have outlived their use."""

from collections import Counter

import pytest

from replication import paths
from replication.analysis import Context, Outcome, analysis_files, load_analysis, run_analysis
from replication.claims import Check, claims_of
from replication.dataset import Dataset

INCONSISTENT = {
    "ahnert2006-005",  # a news item prints other digits than the abstract
    "metax2023-001",  # the database's d is not the article's r
    "metax2023-002",  # the database counts 229 studies where the article says 119
}


@pytest.fixture(scope="module")
def outcomes(dataset: Dataset) -> dict[str, Outcome]:
    files = analysis_files(paths.analyses_dir(), paths.data_dir())
    found = {
        name: load_analysis(path) for name, path in files.items() if path.parent.name not in ("findings", "simulated")
    }
    return {name: run_analysis(analysis, Context(dataset)) for name, analysis in found.items()}


@pytest.fixture(scope="module")
def checks(outcomes: dict[str, Outcome]) -> dict[str, Check]:
    return {check.claim.id: check for outcome in outcomes.values() for check in outcome.checks}


def test_every_work_that_prints_a_number_has_a_reproduction(dataset: Dataset, outcomes: dict[str, Outcome]) -> None:
    assert set(dataset.claims["work"]) | set(dataset.directions["work"]) == set(outcomes)


def test_every_claim_has_exactly_one_verdict(dataset: Dataset, outcomes: dict[str, Outcome]) -> None:
    counted = Counter(check.claim.id for outcome in outcomes.values() for check in outcome.checks)
    assert set(counted) == {claim.id for claim in claims_of(dataset)}
    assert set(counted.values()) == {1}


def test_nothing_differs_without_an_explanation(checks: dict[str, Check]) -> None:
    assert [c.claim.id for c in checks.values() if c.verdict == "DIFFERS"] == []


def test_the_known_inconsistencies_are_all_there_are(checks: dict[str, Check]) -> None:
    assert {c.claim.id for c in checks.values() if c.verdict == "INCONSISTENT"} == INCONSISTENT


def test_an_explanation_that_is_no_longer_needed_fails_here(dataset: Dataset, checks: dict[str, Check]) -> None:
    explained = {claim for explanation in dataset.explanations for claim in explanation.claims}
    assert {c.claim.id for c in checks.values() if c.verdict == "DIFFERS_EXPLAINED"} == explained


def test_what_cannot_be_computed_says_what_is_missing(checks: dict[str, Check]) -> None:
    for check in checks.values():
        if check.verdict in ("NOT_COMPUTABLE", "PENDING"):
            assert len(check.reason) > 20, check.claim.id


def test_a_direction_waits_for_its_size_and_says_where(dataset: Dataset, checks: dict[str, Check]) -> None:
    for row in dataset.directions.to_dict("records"):
        check = checks[row["direction_id"]]
        assert (check.verdict, check.claim.statistic) == ("PENDING", "direction")
        assert row["where_to_find"] in check.reason
    bully = checks["thornberg2022-d01"].claim
    assert bully.quantity == "student-teacher relationship quality with role bully"
    assert bully.printed["value"] == "negative"


def test_the_path_model_of_2017_agrees_with_its_correlations(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["roorda2017"]
    estimates = {estimate.id: estimate for estimate in outcome.estimates}
    third = estimates["implied-pos-neg"]
    assert -0.36 < third.low < -0.31 < third.high < -0.26
    assert estimates["joint-violation"].value == 0.0
    assert sum(check.verdict == "CONSISTENT" for check in outcome.checks) == 17
