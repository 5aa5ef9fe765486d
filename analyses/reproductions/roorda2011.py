"""Roorda et al. (2011): the headline effects rest on 99 studies; 45 samples are public. Both side by side."""

from replication.analysis import Analysis, Context, Findings, Pooled, Sentence, Table, forest, missing, pool
from replication.analysis.samples45 import AUDIT_COLUMNS, PAIRS, audit, used
from replication.dataset import Selection, select

HEADLINE = {  # claim -> pair and estimator of the same kind
    "010": ("positive", "engagement", "EE"),
    "011": ("positive", "engagement", "REML"),
    "012": ("negative", "engagement", "EE"),
    "013": ("positive", "achievement", "EE"),
    "014": ("positive", "achievement", "REML"),
    "015": ("negative", "achievement", "EE"),
    "016": ("negative", "achievement", "REML"),
}
METHODS = ("REML", "DL", "EE")


def pools_of(selection: Selection, pair: tuple[str, str], rows: str) -> dict[str, Pooled]:
    a, b = pair
    return {
        method: pool(
            selection,
            id=f"{a}-{b}-{rows}-{method.lower()}",
            label=f"{a} with {b}, {rows} rows, {method}",
            method=method,
            test="z" if method == "EE" else "knha",
            group=f"{a} with {b}",
        )
        for method in METHODS
    }


def run(context: Context) -> Findings:
    pools, figures, rows, excluded = {}, [], [], []
    for pair in PAIRS:
        everything = select(context.data, pair=pair, works=["roorda2011"])
        for name, selection in (("used", used(everything)), ("all", everything)):
            found = pools_of(selection, pair, name)
            pools |= {(*pair, name, method): pooled for method, pooled in found.items()}
            reml = found["REML"]
            title = f"{pair[0]} with {pair[1]}: {len(selection)} correlations ({name})"
            figures.append(forest(reml, id=f"forest-{pair[0]}-{pair[1]}-{name}", title=title))
            rows += [
                (" with ".join(pair), name, method, p.estimate.value, p.estimate.low, p.estimate.high, p.fit.k)
                for method, p in found.items()
            ]
            excluded += selection.excluded
    answers = {}
    for number, (a, b, method) in HEADLINE.items():
        ours = pools[a, b, "all", method].estimate
        beside = (
            f"The {ours.k} of these correlations that are public give {ours.value:.3f} "
            f"[{ours.low:.3f}, {ours.high:.3f}] ({method})."
        )
        answers[f"roorda2011-{number}"] = missing(context.data, "roorda2011", beside)
    side = Table(
        id="side-by-side",
        title="Six pairs, with the rows in use and with all rows",
        rows=tuple(rows),
        columns=("pair", "rows", "estimator", "r", "low", "high", "k"),
    )
    listed = audit(context.data)
    audited = Table(id="audit", title="Correlations that need a second look", columns=AUDIT_COLUMNS, rows=listed)
    count = {"unused": len(excluded), "all": len({r for p in pools.values() for r in p.estimate.rows})}
    return Findings(
        answers=answers,
        estimates=tuple(p.estimate for p in pools.values()),
        tables=(side, audited),
        figures=tuple(figures),
        sentences=(Sentence("roorda2011.unused", {**count, "used": count["all"] - count["unused"]}),),
        exclusions=tuple(excluded),
    )


ANALYSIS = Analysis(
    id="roorda2011",
    title="Roorda et al. (2011), from the 45 public samples",
    question="Do the pooled correlations of 2011 hold in the samples that are public?",
    run=run,
    claims=("roorda2011",),
)
