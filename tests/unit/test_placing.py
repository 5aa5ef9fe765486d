"""Every number of a sentence leads somewhere, every item of a finding has its section, or the analysis is refused."""

from __future__ import annotations

import pytest

from replication import paths
from replication.analysis import Analysis, Context, Estimate, Findings, Number, Ref, Sentence, Table, numbers, placed
from replication.analysis.running import run_analysis
from replication.dataset import Dataset, load_dataset
from replication.errors import UserError


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset(paths.data_dir())


MAIN = Estimate(id="main", label="pooled", metric="r", value=0.3, section="answer")


def outcome(dataset: Dataset, findings: Findings, kind: str = "finding") -> None:
    analysis = Analysis(id="invented", title="", question="", run=lambda _: findings, kind=kind)  # type: ignore[arg-type]
    run_analysis(analysis, Context(dataset))


def said(ref: Ref) -> Findings:
    return Findings(estimates=(MAIN,), sentences=(Sentence("k", {"r": Number(0.3, ref)}, "answer"),))


@pytest.mark.parametrize(
    "ref",
    [
        Ref("estimate", "main"),
        Ref("estimate", "roorda2011/another"),  # of another analysis: looked up when the report is built
        Ref("claim", "roorda2011-011"),
        Ref("row", "roorda2011_s01"),
        Ref("work", "roorda2011"),
        Ref("page", "claims"),
    ],
)
def test_a_reference_to_what_exists_is_accepted(dataset: Dataset, ref: Ref) -> None:
    outcome(dataset, said(ref))


@pytest.mark.parametrize(
    "ref",
    [
        Ref("estimate", "mean"),
        Ref("table", "main"),  # the id of an estimate is no table
        Ref("claim", "roorda2011-999"),
        Ref("row", "nowhere"),
        Ref("work", "main"),
    ],
)
def test_a_reference_to_nothing_is_an_error_that_names_it(dataset: Dataset, ref: Ref) -> None:
    with pytest.raises(UserError, match=f'invented: sentence k: r leads to {ref.kind} "{ref.id}", which is nowhere'):
        outcome(dataset, said(ref))


def test_a_bare_number_in_a_sentence_is_an_error(dataset: Dataset) -> None:
    loose = Findings(sentences=(Sentence("k", {"r": 0.3, "question": "text may stand", "yes": True}, "answer"),))
    with pytest.raises(UserError, match="sentence k: r is a bare number") as caught:
        outcome(dataset, loose)
    assert str(caught.value).count("bare number") == 1


def test_items_of_a_finding_need_a_section_and_those_of_a_reproduction_do_not(dataset: Dataset) -> None:
    table = Table(id="t", title="", columns=("a",), rows=())
    with pytest.raises(UserError, match='table t stands in the section ""; give it one of answer'):
        outcome(dataset, Findings(tables=(table,)))
    outcome(dataset, Findings(tables=placed("bias", [table])))
    outcome(dataset, Findings(tables=(table,)), "reproduction")


def test_numbers_share_one_reference() -> None:
    found = numbers({"low": 0.1, "high": 0.2}, Ref("estimate", "main"))
    assert {name: (n.value, n.ref.id) for name, n in found.items()} == {"low": (0.1, "main"), "high": (0.2, "main")}
