"""A whole file entered into the dataset: each country once, extracts withdrawn. Every file here is simulated."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from replication.dataset import load_dataset
from tests.cli.conftest import Command
from tests.cli.test_study_compute_whole import country
from tests.data.small import Small

SURVEY = """key = "sim2020"
title = "Simulated 2020"
author = "nobody"
cycle = "2020"
grade = "8"
where = "made here"

[recipe]
sample = "sim2020_{}"
source = "simulated"
file = ["all.csv"]
each = "CNT"
weight = "W"
cluster = ["SCHOOL"]
effective = "design"
verified = "simulated"

[[recipe.measure]]
variable = "positive"
measure = "care"
informant = "student"
items = ["Q{1..3}"]
reversed = ["Q3"]
scale = [1, 4]

[[recipe.measure]]
variable = "achievement"
measure = "test"
informant = "test"
plausible = ["PV{1..5}"]

[[described]]
variable = "positive"
measure = "care"
form = "index"
scope = "relationship"
items = "simulated"

[[described]]
variable = "achievement"
measure = "test"
form = "test"
items = "simulated"
"""


@pytest.fixture
def world(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The small dataset with one simulated survey beside it: the folder and the file, of 578 (Norway) and 752."""
    monkeypatch.setattr("replication.paths.cache_dir", lambda root=None: tmp_path / "cache")
    surveys = small.root.parent / "surveys"
    surveys.mkdir()
    (surveys / "sim2020.toml").write_text(SURVEY, encoding="utf-8")
    frame = pd.concat([country("578", 300, 1), country("752", 200, 2)])
    path = tmp_path / "all.csv"
    frame.to_csv(path, index=False)
    return small.root, path


def test_new_countries_become_samples_of_one_work(study: Command, world: tuple[Path, Path]) -> None:
    root, path = world
    said = study("compute", "sim2020", "--file", path, "--write", "--data", root)
    assert said.code == 0, said.err
    assert "sim2020_nor: 1 rows of 300 persons entered in sim2020" in said.out
    assert study("check", "sim2020", "--data", root).code == 0
    found = load_dataset(root)
    samples = found.samples.set_index("sample_id")
    assert samples.loc["sim2020_nor", ["n", "country", "schools"]].tolist() == [300, "Norway", 20]
    assert samples.loc["sim2020_swe", "label"] == "Simulated 2020 Sweden, grade 8"
    assert found.measures.set_index("measure").loc["care", "scope"] == "relationship"
    described = found.table("descriptives.csv").set_index(["sample_id", "measure"])
    assert described.loc[("sim2020_nor", "care"), "n"] == 300
    assert described.loc[("sim2020_nor", "care"), "reliability"] > 0.6
    # again: the same persons, so nothing is added
    again = study("compute", "sim2020", "--file", path, "--write", "--data", root)
    assert "sim2020_nor: 1 rows as stored, 0 otherwise, 0 added" in again.out
    assert len(load_dataset(root).effects) == len(found.effects)
    # from the folder's own recipe too
    alone = study("compute", "sim2020_nor", "--file", path, "--data", root)
    assert alone.code == 0 and "1 as stored to the printed digits, 0 otherwise" in alone.out


def _with_extract(root: Path, path: Path, study: Command) -> None:
    """Norway held as 120 of its 300 persons, released in 1.0.0; and a withdrawn row whose id must not come again."""
    folder = root / "extract2021"
    folder.mkdir()
    (folder / "work.toml").write_text(
        'key = "extract2021"\nkind = "survey"\nrole = "survey"\nsetting = "school"\nquantitative = "yes"\n', "utf-8"
    )
    (folder / "samples.csv").write_text(
        "sample_id,label,n,unit,country,sampling,since\nnor_part,Part of Norway,120,student,Norway,extract,1.0.0\n"
    )
    (folder / "measures.csv").write_text(
        "variable,measure,form,scope,items,since\npositive,care,index,relationship,simulated,1.0.0\n"
        "achievement,test,test,,simulated,1.0.0\n"
    )
    head = "effect_id,sample_id,var_a,var_b,statistic,value,n,measure_a,measure_b,reading,since\n"
    (folder / "effects.csv").write_text(
        head + "nor_part-001,nor_part,positive,achievement,r,.25,120,care,test,table,1.0.0\n"
    )
    with (root / "references.bib").open("a", encoding="utf-8") as bibliography:
        bibliography.write("\n@misc{extract2021,\n title = {Part of Norway},\n year = {2021}\n}\n")
    record = root.parent / "surveys" / "sim2020.toml"
    record.write_text(SURVEY + '\n[extracts]\n578 = "nor_part"\n', encoding="utf-8")


def test_an_extract_gives_way_to_the_whole_country(study: Command, world: tuple[Path, Path]) -> None:
    root, path = world
    _with_extract(root, path, study)
    first = study("compute", "sim2020", "--file", path, "--write", "--data", root)
    assert "120 of its 300 persons are in the dataset as nor_part; --replace to exchange" in first.out
    assert "sim2020_nor" not in set(load_dataset(root).samples["sample_id"])
    second = study("compute", "sim2020", "--file", path, "--write", "--replace", "--data", root)
    assert "1 rows of 300 persons entered in sim2020; 1 rows of the extract nor_part withdrawn" in second.out
    found = load_dataset(root)
    assert {"sim2020_nor", "sim2020_swe"} <= set(found.samples["sample_id"]) and "nor_part" not in set(
        found.samples["sample_id"]
    )
    gone = found.withdrawn["effects.csv"].set_index("effect_id")
    assert gone.loc["nor_part-001", "replaced_by"] == "sim2020_nor-001"
    assert found.withdrawn["samples.csv"].set_index("sample_id").loc["nor_part", "replaced_by"] == "sim2020_nor"
    # the version that was released with the extract still has it
    assert "nor_part-001" in set(found.as_of("1.0.0").effects["effect_id"])
    third = study("compute", "sim2020", "--file", path, "--write", "--replace", "--data", root)
    assert "sim2020_nor: 1 rows as stored" in third.out


def test_a_country_that_is_held_already_makes_no_empty_work(study: Command, world: tuple[Path, Path]) -> None:
    root, path = world
    _with_extract(root, path, study)
    pd.read_csv(path).query("CNT == 578").to_csv(path, index=False)
    before = (root / "references.bib").read_text("utf-8")
    said = study("compute", "sim2020", "--file", path, "--write", "--data", root)
    assert "--replace to exchange" in said.out
    assert not (root / "sim2020").exists() and (root / "references.bib").read_text("utf-8") == before


def test_a_later_row_never_takes_the_id_of_a_withdrawn_one(study: Command, world: tuple[Path, Path]) -> None:
    root, path = world
    assert study("compute", "sim2020", "--file", path, "--write", "--data", root).code == 0
    effects = root / "sim2020" / "effects.csv"
    (root / "VERSION").write_text("1.9.0\n")
    lines = effects.read_text(encoding="utf-8").replace("sim2020_nor-001", "sim2020_nor-003").splitlines()
    # the row that counts is -003; -001 was withdrawn before, -002 never was
    header = lines[0] + ",until"
    old = [line.replace("-003", "-001") for line in lines if "nor-003" in line]
    effects.write_text(
        "\n".join([header, *(line + "," for line in lines[1:]), *(f"{line},1.9.0" for line in old)]) + "\n"
    )
    broken = pd.read_csv(path)
    broken["PV1"] += broken["Q1"] * 40  # what is stored comes out otherwise
    broken.to_csv(path, index=False)
    said = study("compute", "sim2020", "--file", path, "--replace", "--data", root)
    assert "1 otherwise and replaced" in said.out
    found = load_dataset(root)
    new = found.effects[found.effects["sample_id"] == "sim2020_nor"]["effect_id"].tolist()
    assert new == ["sim2020_nor-002"]


def test_a_measure_nobody_describes_stops_the_whole_writing(study: Command, world: tuple[Path, Path]) -> None:
    root, path = world
    record = root.parent / "surveys" / "sim2020.toml"
    record.write_text(SURVEY.split("[[described]]", maxsplit=1)[0], encoding="utf-8")
    said = study("compute", "sim2020", "--file", path, "--write", "--data", root)
    assert said.code == 1 and "expected one description; add it as [[described]]" in said.err
    assert not (root / "sim2020").exists() and "sim2020" not in (root / "references.bib").read_text("utf-8")
