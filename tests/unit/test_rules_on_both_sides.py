"""Rules that decide what a reader is told, each tried on both sides of where it turns."""

import inspect

import numpy as np
import pytest

from replication.dataset import Dataset, select
from replication.effects.conversions import r_from_p, r_from_t
from replication.effects.correlation import correlation, fisher_z
from replication.errors import UserError
from replication.models.bias.p_curve import PCurveTest, has_evidential_value, is_inadequate
from replication.models.bias.pet_peese import choose_pet_peese, pet_peese
from replication.models.fit import Fit
from replication.models.masem.fit_indices import cfi, tli
from replication.models.two_level.random_effects import fit_random_effects


def with_p(p: float) -> Fit:
    """A common-effect fit of one effect whose two-sided p is `p`."""
    from scipy.stats import norm

    return fit_random_effects([float(norm.isf(p / 2))], [1.0])


@pytest.mark.parametrize(
    ("p", "chosen"), [(0.04, "PEESE"), (0.07, "PEESE"), (0.099, "PEESE"), (0.101, "PET"), (0.3, "PET")]
)
def test_peese_is_read_where_pet_finds_an_effect_at_ten_per_cent(p: float, chosen: str) -> None:
    """Stanley & Doucouliagos (2014): the conditional estimator tests at 10 %, not at 5 %."""
    alpha = inspect.signature(pet_peese).parameters["alpha"].default
    assert choose_pet_peese(with_p(p), with_p(0.5), direction=None, alpha=alpha).chosen == chosen


def test_peese_is_not_read_where_pet_points_the_other_way() -> None:
    strong = with_p(0.001)
    assert choose_pet_peese(strong, strong, direction="positive", alpha=0.1).chosen == "PEESE"
    assert choose_pet_peese(strong, strong, direction="negative", alpha=0.1).chosen == "PET"


def curve(p: float, half_p: float, binomial_p: float = 0.5) -> PCurveTest:
    return PCurveTest(z=0.0, p=p, half_z=0.0, half_p=half_p, binomial_p=binomial_p)


@pytest.mark.parametrize(
    ("p", "half_p", "yes"),
    [
        (0.9, 0.049, True),  # the half curve alone, below .05
        (0.9, 0.051, False),
        (0.09, 0.09, True),  # both below .10
        (0.11, 0.09, False),
        (0.09, 0.11, False),
        (0.001, 0.2, False),  # the full curve alone is not enough
    ],
)
def test_evidential_value(p: float, half_p: float, yes: bool) -> None:
    assert has_evidential_value(curve(p, half_p)) == yes


@pytest.mark.parametrize(
    ("p", "half_p", "binomial_p", "yes"),
    [
        (0.049, 0.9, 0.9, True),  # the full curve alone, below .05
        (0.051, 0.9, 0.9, False),
        (0.9, 0.09, 0.09, True),  # half curve and binomial test, both below .10
        (0.9, 0.09, 0.11, False),
        (0.9, 0.11, 0.09, False),
    ],
)
def test_inadequate_evidence(p: float, half_p: float, binomial_p: float, yes: bool) -> None:
    assert is_inadequate(curve(p, half_p, binomial_p)) == yes


def test_cfi_compares_with_the_worse_of_model_and_baseline() -> None:
    assert cfi(10.0, 2, 106.0, 6) == pytest.approx(1 - 8 / 100)
    assert cfi(20.0, 2, 10.0, 6) == 0.0  # misfit 18 beside a baseline's 4: the index stays above -3.5
    assert cfi(1.0, 2, 106.0, 6) == 1.0  # fits better than its degrees of freedom
    assert cfi(1.0, 2, 3.0, 6) == 1.0  # and so does the baseline: nothing to compare
    assert tli(10.0, 2, 106.0, 6) == pytest.approx((106 / 6 - 5) / (106 / 6 - 1))


def test_only_rounding_counts_as_a_perfect_fit() -> None:
    dust = fit_random_effects([0.1 + 0.2, 0.3, 0.3, 0.3], [0.01, 0.02, 0.01, 0.02])
    assert dust.se[0] == 0.0 and "perfect-fit" in {note.code for note in dust.notes}
    spread = fit_random_effects([0.3 + 1e-9, 0.3, 0.3, 0.3], [0.01, 0.02, 0.01, 0.02])
    assert spread.se[0] > 0.0 and "perfect-fit" not in {note.code for note in spread.notes}


def test_persons_behind_a_sample_are_those_of_its_largest_row(dataset: Dataset) -> None:
    found = select(dataset)
    rows: dict[str, list[float]] = {}
    for sample, n in zip(found.rows["sample_id"], found.rows["n"], strict=True):
        rows.setdefault(sample, []).append(n)
    uneven = {sample: sizes for sample, sizes in rows.items() if min(sizes) < max(sizes)}
    assert uneven, "without a sample of uneven rows this test shows nothing"
    sizes = found.sample_sizes
    assert all(sizes[sample] == max(each) for sample, each in uneven.items())


def test_a_version_holds_the_works_that_came_with_it(dataset: Dataset) -> None:
    first = dataset.as_of("1.0.0")
    came = {key for key, work in dataset.works.items() if work.since == "1.0.0"}
    assert came and came <= set(first.works)
    assert not {key for key, work in dataset.works.items() if work.since != "1.0.0"} & set(first.works)


@pytest.mark.parametrize(
    ("computes", "least"),
    [
        (lambda n: correlation(0.3, n), 2),
        (lambda n: fisher_z(0.3, n), 4),
        (lambda n: r_from_t(2.0, n), 3),
        (lambda n: r_from_p(0.03, n, 1), 3),
    ],
)
def test_the_fewest_persons_a_variance_needs(computes: object, least: int) -> None:
    assert callable(computes)
    assert np.isfinite(computes(least).variance).all()
    with pytest.raises(UserError):
        computes(least - 1)
