"""Releases: frozen, listed, guarded by their digest, withdrawn with a reason, compared with what came after."""

from __future__ import annotations

import copy
import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replication import paths
from replication.analysis.release_difference import field_changes, read_renamed, records_of
from replication.dataset import Dataset
from replication.errors import UserError
from replication.report.changes import errata
from replication.report.releases import (
    damaged,
    frozen_outcomes,
    next_release,
    read_releases,
    record_release,
    withdraw,
    write_list,
)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, small: Any, builder: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("released") / "reports"
    builder(folder / "v1.0.0", small.outcomes, small.dataset, run={"release": "1.0.0"})
    record_release(folder, "1.0.0")
    return folder


@pytest.fixture
def reports(tmp_path: Path, released: Path) -> Path:
    """A folder with one released report."""
    return Path(shutil.copytree(released, tmp_path / "reports"))


def test_frozen_reports_of_this_project_are_untouched() -> None:
    assert damaged(paths.reports_dir()) == []


def test_a_release_is_listed_with_its_digest(reports: Path) -> None:
    (release,) = read_releases(reports)
    assert (release.version, release.date, release.withdrawn) == ("1.0.0", "2024-01-01", "")
    assert damaged(reports) == []
    assert "Report 1.0.0" in (reports / "v1.0.0" / "index.html").read_text(encoding="utf-8")


def test_a_changed_or_missing_folder_is_noticed(reports: Path) -> None:
    page = reports / "v1.0.0" / "index.html"
    page.write_text(page.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert damaged(reports) == ["v1.0.0 has been changed since it was released"]
    (reports / "v1.0.0").rename(reports / "gone")
    assert damaged(reports) == ["v1.0.0 is listed but its folder is not there"]


@pytest.mark.parametrize("version", ["1.0", "v1.0.1", "1.0.0-beta", "01.0.1", "", "1.0.0", "0.9.9"])
def test_a_version_must_be_new_above_and_well_formed(reports: Path, version: str) -> None:
    with pytest.raises(UserError):
        next_release(reports, version)


def test_versions_count_by_number_not_by_letter(reports: Path) -> None:
    assert next_release(reports, "1.0.10").name == "v1.0.10"
    assert next_release(reports, "10.0.0").name == "v10.0.0"


def test_the_list_leads_only_to_what_is_kept_with_it(reports: Path) -> None:
    """Also where a working version lies beside it: a copy of the repository has none."""
    (reports / "latest").mkdir(exist_ok=True)
    (reports / "latest" / "index.html").write_text("working", encoding="utf-8")
    write_list(reports)
    addresses = re.findall(r'href="([^"]*)"', (reports / "index.html").read_text(encoding="utf-8"))
    kept = {release.folder for release in read_releases(reports)}
    assert addresses and {address.partition("/")[0] for address in addresses} <= kept


def test_a_damaged_list_is_said_plainly(reports: Path) -> None:
    (reports / "versions.json").write_text("{half", encoding="utf-8")
    with pytest.raises(UserError, match=r"versions\.json cannot be read"):
        read_releases(reports)


def test_withdrawing_keeps_the_folder_and_shows_the_reason(reports: Path) -> None:
    withdraw(reports, "1.0.0", "a row was read wrongly <b>")
    assert damaged(reports) == []
    write_list(reports)
    index = (reports / "index.html").read_text(encoding="utf-8")
    assert "a row was read wrongly &lt;b&gt;" in index and 'href="v1.0.0/index.html"' in index
    for version, reason in (("2.0.0", "x"), ("1.0.0", "  ")):
        with pytest.raises(UserError):
            withdraw(reports, version, reason)


def changed(outcomes: Any) -> tuple[Any, dict[str, Any]]:
    found = copy.deepcopy(outcomes)
    return found, found[1]["estimates"][0]


def compared(reports: Path, outcomes: Any, dataset: Dataset, builder: Callable[..., Any]) -> dict[str, list[str]]:
    """The changed fields of each thing by its id: every cell of every line about it."""
    report = builder(reports / "latest", outcomes, dataset, reports=reports)
    found: dict[str, list[str]] = {}
    for row in csv.reader(report.text("data/changes.csv").splitlines()[1:]):
        if "unchanged" not in row:
            found.setdefault(row[1], []).extend(row)
    return found


def test_nothing_changed_says_so(reports: Path, small: Any, builder: Callable[..., Any]) -> None:
    assert compared(reports, small.outcomes, small.dataset, builder) == {}
    page = (reports / "latest" / "changes.html").read_text(encoding="utf-8")
    assert "Compared with version 1.0.0" in page and 'href="../v1.0.0/index.html"' in page


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rows": ["alpha2020-e1"]}, "rows"),
        ({"method": {"tau2": "DL", "test": "knha"}}, "method"),
        ({}, "code"),
    ],
)
def test_an_estimate_that_moved_says_why(
    reports: Path, small: Any, builder: Callable[..., Any], change: dict[str, Any], reason: str
) -> None:
    outcomes, estimate = changed(small.outcomes)
    estimate |= {"value": 0.5, **change}
    row = compared(reports, outcomes, small.dataset, builder)["engagement/main"]
    assert "0.3123" in row and "0.5" in row and reason in row


def test_of_a_method_the_choices_that_changed_are_told_in_words(
    reports: Path, small: Any, builder: Callable[..., Any]
) -> None:
    def of(df: float, leads: str) -> Any:
        outcomes, estimate = changed(small.outcomes)
        estimate["method"] = {"df": {"key": "df_satterthwaite", "values": {"df": df}}, "test": "t", "scale": leads}
        return outcomes

    builder(reports / "v1.2.0", of(5.5, "scale_main"), small.dataset, run={"release": "1.2.0"}, reports=reports)
    record_release(reports, "1.2.0")
    # Another machine's last digit is no change of the method.
    assert compared(reports, of(5.5 + 1e-14, "scale_main"), small.dataset, builder) == {}
    lines = compared(reports, of(7.25, "scale_z_with_tau2"), small.dataset, builder)["engagement/main"]
    assert [line for line in lines if line.startswith("method")] == ["method: df", "method", "method: scale", "method"]
    page = (reports / "latest" / "changes.html").read_text(encoding="utf-8")
    told = re.sub("<[^>]*>", " ", "".join(re.findall(r"<td>method: .*?</td><td>", page)))
    assert "7.25" in told and "{" not in told and "_" not in told


def test_two_numbers_that_differ_are_shown_with_the_digits_that_do(
    reports: Path, small: Any, builder: Callable[..., Any]
) -> None:
    outcomes, estimate = changed(small.outcomes)
    estimate["value"] *= 1 + 3e-8
    compared(reports, outcomes, small.dataset, builder)
    page = (reports / "latest" / "changes.html").read_text(encoding="utf-8")
    old, new = re.findall(r'<td>value</td><td class="right">(.*?)</td><td class="right">(.*?)</td>', page)[0]
    assert old != new and old.startswith("0.3123") and new.startswith("0.3123")


def test_reasons_count_what_changed_and_not_its_fields(reports: Path, small: Any, builder: Callable[..., Any]) -> None:
    outcomes, estimate = changed(small.outcomes)
    estimate |= {"value": 0.5, "low": 0.4, "high": 0.6}
    compared(reports, outcomes, small.dataset, builder)
    page = (reports / "latest" / "changes.html").read_text(encoding="utf-8")
    said = re.search(r"1 of \d+ changed\.((?: <span[^>]*>[^<]*</span>)+)", page)
    assert said and re.findall(r">(\d+) ", said[1]) == ["1"]


def test_a_corrected_row_is_the_reason_where_one_is(reports: Path, small: Any, builder: Callable[..., Any]) -> None:
    tables = dict(small.dataset.tables)
    tables["effects.csv"] = tables["effects.csv"].assign(value=[0.36, -0.2])
    outcomes, estimate = changed(small.outcomes)
    estimate["value"] = 0.32
    row = compared(reports, outcomes, replace(small.dataset, tables=tables), builder)["engagement/main"]
    assert "corrected" in row and "alpha2020-e1" in row


MAIN_REF = {"kind": "estimate", "id": "main"}


def test_new_and_removed_estimates_and_moved_verdicts_are_told(
    reports: Path, small: Any, builder: Callable[..., Any]
) -> None:
    outcomes, estimate = changed(small.outcomes)
    estimate["id"] = "other"
    outcomes[1]["sentences"] = []  # what they said of the estimate went with it, and rows lead to the new one
    for table in outcomes[1]["tables"]:
        table["links"] = [{**link, "id": "other"} if link == MAIN_REF else link for link in table["links"]]
    outcomes[0]["checks"][1] |= {"verdict": "MATCH", "ours": -0.301}
    outcomes[0]["checks"][2]["claim"]["printed"] = {"value": ".12"}
    outcomes[0]["checks"][2]["verdict"] = "DIFFERS"
    found = compared(reports, outcomes, small.dataset, builder)
    assert "added" in found["engagement/other"] and "removed" in found["engagement/main"]
    assert "ours" in found["alpha2020-002"] and "DIFFERS" in found["alpha2020-002"]
    assert "transcribed" in found["alpha2020-003"]


def test_what_a_run_postponed_is_said_on_its_pages_and_has_not_vanished(
    reports: Path, small: Any, builder: Callable[..., Any]
) -> None:
    before, estimate = changed(small.outcomes)
    estimate["group"] = "bias"
    builder(reports / "v1.2.0", before, small.dataset, run={"release": "1.2.0"}, reports=reports)
    record_release(reports, "1.2.0")
    outcomes, estimate = changed(before)
    outcomes[1]["postponed"] = ["bias-positive-engagement"]
    estimate["id"] = "other"
    outcomes[1]["sentences"] = []
    for table in outcomes[1]["tables"]:
        table["links"] = [{**link, "id": "other"} if link == MAIN_REF else link for link in table["links"]]
    found = compared(reports, outcomes, small.dataset, builder)
    assert "postponed" in found["engagement/main"] and "added" in found["engagement/other"]
    said = {"nb/": "er ikke regnet ut i denne kjøringen", "": "was not computed in this run"}
    for folder, words in said.items():
        for page in ("index.html", "findings/engagement.html", "analyses/engagement.html", "analyses/alpha2020.html"):
            text = (reports / "latest" / folder / page).read_text(encoding="utf-8")
            assert (words in text) == ("alpha" not in page), (folder, page)


def test_a_withdrawn_version_is_not_compared_with_while_another_stands(
    reports: Path, small: Any, builder: Callable[..., Any]
) -> None:
    builder(reports / "v1.1.0", small.outcomes, small.dataset, run={"release": "1.1.0"}, reports=reports)
    record_release(reports, "1.1.0")
    withdraw(reports, "1.1.0", "wrong")
    builder(reports / "latest", small.outcomes, small.dataset, reports=reports)
    page = (reports / "latest" / "changes.html").read_text(encoding="utf-8")
    assert "Compared with version 1.0.0" in page and "Withdrawn:" in page


def test_the_list_is_plain_json(reports: Path) -> None:
    entry = json.loads((reports / "versions.json").read_text(encoding="utf-8"))["versions"][0]
    assert set(entry) == {"version", "date", "dataset_version", "dataset_digest", "digest", "withdrawn"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("low", 0.19), ("high", 0.42), ("prediction_high", None), ("tau2", 0.03), ("p", 0.01), ("k", 3), ("n", 211),
        ("notes", ["on its bound"]), ("label", "another name"),
    ],
)  # fmt: skip
def test_every_field_of_an_estimate_is_compared(
    reports: Path, small: Any, builder: Callable[..., Any], field: str, value: object
) -> None:
    outcomes, estimate = changed(small.outcomes)
    assert estimate[field] != value
    estimate[field] = value
    row = compared(reports, outcomes, small.dataset, builder)["engagement/main"]
    assert field in row and "engagement/main" in row


def test_sentences_and_rows_are_compared_too(reports: Path, small: Any, builder: Callable[..., Any]) -> None:
    tables = dict(small.dataset.tables)
    tables["samples.csv"] = tables["samples.csv"].assign(country="Sweden")
    outcomes, _ = changed(small.outcomes)
    outcomes[1]["sentences"][0]["values"]["moved"]["value"] = 0.29
    found = compared(reports, outcomes, replace(small.dataset, tables=tables), builder)
    assert "moved" in found["engagement/finding.driver/positive-engagement/Alpha"]
    assert {"country", "Norway", "Sweden"} <= set(found["samples.csv/alpha2020_s1"])


def test_a_renamed_estimate_is_compared_with_itself() -> None:
    def outcome(name: str, value: int) -> list[dict[str, Any]]:
        return [{"id": "a", "estimates": [{"id": name, "value": value}], "checks": [], "sentences": []}]

    before, after = records_of(outcome("old", 1), {"a/old": "a/new"}), records_of(outcome("new", 2))
    (change,) = field_changes("estimate", before["estimate"], after["estimate"])
    assert (change.id, change.field, change.before, change.after, change.fate) == ("a/new", "value", 1, 2, "changed")


def test_the_erratum_of_this_project_counts_what_its_page_of_changes_left_out() -> None:
    """Version 1.1.0 compared values alone and said that none of 343 estimates had changed."""
    folder = paths.reports_dir()
    (erratum,) = (e for e in errata(folder, read_releases(folder)) if e.version == "1.1.0")
    assert (erratum.before, erratum.said, erratum.compared) == ("1.0.0", 0, 343)
    counts = erratum.counts
    assert counts["tau2", "changed"] == 13  # posterior means of tau2, one of them by more than half
    assert counts["prediction_low", "emptied"] + counts["prediction_high", "emptied"] == 40
    moved = [c.after / c.before - 1 for c in erratum.fields if (c.field, c.fate) == ("tau2", "changed")]  # type: ignore[operator]
    assert max(moved) == pytest.approx(0.565, abs=0.001)


def test_renamed_ids_name_estimates_of_a_release() -> None:
    releases = read_releases(paths.reports_dir())
    known = {name for r in releases for name in records_of(frozen_outcomes(paths.reports_dir(), r))["estimate"]}
    assert set(read_renamed(paths.analyses_dir() / "renamed.toml")) <= known
