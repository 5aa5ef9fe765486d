"""`study compute` on files that give nothing, or not what is stored. Every file here is simulated."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Command, Said
from tests.cli.test_study_compute import MEASURES, RECIPES, SAMPLES, simulated
from tests.data.small import Small


@pytest.fixture
def survey(small: Small) -> Small:
    """A recipe with weights and clusters, a sample with a part, no stored rows yet."""
    small.write("alpha2020/recipes.toml", RECIPES)
    small.write("alpha2020/measures.csv", MEASURES)
    small.write("alpha2020/samples.csv", SAMPLES)
    (small.root / "alpha2020/effects.csv").unlink()
    return small


def computed(study: Command, survey: Small, frame: pd.DataFrame, *options: str, sep: str = ",") -> Said:
    file = survey.root.parent / "simulated.csv"
    frame.to_csv(file, index=False, sep=sep)
    return study("compute", "alpha2020_s1", "--file", file, *options, "--data", survey.root)


def refused(said: Said) -> str:
    assert said.code == 1 and said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1, said
    return said.err


def test_a_file_that_gives_no_correlation_is_no_success(study: Command, survey: Small) -> None:
    """Three persons with an answer; a header only; a condition nobody fulfils; everybody says the same."""
    frame = simulated()
    assert "3 persons have both answers, and 4 are needed" in refused(computed(study, survey, frame[:3]))
    assert "found a header and no rows" in refused(computed(study, survey, frame[:0]))
    constant = frame.assign(**{name: 2.0 for name in frame if name.startswith(("Q", "LIKE", "PV"))})
    assert "all 500 persons have the same answer" in refused(computed(study, survey, constant))
    where = '\nwhere = [{ column = "SEX", values = [7] }]\nverified'
    survey.replace("alpha2020/recipes.toml", "\nverified", where)
    said = refused(computed(study, survey, frame))
    assert "none of 500 rows fulfils the recipe's where (column SEX)" in said


def test_stored_pairs_that_do_not_come_out_are_listed(study: Command, survey: Small) -> None:
    """The liking item is empty: of six stored pairs, those two of each sample have no r."""
    assert computed(study, survey, simulated(), "--write").code == 0
    said = computed(study, survey, simulated().assign(LIKE=np.nan))
    assert said.code == 1
    assert "2 as stored to the printed digits, 0 otherwise, 0 not in the dataset." in said.out
    assert "4 stored pairs do not come out at all." in said.out
    expected = "alpha2020_s1: positive (care) with engagement (like): no r, 0 persons have both answers"
    assert expected in said.out and "[stored as alpha2020_s1-001]" in said.out


def test_a_stored_pair_the_recipe_does_not_make_is_listed(study: Command, survey: Small) -> None:
    computed(study, survey, simulated(), "--write")
    survey.replace(
        "alpha2020/effects.csv", "alpha2020_s1-001,alpha2020_s1,positive", "alpha2020_s1-001,alpha2020_s1,negative"
    )
    said = computed(study, survey, simulated())
    assert said.code == 1 and "the recipe makes no such pair [stored as alpha2020_s1-001]" in said.out


def test_pairs_nobody_stored_and_without_r_are_said_and_not_written(study: Command, survey: Small) -> None:
    said = computed(study, survey, simulated().assign(LIKE=np.nan), "--write")
    assert said.code == 0 and "Added 2 rows" in said.out and said.out.count("[not stored]") == 4


def test_one_cluster_leaves_the_effective_n_empty(study: Command, survey: Small) -> None:
    """With one school the standard error is not defined; n would claim the precision of a simple sample."""
    said = computed(study, survey, simulated().assign(SCHOOL=1.0), "--write")
    assert said.code == 0 and "no n_effective: everybody is in one cluster" in said.out
    lines = (survey.root / "alpha2020/effects.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines))
    assert len(rows) == 6 and all(row["value_weighted"] and not row.get("n_effective") for row in rows)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("heavy", 'simulated.csv, column W: found "heavy"; expected a weight, a number of 0 or more'),
        (-1.0, 'column W: found "-1.0"; expected a weight'),
        (np.inf, 'column W: found "inf"; expected a weight'),
        (np.nan, "column W: found no weight above 0"),
        (0.0, "column W: found no weight above 0"),
    ],
)
def test_weights_that_are_none_are_refused(study: Command, survey: Small, weights: object, reason: str) -> None:
    assert reason in refused(computed(study, survey, simulated().assign(W=weights)))


def test_one_bad_weight_is_enough(study: Command, survey: Small) -> None:
    frame = simulated().astype({"W": object})
    frame.loc[7, "W"] = "1,5"
    assert 'found "1,5"' in refused(computed(study, survey, frame))


def test_a_negative_code_for_no_answer_is_no_weight(study: Command, survey: Small) -> None:
    """Ten persons without a weight, coded or empty: both ways the same, and said."""
    survey.replace("alpha2020/recipes.toml", "missing = [9]", "missing = [9, -99]")
    frame = simulated()
    frame.loc[:9, "W"] = -99.0
    coded = computed(study, survey, frame)
    assert coded.code == 0 and "10 persons without a weight count for r only" in coded.out
    frame.loc[:9, "W"] = np.nan
    assert computed(study, survey, frame).out == coded.out


@pytest.mark.parametrize(("mark", "word", "decimal"), [(";", "semicolon", ","), ("\t", "tab", ".")])
def test_other_separators_are_read_and_said(study: Command, survey: Small, mark: str, word: str, decimal: str) -> None:
    """Semicolons go with decimal commas; what comes out is what the plain file gives."""
    plain = computed(study, survey, simulated())
    file = survey.root.parent / "simulated.csv"
    simulated().to_csv(file, index=False, sep=mark, decimal=decimal)
    said = study("compute", "alpha2020_s1", "--file", file, "--data", survey.root)
    assert said.out.startswith(f"note: simulated.csv: cells are separated by a {word}")
    assert said.out.split("\n", 1)[1] == plain.out


def test_a_wrong_file_names_columns_it_has(study: Command, survey: Small) -> None:
    assert "use one of: idstud, grade" in refused(computed(study, survey, pd.DataFrame({"idstud": [1], "grade": [2]})))
