"""The design of the roles model: centring, scaling, coding, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bayes.sampled.roles_data import PREDICTORS, RolesData, roles_data
from replication.models.bayes.sampled.roles_simulated import simulated_roles, simulated_students, simulated_truth
from replication.models.fit import Array

WORDS = np.array(["uninvolved", "bully", "victim", "bully/victim"], dtype=object)


def columns(n: int = 40, classes: int = 4) -> dict[str, Array]:
    return simulated_students(n, classes, np.random.default_rng(1))


def design(n: int = 40, **change: object) -> RolesData:
    return roles_data(**({"role": WORDS[np.arange(n) % 4], **columns(n)} | change))  # type: ignore[arg-type]


def column(data: RolesData, name: str) -> Array:
    return data.X[:, data.names.index(name)]


def test_a_student_is_compared_with_classmates_and_a_class_with_classes() -> None:
    raw, data = columns(), design()
    own = column(data, "relationship (student)") * data.scale[1]
    means = np.array([raw["relationship"][raw["class_id"] == c].mean() for c in range(4)])
    np.testing.assert_allclose(own, raw["relationship"] - means[raw["class_id"].astype(int)])
    between = column(data, "relationship (class)") * data.scale[6]
    np.testing.assert_allclose(between, (means - means.mean())[raw["class_id"].astype(int)])
    assert own @ between == pytest.approx(0.0, abs=1e-12)


def test_every_predictor_is_centred_and_has_sd_one_but_yes_and_no() -> None:
    data = design()
    np.testing.assert_allclose(data.X[:, 1:].mean(axis=0), 0.0, atol=1e-12)
    for name in PREDICTORS[1:]:
        if name in ("girl", "immigrant"):
            assert np.ptp(column(data, name)) == pytest.approx(1.0)
        else:
            assert column(data, name).std(ddof=1) == pytest.approx(1.0)


def test_the_unit_of_a_predictor_does_not_matter() -> None:
    once, thousand = design(), design(relationship=1e3 * columns()["relationship"] - 7.0)
    np.testing.assert_allclose(once.X, thousand.X, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(thousand.scale[[1, 6]], 1e3 * once.scale[[1, 6]])


def test_students_with_a_gap_are_left_out_but_count_for_their_class_mean() -> None:
    age = columns()["age"]
    age[[3, 7]] = np.nan
    data = design(age=age)
    assert len(data.role) == 38 and data.notes[0].rows == (3, 7)
    whole = design()
    kept = np.delete(np.arange(40), [3, 7])
    own = column(data, "relationship (student)") * data.scale[1]
    before = column(whole, "relationship (student)") * whole.scale[1]
    np.testing.assert_allclose(np.diff(own), np.diff(before[kept]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": np.repeat(WORDS[:3], 14)[:40]}, "'bully/victim'"),
        ({"role": ["mobber"] * 40}, "'mobber' is not known"),
        ({"girl": np.full(40, 2.0)}, "girl must be 1 or 0"),
        ({"age": np.full(40, 12.0)}, "age does not vary"),
        ({"class_id": np.zeros(40)}, "one class"),
        ({"age": np.full(40, np.nan)}, "no student is left"),
    ],
)
def test_what_the_model_cannot_use_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        design(**change)


def test_few_cases_are_said() -> None:
    assert [note.code for note in design().notes] == ["few-classes", "few-cases"]


def test_simulated_roles_follow_their_stated_values() -> None:
    """Without class deviations and slopes the shares of the roles are the softmax of the intercepts."""
    truth = simulated_truth()
    truth.slopes[:, 1:] = 0.0
    truth.class_sd[:] = 0.0
    data = simulated_roles(truth, 40_000, 400, np.random.default_rng(2))
    odds = np.exp([0.0, -3.0, -2.0, -3.5])
    shares = odds / odds.sum()
    found = np.bincount(data.role) / 40_000
    np.testing.assert_allclose(found, shares, atol=4.0 * np.sqrt(0.25 / 40_000))
