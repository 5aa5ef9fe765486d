"""Does good sleep go with well-being? One answer first, then sleep quality and sleep problems apart."""

from replication.analysis import Analysis, Context, Findings
from replication.evidence.finding import QuestionPlan, finding, parts_of, quick_finding
from replication.evidence.question import Question

__all__ = ["ANALYSIS"]

PLANS = (
    # Several constructs together: those of negative valence (sleep problems) are turned.
    QuestionPlan(
        question=Question("sleep-wellbeing", "sleep_with_wellbeing", ("sleep", "sleep_problems"), "wellbeing"),
        claims=("invented2024-c1",),
        main=True,
    ),
    QuestionPlan(question=Question("quality-wellbeing", "sleep_quality_with_wellbeing", ("sleep",), "wellbeing")),
)


def run(context: Context) -> Findings:
    return finding(context, PLANS)


def quick(context: Context) -> Findings:
    return quick_finding(context, PLANS)


ANALYSIS = Analysis(
    id="wellbeing",
    title="title_wellbeing",
    question="question_wellbeing",
    run=run,
    quick=quick,
    plans=PLANS,
    parts=parts_of(PLANS),
    kind="finding",
)
