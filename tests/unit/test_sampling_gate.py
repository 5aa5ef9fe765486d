"""The gate: what fails, what is said about it, and that a failed fit has no estimates."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bayes.sampled.diagnostics import Failed, Gate, SampledPosterior, diagnose, judge
from replication.models.bayes.sampled.sampling import Draws, Settings
from replication.models.fit import Array


def good(seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=(4, 1000))


def reasons(values: Array, divergences: int = 0, density: Array | None = None) -> tuple[str, ...]:
    draws = Draws({}, good(2) if density is None else density, divergences, 0)
    return tuple(reason.message for reason in judge((diagnose("mean", values),), draws, Gate()).reasons)


def posterior(values: Array) -> SampledPosterior:
    parameter = diagnose("mean", values)
    diagnostics = judge((parameter,), Draws({}, good(3), 0, 0), Gate())
    return SampledPosterior("test", {}, (parameter,), diagnostics, Settings(), {}, (), values[..., None])


def test_independent_draws_pass() -> None:
    assert reasons(good()) == ()


def test_one_divergence_fails() -> None:
    assert reasons(good(), divergences=1) == ("1 divergent transitions (limit 0)",)


def test_chains_that_disagree_fail_with_their_name_and_value() -> None:
    apart = good()
    apart[0] += 1.0
    (first, *_) = reasons(apart)
    assert first.startswith("R-hat of mean is 1.") and first.endswith("(limit 1.01)")


def test_few_draws_fail_by_their_effective_size() -> None:
    found = reasons(good()[:, :60])
    assert [text.split(" of ")[0] for text in found if "ESS" in text] == ["bulk ESS", "tail ESS"]


def test_draws_that_never_move_fail() -> None:
    assert any("nan" in text for text in reasons(np.ones((4, 1000))))


def test_a_stuck_log_density_fails_even_if_the_parameters_look_well() -> None:
    stuck = good(4)
    stuck[0] += 5.0
    assert any("log density" in text for text in reasons(good(), density=stuck))


def test_a_failed_fit_offers_no_estimate() -> None:
    estimates = {"parameters", "draws", "mean", "sd", "summary", "parameter", "draws_of"}
    assert not estimates & set(dir(Failed))


def test_probability_has_its_monte_carlo_error() -> None:
    fit = posterior(good(5))
    found = fit.probability("mean", 1.0)
    assert abs(found.value - 0.158655) < 4.0 * found.mcse
    assert found.mcse == pytest.approx(np.sqrt(0.158655 * 0.841345 / 4000), rel=0.2)


def test_a_probability_of_one_is_not_known_to_be_one() -> None:
    assert posterior(good(6) + 100.0).probability("mean", 0.0).mcse == pytest.approx(3.0 / 4000)


def test_thinned_draws_are_few_and_plain() -> None:
    kept = posterior(good(7)).thinned("mean", most=500)
    assert len(kept) == 500 and isinstance(kept[0], float)


def test_a_summary_and_a_failure_are_plain_data() -> None:
    fit = posterior(good(8))
    failed = Failed("test", {}, ("why",), None, Settings(), {}, ())
    for record in (fit.summary(most=10), failed):
        assert isinstance(json.dumps(asdict(record)), str)
    assert len(fit.summary(most=10).thinned["mean"]) == 10


def test_an_unknown_parameter_is_named_with_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"no parameter 'tau' in test; it has mean"):
        posterior(good()).parameter("tau")


@pytest.mark.parametrize("bad", [{"chains": 1}, {"draws": 0}, {"seed": -1}, {"target_accept": 1.0}, {"attempts": 0}])
def test_impossible_settings_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ModelError, match=next(iter(bad))):
        Settings(**bad)  # type: ignore[arg-type]


def test_the_next_attempt_is_harder() -> None:
    first = Settings(draws=100, tune=50, target_accept=0.7)
    second = first.harder()
    assert (second.draws, second.tune, second.target_accept) == (200, 100, pytest.approx(0.9))
