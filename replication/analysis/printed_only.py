"""Works of which only printed numbers can be had: an analysis that says so, claim by claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from replication.analysis.outcome import Analysis, Context, Findings
from replication.claims import Answer, Claim, claims_of

__all__ = ["Checks", "printed_only"]

Checks = Callable[[Mapping[str, Claim]], Mapping[str, Answer]]
"""From all claims of the dataset by id to answers, for what can be checked by arithmetic."""


def printed_only(work: str, title: str, checks: Checks | None = None) -> Analysis:
    """The analysis of a work without public data: `checks` are tried, every other claim says what is missing.

    A printed correlation with an interval is checked against the middle of that interval in any case.
    """

    def run(context: Context) -> Findings:
        if checks is None:
            return Findings()
        return Findings(answers=checks({claim.id: claim for claim in claims_of(context.data)}))

    question = "Do the printed numbers agree with each other, and what is missing to compute them?"
    return Analysis(id=work, title=title, question=question, run=run, claims=(work,))
