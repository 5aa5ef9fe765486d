"""Do sampled and exact posteriors agree, and what do models say that only sampling can fit?"""

from replication.analysis import Analysis, Context, Findings, placed
from replication.evidence.question import Question, evidence

THREE = Question(
    "quality-achievement", "relationship_quality_with_achievement", ("positive", "negative"), "achievement"
)


def run(context: Context) -> Findings:
    # Here and not above: a run that samples nothing only asks this file what it declares.
    from analyses.shared import sampled

    one_row = evidence(context.data, sampled.CELLS[0], "published")
    two = sampled.with_exact(context, one_row)
    three = sampled.with_exact(context, evidence(context.data, THREE, "published"))
    cells, estimates = sampled.cells_at_once(context)
    selection = sampled.selection_on(context, one_row, 1)
    fits = (cells, selection, two, three)
    tables = (sampled.agreement_table((two, three)), *sampled.sampled_tables(fits))
    return Findings(
        estimates=placed("bayes", estimates),
        tables=placed("bayes", tables),
        sentences=(sampled.agreement_sentence(fits),),
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
