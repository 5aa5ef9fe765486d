"""Model averaging: what it refuses, what it notes, and what its summary holds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bayes.averaging.averaging import Averaged, average_models
from replication.models.bayes.averaging.bias_models import (
    BiasModel,
    CumulativeDirichlet,
    WeightFunction,
    bias_priors,
    psma_models,
)

Y, V = [0.4, 0.3, 0.5, 0.2], [0.02, 0.01, 0.03, 0.01]
PLAIN = tuple(BiasModel(e, h, None, 0.25) for e in (False, True) for h in (False, True))


def fit(y: object = Y, v: object = V, **options: object) -> Averaged:
    return average_models(y, v, **({"priors": bias_priors("z"), "models": PLAIN} | options))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fit(v=[0.0, 0.01, 0.03, 0.01]), ("row 0", "no p value")),
        (lambda: fit(v=[-0.1, 0.01, 0.03, 0.01]), ("row 0", "negative")),
        (lambda: fit(direction="up"), ("direction", "'positive'")),
        (lambda: fit(models=()), ("at least one model",)),
        (lambda: fit(models=(BiasModel(True, True, None, 0.0),)), ("above 0",)),
        (lambda: bias_priors("r"), ("metric", "'z'")),
        (lambda: WeightFunction("one", (0.05, 0.025)), ("rise between 0 and 1",)),
        (lambda: WeightFunction("both", (0.05,)), ("sides", "'two'")),
        (lambda: WeightFunction("one", ()), ("such as",)),
        (lambda: CumulativeDirichlet(0.5), ("alpha",)),
    ],
)
def test_errors_say_what_was_found_and_what_to_do(make: Callable[[], object], words: tuple[str, ...]) -> None:
    with pytest.raises(ModelError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_missing_rows_are_named() -> None:
    found = fit([0.4, np.nan, 0.5, 0.2], V)
    assert (found.k, found.notes[0].rows) == (3, (1,))


def test_components_that_every_model_has_have_no_bayes_factor() -> None:
    found = fit(models=(BiasModel(True, True, None, 0.5), BiasModel(True, False, None, 0.5)))
    effect, heterogeneity, bias, *_ = found.inclusion
    assert np.isnan(effect.log10)
    assert "every model" in effect.reason
    assert np.isfinite(heterogeneity.log10)
    assert "no model" in bias.reason
    assert found.effect.mean == pytest.approx(found.effect_if_present.mean)


def test_models_without_an_effect_leave_a_point_at_zero() -> None:
    found = fit(models=PLAIN[:2])
    assert found.effect_if_present is None
    assert (found.effect.mean, found.effect.sd) == (0.0, 0.0)
    assert float(found.effect.ppf(0.3)) == 0.0


def test_an_accuracy_not_reached_is_a_note() -> None:
    found = fit(rtol=1e-16)
    assert [n.code for n in found.notes] == ["accuracy"]


def test_the_36_models_share_probability_as_said() -> None:
    models = psma_models()
    for has in (lambda m: m.effect, lambda m: m.heterogeneity, lambda m: m.bias is not None):
        assert sum(m.probability for m in models if has(m)) == pytest.approx(0.5)
    assert sum(m.probability for m in models if isinstance(m.bias, WeightFunction)) == pytest.approx(0.25)
    assert len({m.label for m in models}) == 36


def test_priors_on_z_are_those_on_d_moved() -> None:
    """If d = 2 z then mu and tau halve, a slope on se is unchanged and a slope on v doubles."""
    z, d = bias_priors("z"), bias_priors("d")
    assert z.effect.sd == d.effect.sd / 2
    assert float(z.tau.ppf(0.3)) == pytest.approx(float(d.tau.ppf(0.3)) / 2)
    assert float(z.pet.ppf(0.3)) == float(d.pet.ppf(0.3))
    assert float(z.peese.ppf(0.3)) == pytest.approx(2 * float(d.peese.ppf(0.3)))


def test_metric_does_not_matter_when_data_are_moved_too() -> None:
    one = average_models(Y, V, priors=bias_priors("z"), models=PLAIN)
    other = average_models(2 * np.array(Y), 4 * np.array(V), priors=bias_priors("d"), models=PLAIN)
    for a, b in zip(one.models, other.models, strict=True):
        assert a.posterior == pytest.approx(b.posterior, rel=1e-6)


@pytest.mark.parametrize(
    ("y", "v"),
    [
        ([0.3], [0.01]),
        ([0.3, -0.3], [1e-6, 10.0]),
        ([0.3] * 5, [0.01] * 5),
        ([-0.5, -0.4, -0.6], [0.01, 0.01, 0.02]),
        ([9.0, 8.0, 9.5], [1e-4, 1e-4, 1e-4]),
    ],
    ids=["one effect", "one precise", "identical", "against the direction", "far out"],
)
def test_awkward_data(y: list[float], v: list[float]) -> None:
    models = tuple(m for m in psma_models() if not isinstance(m.bias, WeightFunction) or len(m.bias.steps) == 1)
    found = average_models(y, v, priors=bias_priors("z"), models=models)
    assert found.error <= 1e-3
    assert sum(m.posterior for m in found.models) == pytest.approx(1.0)
    for estimate in found.summary().estimates:
        assert np.isfinite([estimate.median, estimate.central.low, estimate.central.high]).all()
        assert estimate.central.low <= estimate.median <= estimate.central.high
        assert np.isfinite(estimate.sd) or estimate.reason


def test_the_summary_is_plain_data() -> None:
    found = average_models(Y, V, priors=bias_priors("z"), models=PLAIN)
    plain = json.loads(json.dumps(dataclasses.asdict(found.summary())))
    assert [e["name"] for e in plain["estimates"]] == [
        "effect",
        "effect, if there is one",
        "tau",
        "tau, if there is any",
    ]
    assert plain["priors"]["weights"]["parameters"] == {"alpha": 1.0}
    assert (
        plain["priors"]["effect"]["source"]
        == "RoBMA 3.5.0 and 3.3.0, reference manuals (set_default_priors, check_setup); Bartoš et al. (2023)"
    )
    assert len(plain["models"]) == 4
