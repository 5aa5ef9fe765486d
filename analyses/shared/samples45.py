"""The 45 public samples of Roorda et al. (2011): which correlations the published analyses use, and an audit."""

from __future__ import annotations

from dataclasses import dataclass

from replication.analysis.outcome import Figure, Label, Table, refs
from replication.dataset import Dataset, Exclusion, Selection, select
from replication.evidence.pooling import Pooled, forest, pool
from replication.models.options import Tau2Method, TestMethod

__all__ = ["PAIRS", "Side", "audit_table", "side_by_side", "used"]

PAIRS = (
    ("positive", "engagement"),
    ("negative", "engagement"),
    ("positive", "achievement"),
    ("negative", "achievement"),
    ("positive", "negative"),
    ("engagement", "achievement"),
)
METHODS: tuple[Tau2Method, ...] = ("REML", "DL", "EE")


def used(selection: Selection) -> Selection:
    """The rows the published analyses use: both variables have their diagonal entry."""
    return selection.keep(
        lambda rows: (rows["diagonal_a_missing"] == "no") & (rows["diagonal_b_missing"] == "no"), "diagonal_is_missing"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Six pairs pooled with the rows in use and with all rows, by (a, b, rows, estimator); forests; exclusions."""

    pools: dict[tuple[str, str, str, str], Pooled]
    figures: tuple[Figure, ...]
    exclusions: tuple[Exclusion, ...]

    @property
    def table(self) -> Table:
        """The pools side by side."""
        rows = [
            (
                Label("pair_with", {"a": a, "b": b}),
                rows,
                method,
                p.estimate.value,
                p.estimate.low,
                p.estimate.high,
                p.fit.k,
            )
            for (a, b, rows, method), p in self.pools.items()
        ]
        columns = ("pair", "rows", "estimator", "r", "low", "high", "k")
        return Table(
            id="side-by-side",
            title="six_pairs_with_the_rows_in_use_and_with_all_rows",
            columns=columns,
            rows=tuple(rows),
        )


def side_by_side(dataset: Dataset) -> Side:
    """Every pair with REML, DerSimonian-Laird and the common-effect model, rows in use beside all rows."""
    pools: dict[tuple[str, str, str, str], Pooled] = {}
    figures: list[Figure] = []
    excluded: list[Exclusion] = []
    for a, b in PAIRS:
        everything = select(dataset, pair=(a, b), works=["roorda2011"])
        for name, selection in (("used", used(everything)), ("all", everything)):
            for method in METHODS:
                key, label = (
                    f"{a}-{b}-{name}-{method.lower()}",
                    Label("pair_rows", {"a": a, "b": b, "rows": name, "method": method}),
                )
                test: TestMethod = "z" if method == "EE" else "knha"
                # One row per sample in each pair here, so the two-level model holds.
                pools[a, b, name, method] = pool(selection, id=key, label=label, method=method, test=test)
            title = Label("pair_forest", {"a": a, "b": b, "k": len(selection), "rows": name})
            figures.append(forest(pools[a, b, name, "REML"], id=f"forest-{a}-{b}-{name}", title=title))
            excluded += selection.excluded
    return Side(pools, tuple(figures), tuple(excluded))


def audit_table(dataset: Dataset) -> Table:
    """Every correlation that needs a second look: unused ones, exact zeros, rows with a note; one reason a line."""
    found = []
    for row in select(dataset, works=["roorda2011"]).rows.to_dict("records"):
        unused = "yes" in (row["diagonal_a_missing"], row["diagonal_b_missing"])
        remarks = (
            ("diagonal_is_missing", unused),
            ("exactly_zero", row["value"] == 0),
            (row["note"], bool(row["note"])),
        )
        reasons = [remark for remark, holds in remarks if holds]
        pair = Label("pair_with", {"a": row["var_a"], "b": row["var_b"]})
        found += [(row["effect_id"], row["sample_id"], pair, row["value"], row["n"], reason) for reason in reasons]
    columns = ("row", "sample", "pair", "r", "n", "what")
    links = refs("row", (row[0] for row in found))
    return Table(
        id="audit", title="correlations_that_need_a_second_look", columns=columns, rows=tuple(found), links=links
    )
