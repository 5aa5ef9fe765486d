"""What the multilevel kernel is given: sorted blocks, cell means, slots, notes, and errors a user can act on."""

from __future__ import annotations

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bayes.sampled.multilevel_data import MultilevelData, multilevel_data
from replication.models.bayes.sampled.selection import selection_data
from replication.models.fit import Array
from replication.models.multilevel.structure import BlockV

Y = [0.3, -0.2, 0.1, 0.4, -0.1]
VARIANCES = [0.01, 0.02, 0.03, 0.04, 0.05]
SAMPLE = ["s1", "s2", "s1", "s3", "s2"]
CELL = ["a", "b", "b", "a", "b"]


def dense(data: MultilevelData) -> Array:
    """V as one matrix, in the order of the caller's rows."""
    k = len(data.y)
    full, at = np.zeros((k, k)), 0
    for first, end in zip(data.start[:-1], data.start[1:], strict=True):
        n = int(end - first)
        rows = np.array(data.rows[first:end])
        full[np.ix_(rows, rows)] = data.V[at : at + n * n].reshape(n, n)
        at += n * n
    return full


def test_rows_are_sorted_by_sample_and_their_covariances_too() -> None:
    V = BlockV.constant_correlation(VARIANCES, SAMPLE, 0.5)
    data = multilevel_data(Y, V, sample=SAMPLE, cell=CELL)
    assert data.rows == (0, 2, 1, 4, 3)
    assert data.y.tolist() == [0.3, 0.1, -0.2, -0.1, 0.4]
    assert data.start.tolist() == [0, 2, 4, 5]
    np.testing.assert_allclose(dense(data), V.dense())


def test_cells_have_means_and_slots() -> None:
    data = multilevel_data(Y, VARIANCES, sample=SAMPLE, cell=CELL)
    assert data.names == data.slots == ("a", "b")
    assert data.X.tolist() == [[1, 0], [0, 1], [0, 1], [0, 1], [1, 0]]
    assert data.slot_of_mean == (0, 1)


def test_moderators_stand_beside_the_means() -> None:
    data = multilevel_data(Y, VARIANCES, sample=SAMPLE, cell=CELL, moderators={"age": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert data.names == ("a", "b", "age")
    assert data.X[:, 2].tolist() == [1.0, 3.0, 2.0, 5.0, 4.0]


def test_a_whole_design_keeps_the_slots_of_its_cells() -> None:
    data = multilevel_data(Y, VARIANCES, sample=SAMPLE, cell=CELL, x=np.ones((5, 1)), names=["all"])
    assert (data.names, data.slots, data.slot_of_mean) == (("all",), ("a", "b"), ())


def test_shared_and_none() -> None:
    shared = multilevel_data(Y, VARIANCES, sample=SAMPLE, cell=CELL, structure="shared")
    none = multilevel_data(Y, VARIANCES, structure="none")
    assert shared.slots == ("sample",) and set(shared.slot.tolist()) == {0}
    assert none.slots == () and none.names == ("intercept",) and len(none.start) == 6


def test_samples_joined_by_a_covariance_are_one_block_but_two_samples() -> None:
    V = np.diag(VARIANCES)
    V[0, 3] = V[3, 0] = 0.005
    data = multilevel_data(Y, V, sample=SAMPLE, cell=CELL)
    assert data.start.tolist() == [0, 3, 5]
    np.testing.assert_allclose(dense(data), V)
    assert len(set(data.sample.tolist())) == 3


def test_missing_values_and_labels_are_left_out_and_named() -> None:
    data = multilevel_data(
        [0.3, np.nan, 0.1, 0.4, -0.1], VARIANCES, sample=["s1", "s2", "s1", None, "s2"], cell=CELL, structure="shared"
    )
    assert sorted(data.rows) == [0, 2, 4]
    (note,) = data.notes
    assert note.code == "excluded-rows" and note.rows == (1, 3)


def test_it_is_said_when_priors_split_the_variance() -> None:
    once = multilevel_data(Y[:4], VARIANCES[:4], sample=SAMPLE[:4], cell=CELL[:4])
    twice = multilevel_data(Y, VARIANCES, sample=SAMPLE, cell=CELL)  # s2 has two effects of cell b
    assert [note.code for note in once.notes] == ["split-by-prior"]
    assert twice.notes == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": None}, "needs the sample"),
        ({"cell": None}, "needs the cell"),
        ({"structure": "nested"}, "'by_cell'"),
        ({"V": [0.1, 0.2]}, "V is about 2 effects, y has 5"),
        ({"V": [0.1, -0.2, 0.1, 0.1, 0.1]}, "negative sampling variance"),
        ({"moderators": {"age": [1.0]}}, "moderator 'age'"),
        ({"x": np.ones((5, 1)), "moderators": {"age": Y}}, "not both"),
        ({"moderators": {"flat": np.ones(5)}}, "combination"),
    ],
)
def test_what_cannot_be_used_is_refused(change: dict[str, object], message: str) -> None:
    call: dict[str, object] = {"V": VARIANCES, "sample": SAMPLE, "cell": CELL} | change
    with pytest.raises(ModelError, match=message):
        multilevel_data(Y, **call)  # type: ignore[arg-type]


def test_steps_of_p_one_and_two_sided() -> None:
    """z = 3, 1, -3: one-sided p .001, .16, .999; two-sided .003, .32, .003."""
    y, v = [0.3, 0.1, -0.3], [0.01] * 3
    assert selection_data(y, v, steps=(0.025, 0.5)).step.tolist() == [0, 1, 2]
    assert selection_data(y, v, steps=(0.025, 0.5), expected_sign=-1).step.tolist() == [2, 2, 0]
    assert selection_data(y, v, steps=(0.05,), sides="two").step.tolist() == [0, 1, 0]


def test_a_step_without_effects_is_said() -> None:
    (note,) = selection_data([0.3, 0.4], [0.01, 0.01], steps=(0.025,)).notes
    assert "no p value in (0.025, 1]" in note.message


@pytest.mark.parametrize("steps", [(), (0.5, 0.025), (0.0,), (1.0,), (0.05, 0.05)])
def test_steps_must_rise_between_0_and_1(steps: tuple[float, ...]) -> None:
    with pytest.raises(ModelError, match="rise between 0 and 1"):
        selection_data([0.3, 0.1], [0.01, 0.01], steps=steps)


def test_selection_needs_sampling_error() -> None:
    with pytest.raises(ModelError, match="above 0"):
        selection_data([0.3, 0.1], [0.01, 0.0])
