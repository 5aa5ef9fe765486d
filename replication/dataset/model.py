"""The dataset as an analysis sees it: frozen tables, records and a digest. Nothing here reads files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from replication.dataset.problems import Problem
from replication.dataset.records import Article, Correction, Explanation, Reference, Statement, Trap, Work
from replication.dataset.vocabulary import Vocabulary
from replication.errors import DataError

__all__ = ["Dataset"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Everything under `data/references`, checked.

    Tables are handed out as copies (copy-on-write, so they cost nothing): changing one changes no dataset. Every table
    has a `work` column; `effects` carries the columns of its sample too (`unit`, `country`, `ses`, ...).
    """

    version: str
    digest: str
    vocabulary: Vocabulary
    works: Mapping[str, Work]
    references: Mapping[str, Reference]
    article: Article
    statements: tuple[Statement, ...]
    corrections: tuple[Correction, ...]
    explanations: tuple[Explanation, ...]
    traps: tuple[Trap, ...]
    notes: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()
    tables: Mapping[str, pd.DataFrame]

    def __repr__(self) -> str:
        return f"Dataset(version={self.version!r}, digest={self.digest[:12]!r}, {len(self.works)} works)"

    def table(self, name: str) -> pd.DataFrame:
        """One table by file name, e.g. "claims.csv"."""
        return self.tables[name].copy(deep=False)

    @property
    def effects(self) -> pd.DataFrame:
        """All effect rows with the columns of their sample."""
        return self.table("effects.csv")

    @property
    def samples(self) -> pd.DataFrame:
        """All samples."""
        return self.table("samples.csv")

    @property
    def claims(self) -> pd.DataFrame:
        """All printed numbers."""
        return self.table("claims.csv")

    @property
    def measures(self) -> pd.DataFrame:
        """What the measure codes stand for."""
        return self.table("measures.csv")

    @property
    def directions(self) -> pd.DataFrame:
        """The direction-only rows."""
        return self.table("directions.csv")

    def work(self, key: str) -> Work:
        """One work by key."""
        if key not in self.works:
            raise DataError(f'no work "{key}" in the dataset; its folder would be data/references/{key}')
        return self.works[key]

    def cited(self) -> tuple[str, ...]:
        """The keys of the works the article lists, in the order of its list."""
        return tuple(key for key in self.references if key in self.works and self.works[key].role == "cited")
