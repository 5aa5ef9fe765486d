"""A printed pool as a prior: every number of its table by hand, and what a conflict turns on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from replication.analysis.outcome import Label, Number, Ref
from replication.claims import claims_by_id
from replication.dataset import Dataset, Selection
from replication.evidence.main_model import Estimated, estimate_body, posterior_of_body
from replication.evidence.prior import (
    CONFLICT,
    PRINTED_WEIGHT,
    conflict,
    prior_and_data,
    prior_sensitivity,
    shares_samples,
)
from replication.evidence.published import Published
from replication.evidence.question import Evidence, Question
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.informed import correlation_priors, sensitivity_priors

Z = [0.30, 0.18, 0.26, 0.41, 0.22, 0.35]


def body(sign: int = 1) -> Evidence:
    """Six open samples in six countries."""
    k = len(Z)
    rows = pd.DataFrame(
        {
            "effect_id": [f"s{i}" for i in range(k)], "sample_id": [f"s{i}" for i in range(k)], "label": [""] * k,
            "work": ["w"] * k, "n": [203.0] * k, "country": list("ABCDEF"), "body": ["open"] * k,
        }
    )  # fmt: skip
    question = Question("q", "x", ("positive",), "engagement")
    return Evidence(question, "open", Selection(rows), rows, sign * np.array(Z), np.full(k, 1 / 200))


@pytest.fixture(scope="module")
def answer() -> Estimated:
    return estimate_body(body())


@pytest.fixture(scope="module")
def print_(dataset: Dataset) -> Published:
    return Published(claims_by_id(dataset)["roorda2011-011"], 0.35, 0.1, "printed_interval")


def moments(answer: Estimated) -> tuple[float, float, float]:
    """Mean and sd of the posterior mean on z, and the variance of true sample means."""
    marginal = answer.posterior.coefficient()
    return marginal.mean, marginal.sd, answer.posterior.variance("between") + answer.posterior.variance("country")


def test_the_distance_is_over_all_three_variances() -> None:
    assert conflict((0.5, 0.3), (0.1, 0.4), 0.0) == pytest.approx(0.4 / 0.5)
    assert conflict((0.1, 0.0), (0.5, 0.0), 0.04) == pytest.approx(2.0)
    assert conflict((-0.3, 0.1), (0.3, 0.2), 0.04) == pytest.approx(0.6 / 0.3)


def test_rows_of_the_work_or_used_in_it_are_shared_and_a_like_name_is_not(print_: Published) -> None:
    found, work = body(), print_.claim.work
    assert not shares_samples(print_, found)
    for column, cell, shared in (
        ("work", work, True),
        ("work", f"{work}x", False),
        ("used_in", f"other1999;{work}", True),
        ("used_in", f"{work}x", False),
        ("used_in", None, False),
    ):
        rows = found.rows.assign(**{column: [*[""] * 5, cell]})
        assert shares_samples(print_, replace(found, rows=rows)) is shared, (column, cell)


@pytest.mark.parametrize("se", [0.0, float("nan")])
def test_a_print_without_an_error_is_no_prior(answer: Estimated, print_: Published, se: float) -> None:
    found = prior_and_data(answer, replace(print_, se=se), 1)
    assert [s.key for s in found.sentences] == ["prior.no_error"] and found.estimates == found.tables == ()


def test_every_cell_of_the_table_by_hand(answer: Estimated, print_: Published) -> None:
    found = prior_and_data(answer, print_, 1)
    (table,), (estimate,), (sentence,) = found.tables, found.estimates, found.sentences
    printed, alone, mixed = table.rows
    ends = np.tanh(0.35 + 0.1 * np.array([0.0, -1.959964, 1.959964]))
    assert printed[1:] == (*(pytest.approx(float(end), abs=1e-7) for end in ends), None, None, None)
    default = answer.posterior.coefficient()
    informed = posterior_of_body(answer.found, mean=Normal(0.35, 0.1))
    # Bayes' rule for which of two priors holds: their weights times their marginal likelihoods
    odds = PRINTED_WEIGHT * np.exp(informed.log_marginal - answer.posterior.log_marginal) / (1 - PRINTED_WEIGHT)
    weight = odds / (1 + odds)
    assert alone[1:4] == pytest.approx(np.tanh(default.ppf([0.5, 0.025, 0.975])).tolist(), abs=1e-9)
    assert alone[4:] == pytest.approx([float(default.sf(np.arctanh(r))) for r in (0.0, 0.1, 0.2)], abs=1e-9)

    def below(r: float) -> float:
        z = np.arctanh(r)
        return float(weight * informed.coefficient().cdf(z) + (1 - weight) * default.cdf(z))

    assert [below(float(str(r))) for r in mixed[1:4]] == pytest.approx([0.5, 0.025, 0.975], abs=1e-6)
    assert mixed[4:] == pytest.approx([1 - below(r) for r in (0.0, 0.1, 0.2)], abs=1e-6)
    assert (estimate.value, estimate.low, estimate.high) == mixed[1:4]
    assert (estimate.k, estimate.samples, estimate.n) == (6, 6, 6 * 203.0)
    assert table.links == (Ref("claim", "roorda2011-011"), Ref("estimate", "q-open-posterior"),
                           Ref("estimate", estimate.id))  # fmt: skip
    assert isinstance(table.note, Label) and table.note.values["weight"] == pytest.approx(weight)
    said = {name: value.value for name, value in sentence.values.items() if isinstance(value, Number)}
    mean, sd, tau2 = moments(answer)
    distance = abs(0.35 - mean) / np.sqrt(0.1**2 + sd**2 + tau2)
    expected = {"r": mixed[1], "low": mixed[2], "high": mixed[3], "distance": distance, "limit": 1.959964}
    assert said == pytest.approx(expected | {"weight": weight}, abs=1e-6)


def test_a_print_that_is_the_default_prior_keeps_its_weight_and_changes_nothing(
    answer: Estimated, print_: Published
) -> None:
    found = prior_and_data(answer, replace(print_, z=0.0, se=1.0), 1)
    weight = found.sentences[0].values["weight"]
    assert isinstance(weight, Number) and weight.value == pytest.approx(0.8, abs=1e-9)
    assert found.tables[0].rows[2][1:] == pytest.approx(found.tables[0].rows[1][1:], abs=1e-6)


@pytest.mark.parametrize(("at", "key"), [(0.999, "prior.no_conflict"), (1.001, "prior.conflict")])
@pytest.mark.parametrize("side", [1, -1])
def test_a_conflict_begins_at_its_limit_on_either_side(
    answer: Estimated, print_: Published, at: float, key: str, side: int
) -> None:
    mean, sd, tau2 = moments(answer)
    z = mean + side * at * CONFLICT * np.sqrt(0.1**2 + sd**2 + tau2)
    assert prior_and_data(answer, replace(print_, z=float(z)), 1).sentences[0].key == key


def test_turned_data_are_asked_about_the_other_side(answer: Estimated, print_: Published) -> None:
    """What is expected below zero is counted below -.1 and -.2: the mirror image has the same chances."""
    turned = prior_and_data(estimate_body(body(-1)), replace(print_, z=-0.35), -1).tables[0].rows
    straight = prior_and_data(answer, print_, 1).tables[0].rows
    for one, other in zip(turned[1:], straight[1:], strict=True):
        assert one[4:] == pytest.approx(other[4:], abs=1e-6)
        assert one[1] == pytest.approx(-float(str(other[1])), abs=1e-6)


def test_curves_are_densities_in_r(answer: Estimated, print_: Published) -> None:
    (figure,) = prior_and_data(answer, print_, 1).figures
    columns = {name: np.array(values) for name, values in figure.columns.items()}
    centres = {}
    for name in ("prior", "data_alone", "posterior"):
        here = columns["curve"] == name
        x, y = columns["x"][here].astype(float), columns["y"][here].astype(float)
        assert len(x) == 121 and (np.diff(x) > 0).all()
        assert np.trapezoid(y, x) == pytest.approx(1.0, abs=3e-3), name
        centres[name] = np.trapezoid(x * y, x)
    assert centres["prior"] == pytest.approx(np.tanh(0.35), abs=0.01)
    rows = prior_and_data(answer, print_, 1).tables[0].rows
    assert centres["data_alone"] == pytest.approx(rows[1][1], abs=0.01)
    assert centres["posterior"] == pytest.approx(rows[2][1], abs=0.01)


def test_other_priors_stand_beside_the_default_one(answer: Estimated) -> None:
    table, figure = prior_sensitivity(answer, 1)
    named = {priors.name: priors for priors in sensitivity_priors() if isinstance(priors.mean, Normal)}
    rows = {str(row[0]): row[1:] for row in table.rows}
    assert list(rows) == list(named) and len(rows) == 7
    for name in (correlation_priors().name, "sceptical_mean", "wide_tau"):
        posterior = posterior_of_body(answer.found, named[name])
        mean, further = posterior.coefficient(), posterior.further_sample()
        expected = [*np.tanh(mean.ppf([0.5, 0.025, 0.975])), *np.tanh(further.ppf([0.025, 0.975]))]
        expected += [float(mean.sf(np.arctanh(r))) for r in (0.0, 0.1, 0.2)]
        assert rows[name] == pytest.approx(expected, abs=1e-9), name
    assert list(zip(*(figure.columns[c] for c in ("label", "value", "low", "high")), strict=True)) == [
        row[:4] for row in table.rows
    ]
