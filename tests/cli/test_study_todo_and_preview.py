"""What is still to be read, ranked; coding sheets; and the preview of a new study on the real dataset."""

from __future__ import annotations

import itertools
import math
import re
import shutil
from pathlib import Path

import pytest

from replication import paths
from replication.dataset import Dataset
from replication.evidence.reading_list import reading_list
from tests.cli.conftest import Command
from tests.data.small import BIB, CLAIMS, WORK, Small

SAMPLES = "sample_id,n,unit,since\nsmith2024_s1,420,student,1.1.0\n"
EFFECTS = """\
effect_id,sample_id,var_a,var_b,statistic,value,n,measure_a,measure_b,locator,reading,since
smith2024-001,smith2024_s1,positive,engagement,r,.35,418,close,eng,Table 2,table,1.1.0
smith2024-002,smith2024_s1,engagement,achievement,r,-.22,418,close,bully,Table 2,table,1.1.0
smith2024-003,smith2024_s1,negative,engagement,r,-.41,418,conf,eng,Abstract,abstract,1.1.0
"""


def test_what_nothing_is_known_of_comes_first(dataset: Dataset) -> None:
    entries = reading_list(dataset)
    assert entries[0].tells == 1.0 and entries[0].pairs[-1][1] == "perpetration"
    told = [entry.tells for entry in entries if math.isfinite(entry.tells)]
    assert told == sorted(told, reverse=True)
    assert all(0 < tells <= 1 for tells in told)


def test_more_persons_tell_more(dataset: Dataset) -> None:
    leads = sorted((e for e in reading_list(dataset) if e.kind == "lead"), key=lambda e: e.n)
    assert len(leads) == 44
    assert all(a.tells <= b.tells for a, b in itertools.pairwise(leads) if a.n < b.n)


def test_every_direction_and_every_unreadable_claim_is_on_the_list(dataset: Dataset) -> None:
    rows = {row for entry in reading_list(dataset) if entry.kind in ("coefficient", "unreadable") for row in entry.rows}
    claims = dataset.claims
    assert rows == set(dataset.directions["direction_id"]) | set(claims.loc[claims["printed"] == "", "claim_id"])


def test_the_list_and_a_sheet(study: Command, tmp_path: Path) -> None:
    listed = study("todo")
    assert listed.code == 0 and "where: correlation table" in listed.out and "--leads shows them" in listed.out
    assert "lead-01" not in listed.out
    sheet = tmp_path / "sheet.md"
    assert study("todo", "marengo2021", "--out", sheet).code == 0
    text = sheet.read_text(encoding="utf-8")
    assert text.startswith("# Coding sheet: Marengo et al. (2021)")
    assert "| marengo2021-d" in text and "Copy numbers exactly as printed" in text
    assert "nothing of ayub is waiting" in study("todo", "ayub").err


def test_a_work_that_is_not_there_gets_the_nearest(study: Command) -> None:
    said = study("todo", "marengo2012")
    assert said.code == 1 and 'no work "marengo2012" in the dataset: did you mean "marengo2021"?' in said.err
    assert 'no work "nope"' in study("todo", "nope").err


@pytest.fixture
def real(tmp_path: Path) -> Small:
    """A copy of the real dataset with one invented study added."""
    shutil.copytree(paths.data_dir(), tmp_path / "references")
    small = Small(tmp_path / "references")
    small.write("references.bib", (small.root / "references.bib").read_text(encoding="utf-8") + BIB.format("smith2024"))
    small.write("smith2024/work.toml", WORK.format("smith2024") + 'since = "1.1.0"\n')
    for name, rows in (
        ("samples", SAMPLES),
        ("effects", EFFECTS),
        ("claims", CLAIMS.replace("alpha2020", "smith2024")),
    ):
        small.write(f"smith2024/{name}.csv", rows.replace("1.0.0", "1.1.0"))
    return small


def test_the_preview_shows_what_moves_and_marks_the_new_rows(study: Command, real: Small) -> None:
    page = real.root.parent / "preview.html"
    said = study("preview", "smith2024", "--data", real.root, "--out", page)
    assert said.code == 0, said.err
    assert "smith2024 brings 3 effect rows." in said.out
    assert "Relationships and engagement" in said.out and "(moved by +0.0" in said.out
    assert "smith2024-002: no finding asks for this pair" in said.out
    (reason,) = re.findall(r"smith2024-003: (.*)", said.out)
    assert reason.startswith("reading: not read in the work itself") and reason.endswith("(r -.41, n 418)")
    assert "Claims of smith2024, which no analysis answers yet" in said.out
    assert "smith2024-001: (not there) → NOT_COMPUTABLE" in said.out
    assert "next study [" in said.out and "Certainty\n  relationship quality with engagement: " in said.out
    assert "(r -.22, n 418)" in said.out, "an unused row is shown with its value"
    assert "Relationships and achievement" not in said.out, "what no row touches is not computed again"
    assert "mediation" in said.out.rpartition("Not run here")[2]
    text = page.read_text(encoding="utf-8")
    marked = text.count(' new"') + text.count('"new"')
    assert "<svg" in text and marked >= 2
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_rows_of_one_sample_have_names_of_their_own(dataset: Dataset) -> None:
    """Eight measures of one sample are eight different names in a forest plot; plain names stay plain."""
    from replication.analysis.outcome import Figure
    from replication.study.previewing import named_apart

    rows = dataset.effects.groupby("sample_id").filter(lambda own: len(own) >= 8).head(8)["effect_id"].tolist()
    other = dataset.effects.loc[dataset.effects["work"] == "ridder2018", "effect_id"].iloc[0]
    figure = Figure(
        id="f", kind="forest", title="t", columns={"row": [*rows, other], "label": [*["Grade 5"] * 8, "Ridder"]}
    )
    labels = named_apart(figure, dataset).columns["label"]
    assert len(set(labels)) == 9 and labels[-1] == "Ridder"
    assert all(str(label).startswith("Grade 5: ") for label in labels[:8])


def test_a_study_with_errors_is_not_previewed(study: Command, real: Small) -> None:
    real.replace("smith2024/effects.csv", ".35", "0,35")
    said = study("preview", "smith2024", "--data", real.root)
    assert said.code == 1 and "mend this first" in said.err and "write numbers with a decimal point" in said.err
