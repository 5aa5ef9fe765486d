"""Which rows an analysis uses, and why every other candidate is not used.

A selection begins with all rows of one pair of constructs and one unit of analysis. Each `keep` narrows it and
writes down what it left out. Units are never mixed: there is no way to ask for two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replication.dataset.model import Dataset
from replication.dataset.problems import nearest
from replication.errors import DataError
from replication.labels import Label, Text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Exclusion", "Selection", "select"]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A row that was a candidate and is not used, with the reason as a label."""

    row: str
    reason: Text


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Rows of `effects` and the exclusions on the way to them."""

    rows: pd.DataFrame
    excluded: tuple[Exclusion, ...] = ()

    def keep(self, test: Callable[[pd.DataFrame], pd.Series], reason: Text) -> Selection:
        """Keep the rows for which `test` is true; the others are excluded for `reason`."""
        mask = test(self.rows).astype(bool)
        # Rows of seventy columns: they are copied only where some go.
        if mask.all():
            return Selection(self.rows.reset_index(drop=True), self.excluded)
        dropped = tuple(Exclusion(str(row), reason) for row in self.rows.loc[~mask, "effect_id"])
        return Selection(self.rows[mask].reset_index(drop=True), self.excluded + dropped)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sample_sizes(self) -> dict[str, float]:
        """The largest n of each sample's rows, by sample."""
        largest: dict[str, float] = {}
        for sample, n in zip(self.rows["sample_id"].tolist(), self.rows["n"].tolist(), strict=True):
            held = largest.setdefault(sample, n)
            if n > held or math.isnan(held):  # an empty cell is no size
                largest[sample] = n
        return dict(sorted(largest.items()))

    @property
    def persons(self) -> float:
        """Persons behind all rows: those of one sample share them, so the largest n of each sample adds up."""
        return float(sum(n for n in self.sample_sizes.values() if not math.isnan(n)))


def select(
    dataset: Dataset,
    *,
    unit: str = "",
    pair: tuple[str, str] | None = None,
    works: Sequence[str] | None = None,
    statistic: str = "r",
) -> Selection:
    """All rows of one unit, in the order of the dataset, optionally of one pair of constructs and some works.

    Parameters
    ----------
    dataset : where from.
    unit : the unit of analysis, by default the person; correlations of persons and of groups are different quantities
        and never mixed.
    pair : two constructs in any order, e.g. ("positive", "engagement").
    works : keys of works; None takes all.
    statistic : rows with another statistic (beta, partial r) are excluded with a reason.

    Raises
    ------
    DataError
        when a construct, work or unit is not known.
    """
    unit = unit or dataset.vocabulary.person
    _known("unit", [unit], dataset.vocabulary.words("unit"))
    effects = dataset.columns("effects.csv")
    # Chosen among plain cells: a data frame of all rows takes longer than one of those that are wanted.
    chosen = [own == unit for own in effects["unit"]]
    if works is not None:
        _known("work", works, tuple(dataset.works))
        chosen = [held and work in works for held, work in zip(chosen, effects["work"], strict=True)]
    if pair is not None:
        _known("construct", pair, dataset.vocabulary.words("construct"))
        # Which construct a coder wrote first says nothing: r is the same either way.
        both = (pair, pair[::-1])
        chosen = [held and cells in both for held, cells in zip(chosen, effects.rows("var_a", "var_b"), strict=True)]
    rows = effects.where(chosen).frame()
    return Selection(rows).keep(
        lambda r: r["statistic"] == statistic, Label("statistic_is_not", {"statistic": statistic})
    )


def _known(what: str, asked: Sequence[str], known: Sequence[str]) -> None:
    for word in asked:
        if word not in known:
            raise DataError(f'no {what} "{word}" in the dataset: {nearest(word, known)}')
