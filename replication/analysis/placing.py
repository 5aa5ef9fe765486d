"""The check that every item of an outcome has its place, and every number of a sentence leads to something that exists.

It runs with the analysis, so that a page is never left to guess: neither from the digits of a number nor from the
words of an id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replication.analysis.outcome import SECTIONS, Analysis, Estimate, Figure, Findings, Number, Ref, Sentence, Table
from replication.claims import ClaimIndex
from replication.dataset import Dataset
from replication.dataset.schema import TABLES
from replication.errors import UserError

__all__ = ["check_placed"]

_ROW_TABLES = ("effects.csv", "samples.csv", "directions.csv", "screened.csv", "leads.csv")
_OWN = ("estimate", "table", "figure")


def check_placed(analysis: Analysis, findings: Findings, dataset: Dataset, claims: ClaimIndex) -> None:
    """Do nothing where all is placed and every reference exists.

    Raises
    ------
    UserError
        otherwise, with a line per fault: analysis, item, what is missing, what to write.
    """
    faults = [*_unplaced(analysis, findings), *_loose_numbers(findings, dataset, claims)]
    if faults:
        raise UserError("\n".join(f"analysis {analysis.id}: {fault}" for fault in faults))


def _unplaced(analysis: Analysis, findings: Findings) -> Iterator[str]:
    """Items of a finding without a section of its page; other kinds of analyses have one place for everything."""
    if analysis.kind != "finding":
        return
    items: Sequence[tuple[str, Estimate | Table | Figure | Sentence]] = [
        *(("estimate " + item.id, item) for item in findings.estimates),
        *(("table " + item.id, item) for item in findings.tables),
        *(("figure " + item.id, item) for item in findings.figures),
        *(("sentence " + item.key, item) for item in findings.sentences),
    ]
    for name, item in items:
        if item.section not in SECTIONS:
            yield f'{name} stands in the section "{item.section}"; give it one of {", ".join(SECTIONS)}'


def _loose_numbers(findings: Findings, dataset: Dataset, claims: ClaimIndex) -> Iterator[str]:
    own = {
        "estimate": {item.id for item in findings.estimates},
        "table": {item.id for item in findings.tables},
        "figure": {item.id for item in findings.figures},
    }
    for sentence in findings.sentences:
        for name, value in sentence.values.items():
            if isinstance(value, Number):
                ref = value.ref
                if not _exists(ref, own, dataset, claims):
                    yield f'sentence {sentence.key}: {name} leads to {ref.kind} "{ref.id}", which is nowhere'
            elif isinstance(value, int | float) and not isinstance(value, bool):
                yield f"sentence {sentence.key}: {name} is a bare number; write Number({name}, Ref(kind, id))"


def _exists(ref: Ref, own: dict[str, set[str]], dataset: Dataset, claims: ClaimIndex) -> bool:
    """Whether something stands behind a reference; those to other analyses and to pages are checked with the report."""
    if ref.kind in _OWN:
        # Another analysis may not have run yet; the report, which has them all, checks those.
        return ref.id in own[ref.kind] or "/" in ref.id
    if ref.kind == "claim":
        return ref.id in claims
    if ref.kind == "work":
        return ref.id in dataset.works
    if ref.kind == "row":
        return any(ref.id in set(dataset.tables[name][TABLES[name].id[-1]]) for name in _ROW_TABLES)
    return ref.kind == "page"
