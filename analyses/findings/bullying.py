"""Do good relationships go with less bullying, of being bullied and of bullying others? Schools apart."""

from dataclasses import replace

from analyses.shared.schools import direction_evidence, school_estimates
from replication.analysis import Analysis, Context, Findings, Sentence
from replication.analysis.outcome import Ref, numbers, placed
from replication.evidence.finding import QuestionPlan, finding, parts_of, quick_finding, reads_of
from replication.evidence.question import Question

QUALITY = ("positive", "negative", "relationship")
"""Positive, negative (turned) and overall relationship: what the main questions ask about."""

PLANS = (
    QuestionPlan(
        question=Question("quality-victimization", "relationship_quality_with_being_bullied", QUALITY, "victimization"),
        claims=("tenbokkel2023-004", "tenbokkel2023-005"),
        main=True,
    ),
    QuestionPlan(
        question=Question("quality-perpetration", "relationship_quality_with_bullying_others", QUALITY, "perpetration"),
        claims=("tenbokkel2023-003",),
        predict_from=("tenbokkel2023-003",),
        main=True,
        none_held="tenbokkel2023-003",
    ),
    QuestionPlan(
        question=Question(
            "positive-victimization", "positive_relationship_with_being_bullied", ("positive",), "victimization"
        ),
        claims=("tenbokkel2023-004",),
        predict_from=("tenbokkel2023-004",),
    ),
)
OUTCOMES = {"bullying_perpetration": -1, "peer_victimization": -1, "bullying_other": -1}

STUDENTS = reads_of(PLANS)

HBSC = "python -m replication.study compute hbsc2018 --file FILE"


def run(context: Context) -> Findings:
    students = finding(context, PLANS)
    schools, school_table, school_figure = school_estimates(context.data)
    directions, plot, sign_test = direction_evidence(context.data, OUTCOMES, "bullying")
    same, other = schools[0], schools[1]
    sentences = (
        Sentence(
            "bullying.directions",
            numbers({"favour": sign_test.value, "works": sign_test.k, "p": sign_test.p}, Ref("estimate", sign_test.id)),
            "directions",
        ),
        Sentence(
            "bullying.schools",
            {
                **numbers({"same": same.value, "same_samples": same.k}, Ref("estimate", same.id)),
                **numbers({"other": other.value, "other_samples": other.k}, Ref("estimate", other.id)),
            },
            "school",
        ),
        Sentence("bullying.download", {"command": HBSC}, "change"),
    )
    return replace(
        students,
        estimates=(*students.estimates, *placed("school", schools), *placed("directions", (sign_test,))),
        tables=(*students.tables, *placed("directions", (directions,)), *placed("school", (school_table,))),
        figures=(*students.figures, *placed("directions", (plot,)), *placed("school", (school_figure,))),
        sentences=(*students.sentences, *sentences),
    )


def quick(context: Context) -> Findings:
    return quick_finding(context, PLANS)


ANALYSIS = Analysis(
    id="bullying",
    title="title_bullying",
    question="question_bullying",
    run=run,
    quick=quick,
    plans=PLANS,
    parts=parts_of(PLANS),
    reads=replace(STUDENTS, outcomes=(*STUDENTS.outcomes, "school_bullying")),
    kind="finding",
)
