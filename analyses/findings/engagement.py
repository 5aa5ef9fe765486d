"""Do good relationships go with engagement? One answer first, then positive and negative relationships apart."""

from replication.analysis import Analysis, Context, Findings
from replication.evidence.finding import QuestionPlan, finding, parts_of, quick_finding, reads_of
from replication.evidence.question import Question

QUALITY = ("positive", "negative", "relationship")
"""Positive, negative (turned) and overall relationship: what the main question asks about."""

PLANS = (
    QuestionPlan(
        question=Question("quality-engagement", "relationship_quality_with_engagement", QUALITY, "engagement"),
        claims=("roorda2011-011", "roorda2011-012"),
        main=True,
    ),
    QuestionPlan(
        question=Question("positive-engagement", "positive_relationship_with_engagement", ("positive",), "engagement"),
        claims=(
            "roorda2011-010",
            "roorda2011-011",
            "roorda2011-021",
            "roorda2011-023",
            "roorda2017-007",
            "jakcheung2018-002",
            "lixue2023-004",
        ),
        predict_from=("roorda2011-011", "roorda2017-007"),
    ),
    QuestionPlan(
        question=Question("negative-engagement", "negative_relationship_with_engagement", ("negative",), "engagement"),
        claims=("roorda2011-012", "roorda2011-022", "roorda2011-024", "roorda2017-009", "jakcheung2018-004"),
        predict_from=("roorda2011-012", "roorda2017-009"),
    ),
)


def run(context: Context) -> Findings:
    return finding(context, PLANS)


def quick(context: Context) -> Findings:
    return quick_finding(context, PLANS)


ANALYSIS = Analysis(
    id="engagement",
    title="title_engagement",
    question="question_engagement",
    run=run,
    quick=quick,
    plans=PLANS,
    parts=parts_of(PLANS),
    reads=reads_of(PLANS),
    kind="finding",
)
