"""Roorda et al. (2011): the headline effects rest on 99 studies; 45 samples are public. Both side by side."""

from replication.analysis import Analysis, Context, Findings, Sentence, forest, missing, pool
from replication.claims import Missing
from replication.dataset import Selection, select

PAIRS = (
    ("positive", "engagement"),
    ("negative", "engagement"),
    ("positive", "achievement"),
    ("negative", "achievement"),
    ("positive", "negative"),
    ("engagement", "achievement"),
)
HEADLINE = {  # claim -> the pair it pools, from the public subset with the same model
    "roorda2011-010": ("positive", "engagement"),
    "roorda2011-011": ("positive", "engagement"),
}


def used(selection: Selection) -> Selection:
    """The rows the published analyses of these data use: both diagonal entries present."""
    return selection.keep(
        lambda r: (r["diagonal_a_missing"] == "no") & (r["diagonal_b_missing"] == "no"),
        "a variable has NA on the diagonal of its matrix, so the published analyses drop this correlation",
    )


def run(context: Context) -> Findings:
    data = context.data
    pools, figures, exclusions = [], [], []
    for a, b in PAIRS:
        everything = select(data, pair=(a, b), works=["roorda2011"])
        for name, selection in (("used", used(everything)), ("all", everything)):
            for method in ("REML", "DL"):
                key = f"{a}-{b}-{name}-{method.lower()}"
                label = f"{a} with {b}, {name} {len(selection)} correlations, {method}"
                pooled = pool(selection, id=key, label=label, method=method, group=f"{a} with {b}")
                pools.append(pooled.estimate)
                if method == "REML":
                    figures.append(forest(pooled, id=f"forest-{key}", title=f"{a} with {b} ({name})"))
            exclusions += selection.excluded
    return Findings(estimates=tuple(pools), figures=tuple(figures), exclusions=tuple(exclusions))


ANALYSIS = Analysis(
    id="roorda2011",
    title="Roorda et al. (2011), from the 45 public samples",
    question="Do the pooled correlations of 2011 hold in the samples that are public?",
    run=run,
    claims=("roorda2011",),
)
