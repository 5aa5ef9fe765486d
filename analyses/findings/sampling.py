"""Do sampled and exact posteriors agree, and what do models say that only sampling can fit?"""

from analyses.shared.sampled import (
    CELLS,
    agreement_sentence,
    agreement_table,
    cells_at_once,
    sampled_tables,
    selection_on,
    with_exact,
)
from replication.analysis import Analysis, Context, Findings, placed
from replication.evidence.question import Question, evidence

TWO = CELLS[0]
THREE = Question(
    "quality-achievement", "relationship_quality_with_achievement", ("positive", "negative"), "achievement"
)


def run(context: Context) -> Findings:
    one_row = evidence(context.data, TWO, "published")
    two = with_exact(context, one_row)
    three = with_exact(context, evidence(context.data, THREE, "published"))
    cells, estimates = cells_at_once(context)
    selection = selection_on(context, one_row, 1)
    fits = (cells, selection, two, three)
    tables = (agreement_table((two, three)), *sampled_tables(fits))
    return Findings(
        estimates=placed("bayes", estimates),
        tables=placed("bayes", tables),
        sentences=(agreement_sentence(fits),),
        draws=tuple(fit.draws for fit in fits if fit.draws),
    )


ANALYSIS = Analysis(
    id="sampling",
    title="title_sampling",
    question="question_sampling",
    run=run,
    kind="finding",
    slow=True,
)
