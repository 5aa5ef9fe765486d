"""The PDF and the editor's bundle: tagged, bookmarked, complete, and the same bytes twice."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from itertools import pairwise
from typing import Any

import pytest
from pypdf import PdfReader

from replication.report.archive import make_archive
from replication.report.bundle import make_bundle
from replication.report.figures import FigureData, draw
from replication.report.pdf import pieces
from replication.report.words import load_words

ORDER = (
    "## Overview",
    "## Data availability and provenance statements",
    "## Dataset list",
    "## Computational requirements",
    "## Description of programs",
    "## Instructions to replicators",
    "## List of tables and programs",
    "## References",
)


CHAPTERS = {
    "report": (
        "What holds",
        "Relationships and engagement",
        "Relationships and achievement",
        "Relationships and bullying",
        "Engagement between relationships and achievement",
        "The article, statement by statement",
        "Methods and validation",
        "Traps in this literature",
    ),
    "appendix": (
        "Relationships and engagement",
        "Relationships and achievement",
        "Relationships and bullying",
        "Engagement between relationships and achievement",
        "Every printed number and its verdict",
        "Works",
        "Methods and validation",
    ),
}


@pytest.fixture(scope="module", params=CHAPTERS)
def volume(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pdf(small: Any, volume: str) -> PdfReader:
    return PdfReader(small.folder / f"{volume}.pdf")


def test_the_pdf_is_tagged_titled_dated_and_has_a_language(pdf: PdfReader, volume: str) -> None:
    root = pdf.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert pdf.metadata is not None and "do the numbers hold" in str(pdf.metadata.title)
    cover = pdf.pages[0].extract_text()
    assert "December 30, 2023" in cover and "dataset 1.0.0" in cover
    assert ("Appendix" in cover) == (volume == "appendix")


@pytest.mark.parametrize("name", ["report.pdf", "appendix.pdf"])
def test_the_tags_of_a_volume_are_packed(small: Any, name: str) -> None:
    content = (small.folder / name).read_bytes()
    assert b"/ObjStm" in content and b"/StructElem" not in content
    tags = PdfReader(small.folder / name).trailer["/Root"]["/StructTreeRoot"]["/K"]
    assert tags, "they are there all the same"


def test_the_volumes_follow_the_order_of_the_site_and_have_bookmarks(pdf: PdfReader, volume: str) -> None:
    titles = [str(entry.title) for entry in pdf.outline if not isinstance(entry, list)]
    assert tuple(title.split(" ", 1)[1] for title in titles if title[0].isdigit()) == CHAPTERS[volume]


def test_the_volumes_have_page_numbers_numbers_and_hostile_text_as_text(small: Any) -> None:
    volumes = [PdfReader(small.folder / f"{name}.pdf") for name in CHAPTERS]
    text = " ".join(page.extract_text() for pdf in volumes for page in pdf.pages)
    assert "0.31" in text and "−0.10" in text and "[0.20, 0.48]" in text
    assert "<script>document.title='owned'</script>" in text.replace("\n", " ")
    assert all(pdf.pages[-1].extract_text().strip().endswith(str(len(pdf.pages))) for pdf in volumes)


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_key_of_a_label_stands_on_paper(real: Any, name: str) -> None:
    """Cells of tables stood there as they are stored: a label with values as a record, one without as its key."""
    text = " ".join(page.extract_text() for page in PdfReader(real.folder / f"{name}.pdf").pages)
    keys = {key for key in load_words("en").table["labels"] if "_" in key}
    assert [key for key in keys if re.search(rf"\b{key}\b", text)] == [] and "{'" not in text
    assert "Of all combinations tried, the correlations (rows in use)" in text.replace("\n", " ") or name == "report"


def test_a_figure_of_242_rows_is_cut_between_its_lines_and_loses_none(small: Any) -> None:
    """On one page about 180 rows of such a figure ran through the foot and were lost."""
    numbers = [i / 300 for i in range(242)]
    columns = {"label": [f"sample {i}" for i in range(242)], "value": numbers, "low": numbers, "high": numbers}
    drawing = draw(FigureData("long", "caterpillar", "Long", "", columns, {"metric": "r"}), load_words("en"), str)
    canvas = drawing.wide
    assert canvas is not None
    parts = pieces(canvas)
    assert len(parts) > 4 and parts[0][0] == 0 and parts[-1][1] == canvas.height
    assert canvas.foot is not None and parts[-1][0] < canvas.foot[0] < canvas.foot[1] <= canvas.height
    axis = canvas.foot[1] - canvas.foot[0]  # shown again below every part but the last
    assert [label.words for label in canvas.labels if canvas.foot[0] <= label.y <= canvas.foot[1]][
        -1
    ] == "correlation r"
    assert all(0 < bottom - top <= 660 / 0.62 - axis for top, bottom in parts)
    assert all(one[1] == other[0] for one, other in pairwise(parts))
    for label in canvas.labels:
        # From the head of its letters to their foot a line stands in one part.
        assert sum(top <= label.y - 10 and label.y + 3 <= bottom for top, bottom in parts) == 1, label.words


@pytest.fixture(scope="module")
def bundle(small: Any) -> zipfile.ZipFile:
    return zipfile.ZipFile(small.folder / "replication-bundle.zip")


def test_the_bundle_has_all_parts(bundle: zipfile.ZipFile) -> None:
    names = {name.removeprefix("replication-bundle/") for name in bundle.namelist()}
    wanted = {"README.md", "check.R", "pools.csv", "pool_rows.csv", "seed.txt", "requirements.lock"}
    wanted |= {"data/effects.csv", "data/claims.csv", "outcomes/engagement.json", "figures/engagement--new-forest.svg"}
    assert wanted <= names
    assert not [name for name in names if name.endswith((".html", "-narrow.svg"))]


def test_the_readme_has_the_order_of_the_template(bundle: zipfile.ZipFile) -> None:
    readme = bundle.read("replication-bundle/README.md").decode()
    places = [readme.index(heading) for heading in ORDER]
    assert places == sorted(places)
    assert "`data/effects.csv`" in readme and "seed" in readme


def test_the_pools_for_r_name_their_rows(bundle: zipfile.ZipFile) -> None:
    pools = list(csv.DictReader(io.StringIO(bundle.read("replication-bundle/pools.csv").decode())))
    rows = list(csv.DictReader(io.StringIO(bundle.read("replication-bundle/pool_rows.csv").decode())))
    assert {pool["method"] for pool in pools} == {"REML"} and {pool["test"] for pool in pools} == {"knha"}
    assert {row["pool"] for row in rows} == {pool["pool"] for pool in pools}


def test_the_bundle_is_the_same_bytes_twice(small: Any) -> None:
    run = {"time": "2031-05-05T05:05:05Z", "seed": 2024, "dataset_version": "1.0.0", "dataset_digest": "abc"}
    archive = make_archive(small.dataset, small.outcomes, run)
    made = make_bundle(small.folder, archive, load_words("en"))
    assert made == (small.folder / "replication-bundle.zip").read_bytes()
