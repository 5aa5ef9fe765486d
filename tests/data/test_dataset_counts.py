"""Nothing of the evidence was lost on the way into the dataset: counts and sums as the evidence gives them."""

from __future__ import annotations

import re

import pytest

from replication.dataset import Dataset

PINNED = "1.2.0"
"""The last version whose counts stand here. Later rows are welcome: they are counted when their version is released."""
READINGS = {
    "1.0.0": {"program output": 157, "data file": 19, "abstract": 144, "second-hand note": 61, "title page": 1},
}
READINGS["1.2.0"] = {**READINGS["1.0.0"], "abstract": 144 + 18, "page text": 5}
CLAIMS = {"1.0.0": (382, 45), "1.2.0": (382 + 23, 45 + 15)}
SURVEYS = {
    "1.0.0": (445, 22, 5),
    "1.2.0": (445 + 237 + 107 + 24, 22 + 16, 5 + 4),
}  # rows, samples, of them parts of others
LEVELS = {  # pairs of the samples whose files hold schools or classes, apart within and between them, since 1.2.0
    "student within school": 438 + 61 + 19,
    "school mean": 392 + 56 + 19,  # 51 are withheld: their schools hardly differ
    "student within class": 10,
    "class mean": 10,
}
REPLACED = 275  # rows of 1.0.0 whose variance follows the survey's design since 1.2.0
DIRECTIONS = {"1.0.0": (55, 12), "1.2.0": (55 + 9, 12 + 5)}
SCREENED = {
    "1.0.0": {"doubtful": 12, "exclude": 11, "adjacent": 19},
    "1.2.0": {"doubtful": 15, "exclude": 11, "adjacent": 20},
}
USED_PAIRS = {
    ("positive", "negative"): (15, 16),
    ("positive", "engagement"): (21, 26),
    ("positive", "achievement"): (26, 30),
    ("negative", "engagement"): (8, 10),
    ("negative", "achievement"): (18, 19),
    ("engagement", "achievement"): (13, 13),
}


@pytest.fixture
def pinned(dataset: Dataset) -> Dataset:
    """The dataset as of the last version whose counts stand here."""
    return dataset.as_of(PINNED)


@pytest.mark.parametrize("version", CLAIMS)
def test_claims(dataset: Dataset, version: str) -> None:
    claims = dataset.as_of(version).claims
    assert (len(claims), claims["work"].nunique()) == CLAIMS[version]
    assert claims["reading"].value_counts().to_dict() == READINGS[version]


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


@pytest.mark.parametrize("version", SURVEYS)
def test_student_surveys(dataset: Dataset, version: str) -> None:
    then = dataset.as_of(version)
    rows = then.effects[(then.effects["reading"] == "computed") & (then.effects["unit"] == "student")]
    samples = then.samples[then.samples["sample_id"].isin(rows["sample_id"])]
    assert (len(rows), len(samples), (samples["subgroup_of"] != "").sum()) == SURVEYS[version]


def test_of_two_scorings_of_one_set_of_answers_one_counts(pinned: Dataset) -> None:
    effects = pinned.effects.set_index("effect_id")
    marked = effects[effects["flags"].str.contains("same_items=")]
    assert len(marked) == 6 * 4 + 5
    own_scale = {"is3g20a-f": "s-abuse", "ls2p10a-e": "expagg"}
    for name, row in marked.iterrows():
        counts = effects.loc[re.search(r"same_items=([^;]+)", row["flags"])[1]]
        pair = {own_scale.get(row[side], row[side]) for side in ("measure_a", "measure_b")}
        assert counts["sample_id"] == row["sample_id"], name
        assert {counts["measure_a"], counts["measure_b"]} == pair, name


def test_every_relationship_measure_says_what_it_asks_about(dataset: Dataset) -> None:
    measures = dataset.measures
    side = {name: construct.side for name, construct in dataset.vocabulary.constructs.items()}
    relationship = measures["variable"].map(side) == "exposure"
    assert (measures.loc[relationship, "scope"] != "").all()
    assert (measures.loc[~relationship, "scope"] == "").all()
    single = relationship & (measures["form"] == "single item")
    assert (measures["scope"] == "one item").equals(single)


def test_schools(pinned: Dataset) -> None:
    rows = pinned.effects[pinned.effects["unit"] == "school"]
    cycles = rows.groupby("cycle")["sample_id"].nunique().to_dict()
    assert (len(rows), rows["sample_id"].nunique()) == (3549, 221)
    assert cycles == {"2000": 43, "2003": 40, "2009": 73, "2012": 65}


def test_units_are_whole(pinned: Dataset) -> None:
    units = pinned.effects["unit"].value_counts().to_dict()
    assert units == {"student": 114 + SURVEYS["1.2.0"][0] + 12, "school": 3549, **LEVELS}


def test_rows_of_released_versions_were_replaced_not_changed(pinned: Dataset) -> None:
    """Their r, weighted r and n are the same in both; only the variance is another."""
    before = pinned.as_of("1.1.0").effects
    gone = before[before["replaced_by"] != ""]
    successors = pinned.effects.set_index("effect_id").loc[gone["replaced_by"]]
    assert len(gone) == len(set(successors.index)) == REPLACED
    for column in ("sample_id", "var_a", "measure_a", "var_b", "measure_b", "value", "value_weighted", "n"):
        assert gone[column].astype(str).tolist() == successors[column].astype(str).tolist(), column
    assert gone["n_effective_df"].isna().all() and successors["n_effective_df"].notna().all()


@pytest.mark.parametrize("version", DIRECTIONS)
def test_directions_and_screening(dataset: Dataset, version: str) -> None:
    then = dataset.as_of(version)
    assert (len(then.directions), then.directions["work"].nunique()) == DIRECTIONS[version]
    assert then.table("screened.csv")["screen"].value_counts().to_dict() == SCREENED[version]


def test_core_associations_are_works(pinned: Dataset) -> None:
    primary = [key for key, work in pinned.works.items() if work.role == "primary"]
    effects = pinned.effects
    rows = effects[effects["work"].isin(primary) & (effects["reading"] != "computed")]
    assert len(rows) == 12
    assert (rows["unit"] == "student").all()


def test_works_and_bibliography(pinned: Dataset) -> None:
    roles = {role: sum(work.role == role for work in pinned.works.values()) for role in ("cited", "survey")}
    assert len(pinned.references) == 93 + 16 + 6 + 18
    assert set(pinned.references) == set(pinned.works)
    assert roles == {"cited": 24, "survey": 16 + 7}
    assert len(pinned.cited()) == 24


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
    assert len(dataset.traps) >= 23


def test_every_computed_row_has_a_recipe(dataset: Dataset) -> None:
    computed = dataset.effects[dataset.effects["reading"] == "computed"]
    for work, rows in computed.groupby("work"):
        recipes = dataset.recipes[str(work)]
        made = {m for recipe in recipes for measure in recipe.measure for m in [(measure.variable, measure.measure)]}
        used = set(zip(rows["var_a"], rows["measure_a"], strict=True)) | set(
            zip(rows["var_b"], rows["measure_b"], strict=True)
        )
        assert used <= made, work
