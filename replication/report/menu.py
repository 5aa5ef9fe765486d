"""The pages of a report that have a name of their own, once: their addresses, their place in the menu, their languages.

Menu, search, references by page and translated pages are all read from this table, so that a page cannot be in one of
them and missing in another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FINDINGS", "PAGES", "TRANSLATED", "NamedPage"]

Place = Literal["main", "more"]


@dataclass(frozen=True, slots=True)
class NamedPage:
    """One page: its name (a key of the locale's titles and menu), its address, where it is listed, if in Norwegian too.

    `finding` says that it is the page of the finding of that name, for which an analysis of the same id is expected.
    """

    name: str
    path: str
    place: Place
    translated: bool = False
    finding: bool = False


def _finding(name: str) -> NamedPage:
    return NamedPage(name, f"findings/{name}.html", "main", translated=True, finding=True)


PAGES: tuple[NamedPage, ...] = (
    NamedPage("index", "index.html", "main", translated=True),
    _finding("engagement"),
    _finding("achievement"),
    _finding("bullying"),
    _finding("mediation"),
    NamedPage("article", "article.html", "main", translated=True),
    NamedPage("claims", "claims.html", "main"),
    NamedPage("works", "works.html", "main"),
    NamedPage("dataset", "dataset.html", "main"),
    NamedPage("methods", "methods.html", "main"),
    NamedPage("missing", "missing.html", "more"),
    NamedPage("traps", "traps.html", "more"),
    NamedPage("screening", "screening.html", "more"),
    NamedPage("codebook", "codebook.html", "more"),
    NamedPage("checklist", "checklist.html", "more"),
    NamedPage("changes", "changes.html", "more"),
    NamedPage("errata", "errata.html", "more"),
    NamedPage("provenance", "provenance.html", "more"),
)
"""Every named page in the order of the menu; `more` stands in the foot of a page only."""

FINDINGS: tuple[str, ...] = tuple(page.name for page in PAGES if page.finding)
"""The findings that have a page in the menu, in its order."""

TRANSLATED: tuple[str, ...] = tuple(page.path for page in PAGES if page.translated)
"""The addresses of pages that exist in every language, under the language's folder where it is not English."""
