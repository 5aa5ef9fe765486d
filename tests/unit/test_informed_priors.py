"""Published results become priors by arithmetic, and the defaults are what their reasons say."""

from __future__ import annotations

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bayes.priors.informed import (
    correlation_priors,
    prior_from_published,
    sensitivity_priors,
    tau_prior_from_published,
)

Z975 = 1.959963984540054


def test_the_interval_becomes_the_sd_on_the_z_scale() -> None:
    prior = prior_from_published(0.5, 0.4, 0.6, scale="r").prior
    assert prior.mean == pytest.approx(0.5 * np.log(1.5 / 0.5))
    assert prior.sd == pytest.approx((np.arctanh(0.6) - np.arctanh(0.4)) / (2 * Z975))


def test_the_prior_gives_the_published_interval_back() -> None:
    prior = prior_from_published(-0.2, -0.5, 0.1, scale="identity", level=0.9).prior
    np.testing.assert_allclose(prior.ppf([0.05, 0.5, 0.95]), [-0.5, -0.2, 0.1], rtol=1e-12)


def test_another_setting_adds_heterogeneity_and_doubt_divides_the_precision() -> None:
    mean = prior_from_published(1.0, 0.0, 2.0, scale="identity").prior
    setting = prior_from_published(1.0, 0.0, 2.0, scale="identity", target="setting", tau=0.3, weight=0.5).prior
    assert setting.sd**2 == pytest.approx((mean.sd**2 + 0.3**2) / 0.5)
    assert prior_from_published(1.0, 0.0, 2.0, scale="identity", tau=0.3).prior.sd == mean.sd


def test_every_step_is_told() -> None:
    informed = prior_from_published(-0.17, -0.21, -0.14, source="a page")
    assert informed.steps[0] == "published: -0.17 [-0.21, -0.14], 95 % interval"
    assert any("off the middle" in step for step in informed.steps)
    assert informed.prior.source == "a page"
    assert informed.prior.reason == "; ".join(informed.steps)


def test_tau_from_an_interval_or_from_a_value() -> None:
    prior = tau_prior_from_published(0.2, 0.1, 0.4).prior
    np.testing.assert_allclose(prior.ppf([0.025, 0.5, 0.975]), [0.1, 0.2, 0.4], rtol=1e-12)
    assert float(tau_prior_from_published(0.2).prior.ppf(0.5)) == pytest.approx(0.2)


def test_the_reasons_of_the_default_set_are_true() -> None:
    priors = correlation_priors()
    np.testing.assert_allclose(priors.tau.ppf([0.5, 0.95]), [0.20, 0.59], atol=0.005)
    np.testing.assert_allclose(np.tanh(priors.mean.ppf([0.025, 0.975])), [-0.96, 0.96], atol=0.005)
    np.testing.assert_allclose(np.tanh(np.arctanh(0.3) + 0.3 * Z975 * np.array([-1, 1])), [-0.27, 0.72], atol=0.005)
    assert float(priors.slope.cdf(1.0) - priors.slope.cdf(-1.0)) > 0.95


def test_the_grid_varies_one_thing_at_a_time() -> None:
    base, *others = sensitivity_priors()
    assert len({s.name for s in (base, *others)}) == 1 + len(others)
    for other in others:
        assert (other.mean != base.mean) != (other.tau != base.tau)
        assert other.mean.reason
        assert other.tau.reason


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((0.5, 0.6, 0.7), "low <= estimate"),
        ((0.5, 0.4, 1.0), "between -1 and 1"),
        ((0.5, 0.5, 0.5), "low < high"),
    ],
)
def test_numbers_that_are_no_interval_are_refused(args: tuple[float, float, float], word: str) -> None:
    with pytest.raises(ModelError, match=word):
        prior_from_published(*args)
    with pytest.raises(ModelError, match="above 0"):
        tau_prior_from_published(0.0)
