"""`study compute`: a recipe and a file the user has. Every file here is simulated."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
import rdata

from replication.dataset import load_dataset
from replication.dataset.recipes import Recipe
from replication.errors import UserError
from replication.study.microdata import compute_recipe
from replication.study.microdata.r_files import read_saved_tables
from replication.study.microdata.survey_files import read_columns
from tests.cli.conftest import Command
from tests.data.small import Small

RECIPES = """\
[[recipe]]
sample = "alpha2020_s1"
source = "simulated"
file = ["simulated.csv"]
weight = "W"
cluster = ["SCHOOL"]
effective = "clusters"
missing = [9]
verified = "simulated"

[[recipe.measure]]
variable = "positive"
measure = "care"
items = ["Q{1..3}"]
reversed = ["Q3"]
scale = [1, 4]

[[recipe.measure]]
variable = "engagement"
measure = "like"
items = ["LIKE"]

[[recipe.measure]]
variable = "achievement"
measure = "test"
plausible = ["PV{1..5}"]

[[recipe.subsample]]
sample = "alpha2020_girls"
where = [{ column = "SEX", values = [2] }]
"""
MEASURES = (
    "variable,measure,form,items,since\npositive,care,index,x,1.0.0\nengagement,like,single item,x,1.0.0\n"
    "achievement,test,test,x,1.0.0\n"
)
SAMPLES = (
    "sample_id,n,unit,subgroup_of,since\nalpha2020_s1,500,student,,1.0.0\nalpha2020_girls,,student,alpha2020_s1,1.0.0\n"
)


def simulated() -> pd.DataFrame:
    """500 simulated students in 25 schools: three items (one turned, some 9 for no answer), five plausible values."""
    rng = np.random.default_rng(2)
    latent = rng.normal(size=500)
    items = {f"Q{i}": np.clip(np.round(2.5 + latent + rng.normal(scale=0.8, size=500)), 1, 4) for i in (1, 2, 3)}
    items["Q3"] = 5 - items["Q3"]
    items["Q1"][::17] = 9
    pv = {f"PV{i}": 500 + 40 * latent + rng.normal(scale=80, size=500) for i in range(1, 6)}
    other = {"LIKE": 0.4 * latent + rng.normal(size=500), "SEX": rng.integers(1, 3, 500).astype(float)}
    return pd.DataFrame({**items, **pv, **other, "SCHOOL": np.arange(500.0) % 25, "W": rng.uniform(1, 3, 500)})


@pytest.fixture
def survey(small: Small) -> Small:
    small.write("alpha2020/recipes.toml", RECIPES)
    small.write("alpha2020/measures.csv", MEASURES)
    small.write("alpha2020/samples.csv", SAMPLES)
    (small.root / "alpha2020/effects.csv").unlink()
    simulated().to_csv(small.root.parent / "simulated.csv", index=False)
    return small


def test_new_rows_are_computed_written_and_then_as_stored(study: Command, survey: Small) -> None:
    file = survey.root.parent / "simulated.csv"
    first = study("compute", "alpha2020_s1", "--file", file, "--write", "--data", survey.root)
    assert first.code == 0 and "Added 6 rows" in first.out, first.err
    rows = load_dataset(survey.root).effects
    assert len(rows[rows["work"] == "alpha2020"]) == 6
    again = study("compute", "alpha2020_s1", "--file", file, "--data", survey.root)
    assert "6 as stored to the printed digits, 0 otherwise, 0 not in the dataset." in again.out


def test_a_row_that_comes_out_otherwise_is_named(study: Command, survey: Small) -> None:
    file = survey.root.parent / "simulated.csv"
    study("compute", "alpha2020_s1", "--file", file, "--write", "--data", survey.root)
    frame = simulated()
    frame.loc[0, "LIKE"] = 30.0
    frame.to_csv(file, index=False)
    said = study("compute", "alpha2020_s1", "--file", file, "--data", survey.root)
    assert said.code == 1 and "differs: value" in said.out


def by_hand(frame: pd.DataFrame) -> float:
    """Mean of the answered items (9 is none, Q3 turned), with the liking item: plain r."""
    items = frame[["Q1", "Q2", "Q3"]].replace(9, np.nan)
    items["Q3"] = 5 - items["Q3"]
    return float(np.corrcoef(items.mean(axis=1), frame["LIKE"])[0, 1])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".sav", ".dta", ".rda", ".parquet"])
def test_every_kind_of_file_gives_the_same(tmp_path: Path, suffix: str) -> None:
    recipe = Recipe.model_validate(recipe_record())
    frame = simulated()
    path = tmp_path / f"simulated{suffix}"
    writers = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".sav": lambda: pyreadstat.write_sav(frame, str(path)),
        ".dta": lambda: pyreadstat.write_dta(frame, str(path)),
        ".parquet": lambda: frame.to_parquet(path),
        ".rda": lambda: rdata.write_rda(path, {"simulated": frame}),
    }
    writers[suffix]()
    rows = compute_recipe(recipe, [path]).rows
    assert len(rows) == 6
    assert rows[0].r == pytest.approx(by_hand(frame), abs=1e-12)
    girls = frame[frame["SEX"] == 2]
    assert next(row for row in rows if row.sample == "alpha2020_girls").r == pytest.approx(by_hand(girls), abs=1e-12)


def recipe_record() -> dict[str, object]:
    import tomllib

    record = tomllib.loads(RECIPES)["recipe"][0]
    assert isinstance(record, dict)
    return record


def test_column_names_may_differ_in_case(tmp_path: Path) -> None:
    frame = simulated()
    frame.columns = [name.lower() for name in frame.columns]
    frame.to_csv(tmp_path / "simulated.csv", index=False)
    assert compute_recipe(Recipe.model_validate(recipe_record()), [tmp_path / "simulated.csv"])


def test_words_get_numbers_and_an_unknown_word_is_named(tmp_path: Path) -> None:
    frame = simulated()
    frame["LIKE"] = np.where(frame["LIKE"] > 0, "(3) (3) Somewhat", "(1) (1) Not at all")
    frame["SEX"] = np.where(frame["SEX"] > 1, "(2) (2) Female", "(1) (1) Male")
    path = tmp_path / "simulated.csv"
    frame.to_csv(path, index=False)
    numbers = np.where(frame["LIKE"].str.startswith("(3)"), 3, 1)
    rows = compute_recipe(Recipe.model_validate(recipe_record()), [path]).rows
    assert rows[0].r == pytest.approx(by_hand(frame.assign(LIKE=numbers)), abs=1e-12)
    assert rows[3].n == int(frame["SEX"].str.startswith("(2)").sum())
    frame.loc[5, "LIKE"] = "now and then"
    frame.to_csv(path, index=False)
    with pytest.raises(UserError, match='column LIKE holds "now and then"'):
        compute_recipe(Recipe.model_validate(recipe_record()), [path])


def test_two_halves_and_two_sides(tmp_path: Path) -> None:
    """Files under each other make more rows, beside each other more columns; rows must then match."""
    frame = simulated()
    frame[:200].to_csv(tmp_path / "a.csv", index=False)
    frame[200:].to_csv(tmp_path / "b.csv", index=False)
    halves = read_columns([tmp_path / "a.csv", tmp_path / "b.csv"], ["Q1", "W"], "rows")
    assert len(halves.frame) == 500
    frame[["Q1"]].to_csv(tmp_path / "a.csv", index=False)
    frame[["W"]].to_csv(tmp_path / "b.csv", index=False)
    assert len(read_columns([tmp_path / "a.csv", tmp_path / "b.csv"], ["Q1", "W"], "columns").frame) == 500
    frame[["W"]][:9].to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(UserError, match=r"a\.csv has 500, b\.csv has 9"):
        read_columns([tmp_path / "a.csv", tmp_path / "b.csv"], ["Q1", "W"], "columns")


def test_one_recipe_for_many_samples(tmp_path: Path) -> None:
    frame = simulated()
    frame["CNT"] = np.where(np.arange(500) % 2 == 0, "NOR", "SWE")
    frame.to_csv(tmp_path / "simulated.csv", index=False)
    record = recipe_record() | {"sample": "survey_{}_s", "each": "CNT", "each_as": {"SWE": "sverige"}, "subsample": []}
    rows = compute_recipe(Recipe.model_validate(record), [tmp_path / "simulated.csv"]).rows
    assert {row.sample for row in rows} == {"survey_nor_s", "survey_sverige_s"}
    only = compute_recipe(Recipe.model_validate(record), [tmp_path / "simulated.csv"], "survey_nor_s").rows
    assert {row.sample for row in only} == {"survey_nor_s"} and len(only) == 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("simulated.csv", b"Q1,Q2\n1,2\n", "simulated.csv has no column W"),
        ("simulated.xlsx", b"x", "should end in one of"),
        ("simulated.sav", b"not spss", "cannot be read as .sav"),
        ("simulated.dta", b"not stata", "cannot be read as .dta"),
        ("simulated.rda", b"not r", "simulated.rda"),
        ("simulated.csv", b"\xff\xfe\x00", "cannot be read as .csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_in_a_line(
    study: Command, survey: Small, name: str, content: bytes, reason: str
) -> None:
    path = survey.root.parent / name
    path.write_bytes(content)
    said = study("compute", "alpha2020_s1", "--file", path, "--data", survey.root)
    assert said.code == 1 and reason in said.err and said.err.count("\n") == 1


def test_an_unknown_sample_gets_the_nearest(study: Command, survey: Small) -> None:
    said = study("compute", "alpha2020_s2", "--file", survey.root.parent / "simulated.csv", "--data", survey.root)
    assert said.code == 1 and 'did you mean "alpha2020_s1"?' in said.err


def test_a_missing_second_file_is_said(study: Command, survey: Small) -> None:
    survey.replace("alpha2020/recipes.toml", '["simulated.csv"]', '["one.csv", "two.csv"]')
    said = study("compute", "alpha2020_s1", "--file", survey.root.parent / "simulated.csv", "--data", survey.root)
    assert "needs 2 file(s), in this order: one.csv; two.csv" in said.err


def saved_by_r(text: bytes) -> bytes:
    """A data frame as R writes it, in XDR version 2: one column of numbers, one factor with a Latin-1 level."""

    def number(value: int) -> bytes:
        return struct.pack(">i", value)

    def chars(raw: bytes, encoding: int = 0) -> bytes:
        return number(9 | encoding << 12) + number(len(raw)) + raw

    def strings(*raw: bytes) -> bytes:
        return number(16) + number(len(raw)) + b"".join(chars(item, 4) for item in raw)

    def symbol(name: bytes) -> bytes:
        return number(1) + chars(name)

    def attributes(**pairs: bytes) -> bytes:
        return b"".join(number(2 | 1 << 10) + symbol(k.encode()) + v for k, v in pairs.items()) + number(254)

    reals = number(14) + number(2) + struct.pack(">2d", 1.5, 2.5)
    factor = number(13 | 1 << 9 | 1 << 8) + number(2) + number(1) + number(-2147483648)
    factor += attributes(levels=strings(text), **{"class": strings(b"factor")})
    frame = number(19 | 1 << 9 | 1 << 8) + number(2) + reals + factor
    frame += attributes(names=strings(b"x", b"word"), **{"class": strings(b"data.frame")})
    body = number(2 | 1 << 10) + symbol(b"simulated") + frame + number(254)
    return b"RDX2\nX\n" + number(2) + number(0x040202) + number(0x020300) + body


def test_old_text_in_an_r_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "simulated.rda"
    path.write_bytes(gzip.compress(saved_by_r("Fürstentum".encode("latin-1"))))
    (frame,) = read_saved_tables(path)
    assert frame["x"].tolist() == [1.5, 2.5]
    assert frame["word"].tolist() == ["Fürstentum", None]


@pytest.mark.parametrize("length", [3, 30, 90])
def test_a_cut_r_file_is_said_in_a_line(tmp_path: Path, length: int) -> None:
    path = tmp_path / "simulated.rda"
    path.write_bytes(saved_by_r(b"a")[:length])
    with pytest.raises(UserError):
        read_saved_tables(path)


def test_a_number_the_codes_do_not_know_is_named(tmp_path: Path) -> None:
    frame = simulated()
    frame["LIKE"] = np.where(frame["LIKE"] > 0, 2.0, 1.0)
    frame.loc[3, "LIKE"] = 7.0
    frame.to_csv(tmp_path / "simulated.csv", index=False)
    record = recipe_record() | {"codes": {"LIKE": {"1": 0, "2": 1}}}
    with pytest.raises(UserError, match="column LIKE holds 7"):
        compute_recipe(Recipe.model_validate(record), [tmp_path / "simulated.csv"])
    frame.loc[3, "LIKE"] = 9.0  # the recipe's code for no answer
    frame.to_csv(tmp_path / "simulated.csv", index=False)
    assert compute_recipe(Recipe.model_validate(record), [tmp_path / "simulated.csv"]).rows[0].n == 499


def test_a_composite_of_standardised_items(tmp_path: Path) -> None:
    """By hand: the mean of z-scores over the items; a constant item counts as not answered."""
    frame = simulated().assign(CONSTANT=3.0)
    frame.to_csv(tmp_path / "simulated.csv", index=False)
    measures = [
        {"variable": "positive", "measure": "a", "items": ["PV1", "PV2", "CONSTANT"], "standardize": True},
        {"variable": "engagement", "measure": "b", "items": ["LIKE"]},
    ]
    record = recipe_record() | {"measure": measures, "subsample": [], "missing": []}
    (row,) = compute_recipe(Recipe.model_validate(record), [tmp_path / "simulated.csv"]).rows
    z = frame[["PV1", "PV2"]].apply(lambda x: (x - x.mean()) / x.std())
    assert row.r == pytest.approx(np.corrcoef(z.mean(axis=1), frame["LIKE"])[0, 1], abs=1e-12)


def test_levels_are_computed_written_and_then_as_stored(study: Command, survey: Small) -> None:
    """25 schools are too few between: six pairs of the whole sample get a row within, with the reason in its note."""
    file = survey.root.parent / "simulated.csv"
    study("compute", "alpha2020_s1", "--file", file, "--write", "--data", survey.root)
    first = study("compute", "alpha2020_s1", "--file", file, "--levels", "--write", "--data", survey.root)
    assert first.code == 0 and "Added 3 rows" in first.out, first.err
    rows = load_dataset(survey.root).effects
    rows = rows[rows["unit"] == "student within school"]
    assert sorted(rows["effect_id"]) == [f"alpha2020_s1-w-00{i}" for i in (1, 2, 3)]
    assert (rows["clusters"] == 25).all() and rows["icc_a"].notna().all()
    assert rows["note"].str.contains("school mean withheld: 25 schools, and 50 are needed").all()
    again = study("compute", "alpha2020_s1", "--file", file, "--levels", "--data", survey.root)
    assert again.code == 0 and "9 as stored to the printed digits, 0 otherwise, 0 not in the dataset." in again.out


def test_replaced_rows_name_their_successors(study: Command, survey: Small) -> None:
    """Rows of a released version stay and end; those that came in since are corrected where they stand."""
    file = survey.root.parent / "simulated.csv"
    study("compute", "alpha2020_s1", "--file", file, "--write", "--data", survey.root)
    effects = survey.root / "alpha2020/effects.csv"
    since = load_dataset(survey.root).effects.set_index("effect_id").loc["alpha2020_s1-001", "since"]
    effects.write_text(effects.read_text(encoding="utf-8").replace(f",{since}", ",1.0.0"), encoding="utf-8")
    survey.replace("alpha2020/recipes.toml", 'effective = "clusters"', 'effective = "design"')
    said = study("compute", "alpha2020_s1", "--file", file, "--replace", "--data", survey.root)
    assert said.code == 0 and "Replaced 6 rows" in said.out, said.err
    after = load_dataset(survey.root)
    gone = after.withdrawn["effects.csv"]
    old = gone[gone["work"] == "alpha2020"].set_index("effect_id")
    today = after.effects[after.effects["work"] == "alpha2020"].set_index("effect_id")
    assert len(old) == len(today) == 6 and set(old["replaced_by"]) == set(today.index)
    for _, row in old.iterrows():
        assert today.loc[row["replaced_by"], "value"] == row["value"]
    assert today["n_effective_df"].notna().all()
    frame = simulated()
    frame.loc[0, "LIKE"] = 30.0
    frame.to_csv(file, index=False)
    study("compute", "alpha2020_s1", "--file", file, "--replace", "--data", survey.root)
    corrected = load_dataset(survey.root).effects
    assert set(corrected[corrected["work"] == "alpha2020"]["effect_id"]) == set(today.index)


def test_the_id_of_a_withdrawn_row_is_never_given_again(study: Command, survey: Small) -> None:
    file = survey.root.parent / "simulated.csv"
    study("compute", "alpha2020_s1", "--file", file, "--write", "--data", survey.root)
    effects = survey.root / "alpha2020/effects.csv"
    since = load_dataset(survey.root).effects.set_index("effect_id").loc["alpha2020_s1-001", "since"]
    effects.write_text(effects.read_text(encoding="utf-8").replace(f",{since}", ",1.0.0"), encoding="utf-8")
    further = '\n[[recipe.measure]]\nvariable = "belonging"\nmeasure = "home"\nitems = ["Q2"]\n\n[[recipe.subsample]]'
    survey.replace("alpha2020/recipes.toml", "\n[[recipe.subsample]]", further)
    survey.replace("alpha2020/recipes.toml", 'effective = "clusters"', 'effective = "design"')
    survey.write("alpha2020/measures.csv", MEASURES + "belonging,home,single item,x,1.0.0\n")
    said = study("compute", "alpha2020_s1", "--file", file, "--replace", "--write", "--data", survey.root)
    assert "Replaced 6 rows" in said.out and "Added 6 rows" in said.out, said.err
    ids = [row.partition(",")[0] for row in effects.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(ids) == len(set(ids)) == 18
    load_dataset(survey.root)  # the check finds nothing either
