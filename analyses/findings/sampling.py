"""Do sampled and exact posteriors agree, and what do models say that only sampling can fit?"""

from replication.analysis import Analysis, Context, Findings, Table
from replication.analysis.findings.question import Question, evidence
from replication.analysis.findings.sampled import agreement_rows, cells_at_once, sampled_tables, selection_on

TWO = Question("positive-engagement", "positive relationship with engagement", ("positive",), "engagement")
THREE = Question(
    "quality-achievement", "relationship quality with achievement", ("positive", "negative"), "achievement"
)


def run(context: Context) -> Findings:
    one_row = evidence(context.data, TWO, "samples45")
    several = evidence(context.data, THREE, "samples45")
    two, two_rows = agreement_rows(context, one_row)
    three, three_rows = agreement_rows(context, several)
    cells, estimates = cells_at_once(context)
    selection = selection_on(context, one_row, 1)
    exact_and_sampled = (
        "exact mean",
        "sampled mean",
        "Monte Carlo error",
        "distance in errors",
        "exact sd",
        "sampled sd",
    )
    columns = ("model", "parameter", *exact_and_sampled)
    agreement = Table(
        id="agreement", title="Exact and sampled, the same models", columns=columns, rows=(*two_rows, *three_rows)
    )
    tables = (agreement, *sampled_tables((cells, selection, two, three)))
    return Findings(estimates=estimates, tables=tables)


ANALYSIS = Analysis(
    id="sampling",
    title="Sampled models",
    question="Do sampled and exact posteriors agree, and what do models say that only sampling can fit?",
    run=run,
    kind="finding",
    slow=True,
)
