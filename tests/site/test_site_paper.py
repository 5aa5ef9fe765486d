"""The PDF and the editor's bundle: tagged, bookmarked, complete, and the same bytes twice."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import pytest
from pypdf import PdfReader

from replication.report.archive import make_archive
from replication.report.bundle import make_bundle
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


@pytest.fixture(scope="module")
def pdf(small: Any) -> PdfReader:
    return PdfReader(small.folder / "report.pdf")


def test_the_pdf_is_tagged_titled_and_has_a_language(pdf: PdfReader) -> None:
    root = pdf.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert pdf.metadata is not None and "do the numbers hold" in str(pdf.metadata.title)


def test_the_pdf_follows_the_order_of_the_site_and_has_bookmarks(pdf: PdfReader) -> None:
    titles = [str(entry.title) for entry in pdf.outline if not isinstance(entry, list)]
    chapters = [title.split(" ", 1)[1] for title in titles if title[0].isdigit()]
    assert chapters == [
        "What holds",
        "Relationships and engagement",
        "Relationships and achievement",
        "Relationships and bullying",
        "Engagement between relationships and achievement",
        "The article, statement by statement",
        "Every printed number and its verdict",
        "Works",
        "Methods and validation",
        "Traps in this literature",
    ]


def test_the_pdf_has_page_numbers_numbers_and_hostile_text_as_text(pdf: PdfReader) -> None:
    text = " ".join(page.extract_text() for page in pdf.pages)
    assert "0.31" in text and "−0.100" in text and "[.20, .48]" in text
    assert "<script>document.title='owned'</script>" in text.replace("\n", " ")
    assert pdf.pages[-1].extract_text().strip().endswith(str(len(pdf.pages)))


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
