"""Nothing of the evidence was lost on the way into the dataset: counts and sums as the evidence gives them."""

from __future__ import annotations

import pytest

from replication.dataset import Dataset

READINGS = {"program output": 157, "data file": 19, "abstract": 144, "second-hand note": 61, "title page": 1}
USED_PAIRS = {
    ("positive", "negative"): (15, 16),
    ("positive", "engagement"): (21, 26),
    ("positive", "achievement"): (26, 30),
    ("negative", "engagement"): (8, 10),
    ("negative", "achievement"): (18, 19),
    ("engagement", "achievement"): (13, 13),
}


def test_claims(dataset: Dataset) -> None:
    claims = dataset.claims
    assert len(claims) == 382
    assert claims["work"].nunique() == 45
    assert claims["reading"].value_counts().to_dict() == READINGS


def test_the_45_samples(dataset: Dataset) -> None:
    samples = dataset.samples[dataset.samples["work"] == "roorda2011"]
    effects = dataset.effects[dataset.effects["work"] == "roorda2011"]
    assert (len(samples), samples["n"].sum()) == (45, 29_438)
    assert len(effects) == 114
    assert effects["used_in"].str.split(";").map(lambda names: "jakcheung2018" in names).sum() == 101
    assert (effects["value"] == 0).sum() == 3


@pytest.mark.parametrize("pair", USED_PAIRS)
def test_pairs_in_use(dataset: Dataset, pair: tuple[str, str]) -> None:
    effects = dataset.effects[dataset.effects["work"] == "roorda2011"]
    rows = effects[(effects["var_a"] == pair[0]) & (effects["var_b"] == pair[1])]
    missing = (rows["diagonal_a_missing"] == "yes") | (rows["diagonal_b_missing"] == "yes")
    assert ((~missing).sum(), len(rows)) == USED_PAIRS[pair]


def test_student_surveys(dataset: Dataset) -> None:
    effects = dataset.effects
    rows = effects[(effects["reading"] == "computed") & (effects["unit"] == "student")]
    samples = dataset.samples[dataset.samples["sample_id"].isin(rows["sample_id"])]
    assert len(rows) == 445
    assert (len(samples), (samples["subgroup_of"] != "").sum()) == (22, 5)


def test_schools(dataset: Dataset) -> None:
    rows = dataset.effects[dataset.effects["unit"] == "school"]
    cycles = rows.groupby("cycle")["sample_id"].nunique().to_dict()
    assert (len(rows), rows["sample_id"].nunique()) == (3549, 221)
    assert cycles == {"2000": 43, "2003": 40, "2009": 73, "2012": 65}


def test_units_are_whole(dataset: Dataset) -> None:
    assert set(dataset.effects["unit"]) == {"student", "school"}
    assert len(dataset.effects) == 114 + 445 + 3549 + 12


def test_directions_and_screening(dataset: Dataset) -> None:
    screened = dataset.table("screened.csv")
    assert len(dataset.directions) == 55
    assert dataset.directions["work"].nunique() == 12
    assert screened["screen"].value_counts().to_dict() == {"doubtful": 12, "exclude": 11, "adjacent": 19}
    assert len(screened) + 12 == 54


def test_core_associations_are_works(dataset: Dataset) -> None:
    primary = [key for key, work in dataset.works.items() if work.role == "primary"]
    effects = dataset.effects
    rows = effects[effects["work"].isin(primary) & (effects["reading"] != "computed")]
    assert len(rows) == 12
    assert (rows["unit"] == "student").all()


def test_works_and_bibliography(dataset: Dataset) -> None:
    roles = {role: sum(work.role == role for work in dataset.works.values()) for role in ("cited", "survey")}
    assert len(dataset.references) == 93 + 16
    assert set(dataset.references) == set(dataset.works)
    assert roles == {"cited": 24, "survey": 16}
    assert len(dataset.cited()) == 24


def test_every_work_without_numbers_says_so(dataset: Dataset) -> None:
    counted = set(dataset.claims["work"]) | set(dataset.effects["work"]) | set(dataset.directions["work"])
    silent = [key for key, work in dataset.works.items() if key not in counted]
    screened = set(dataset.table("screened.csv")["work"])
    for key in silent:
        work = dataset.works[key]
        assert work.quantitative != "yes" or key in screened or work.missing, key


def test_corrections_and_traps(dataset: Dataset) -> None:
    ids = [correction.id for correction in dataset.corrections]
    assert len(ids) == len(set(ids))
    assert sum(name.startswith("list-") for name in ids) == 26
    assert {trap.id for trap in dataset.traps} >= {"na-diagonals", "exact-zeros", "label-swap-in-the-metasem-vignette"}
    assert len(dataset.traps) == 23


def test_every_computed_row_has_a_recipe(dataset: Dataset) -> None:
    computed = dataset.effects[dataset.effects["reading"] == "computed"]
    for work, rows in computed.groupby("work"):
        recipes = dataset.recipes[str(work)]
        made = {m for recipe in recipes for measure in recipe.measure for m in [(measure.variable, measure.measure)]}
        used = set(zip(rows["var_a"], rows["measure_a"], strict=True)) | set(
            zip(rows["var_b"], rows["measure_b"], strict=True)
        )
        assert used <= made, work
