"""Do good relationships go with achievement? One answer first, then positive and negative relationships apart."""

from replication.analysis import Analysis, Context, Findings
from replication.evidence.finding import QuestionPlan, finding, parts_of, quick_finding, reads_of
from replication.evidence.question import Question

QUALITY = ("positive", "negative", "relationship")
"""Positive, negative (turned) and overall relationship: what the main question asks about."""

PLANS = (
    QuestionPlan(
        question=Question("quality-achievement", "relationship_quality_with_achievement", QUALITY, "achievement"),
        claims=("roorda2011-014", "roorda2011-016"),
        main=True,
    ),
    QuestionPlan(
        question=Question(
            "positive-achievement", "positive_relationship_with_achievement", ("positive",), "achievement"
        ),
        claims=(
            "roorda2011-013",
            "roorda2011-014",
            "roorda2011-017",
            "roorda2011-019",
            "roorda2017-003",
            "jakcheung2018-003",
            "tao2022-002",
            "tao2022-009",
            "tao2022-010",
            "lei2022-004",
            "emslander2025-007",
        ),
        predict_from=("roorda2011-014", "roorda2017-003", "tao2022-002", "lei2022-004"),
    ),
    QuestionPlan(
        question=Question(
            "negative-achievement", "negative_relationship_with_achievement", ("negative",), "achievement"
        ),
        claims=(
            "roorda2011-015",
            "roorda2011-016",
            "roorda2011-018",
            "roorda2011-020",
            "roorda2017-005",
            "jakcheung2018-005",
        ),
        predict_from=("roorda2011-016", "roorda2017-005"),
    ),
)


def run(context: Context) -> Findings:
    return finding(context, PLANS)


def quick(context: Context) -> Findings:
    return quick_finding(context, PLANS)


ANALYSIS = Analysis(
    id="achievement",
    title="title_achievement",
    question="question_achievement",
    run=run,
    quick=quick,
    plans=PLANS,
    parts=parts_of(PLANS),
    reads=reads_of(PLANS),
    kind="finding",
)
