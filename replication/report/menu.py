"""The pages of a report that have a name of their own, once: their addresses, their place in the menu, their languages.

Menu, search, references by page and translated pages are all read from one `Menu`, so that a page cannot be in one of
them and missing in another. Which findings it holds, and in which languages, the project says in
`analyses/report.toml`; a page of an article only exists where the dataset holds statements of one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from replication.dataset.problems import Problem, shown
from replication.dataset.records import Statement
from replication.errors import UserError, first_fault

__all__ = ["LANGUAGES", "SETTINGS", "FindingPage", "Menu", "NamedPage", "make_menu", "unlisted_findings"]

LANGUAGES = ("en", "nb")
"""The languages reports are written in; English always, because tables of rows have no other."""
SETTINGS = "report.toml"
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


class FindingPage(BaseModel):
    """A finding with a page in the menu, on which the printed numbers are listed whose `about` names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # A name is part of an address: letters and digits are safe on every file system.
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$")]


class _Settings(BaseModel):
    """`report.toml` as read: languages, English first, and the findings in the order of the menu.

    `questions` says whether the locale files hold frequent questions; `country` is the readers' one, in two letters;
    `synonyms` are words that the search takes for each other.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    languages: tuple[Literal["en", "nb"], ...] = ("en",)
    questions: bool = False
    country: str = ""
    synonyms: tuple[tuple[str, ...], ...] = ()
    finding: tuple[FindingPage, ...] = Field(default=())


@dataclass(frozen=True)
class Menu:
    """The named pages of one report, in the order of the menu; `more` stands in the opened menu only."""

    pages: tuple[NamedPage, ...]
    languages: tuple[str, ...] = LANGUAGES
    country: str = ""
    synonyms: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def findings(self) -> tuple[str, ...]:
        """The findings that have a page in the menu, in its order."""
        return tuple(page.name for page in self.pages if page.finding)

    @cached_property
    def _translated(self) -> frozenset[str]:
        return frozenset(page.path for page in self.pages if page.translated)

    @cached_property
    def _addresses(self) -> frozenset[str]:
        return frozenset(self.address(page.path, language) for page in self.pages for language in self.languages)

    def is_named(self, address: str) -> bool:
        """Whether one of the named pages stands at this address, in whatever language."""
        return address in self._addresses

    def is_translated(self, path: str) -> bool:
        """Whether the page at this address exists in every language: the named ones, and those of `_TWINS`."""
        return path in self._translated or (path.endswith(".html") and path.startswith(_TWINS))

    def address(self, path: str, language: str) -> str:
        """Where a page stands in a language: under the language's folder where it exists there and is not English."""
        return path if language == "en" or not self.is_translated(path) else f"{language}/{path}"

    def holds(self, name: str) -> bool:
        """Whether there is a page of this name."""
        return any(page.name == name for page in self.pages)


# Behind the opened menu: few links stand before a result, so that it is read first.
_FURTHER = (
    "claims", "works", "dataset", "methods", "missing", "traps", "screening", "codebook", "checklist", "changes",
    "errata", "sources", "provenance",
)  # fmt: skip
_EVERYWHERE = ("claims", "works", "dataset", "methods", "missing", "traps", "sources")
_TWINS = ("works/", "findings/", "figures/", "analyses/", "tables/", "claims-", "works-")
"""How the addresses of the pages begin that a result leads to; rows and the files beside them have one language."""


def make_menu(analyses: Path, *, article: bool) -> Menu:
    """The menu of the project whose analyses lie in a folder; `article` says whether it has statements of one.

    Raises
    ------
    UserError
        when `report.toml` cannot be read or says something unknown; the message names place and remedy.
    """
    settings = _settings(analyses / SETTINGS)
    findings = (NamedPage(f.name, f"findings/{f.name}.html", "main", True, True) for f in settings.finding)
    articles = (NamedPage("article", "article.html", "main", translated=True),) if article else ()
    pages = (
        NamedPage("index", "index.html", "main", translated=True),
        *findings,
        *articles,
        *((NamedPage("faq", "faq.html", "more", translated=True),) if settings.questions else ()),
        *(NamedPage(name, f"{name}.html", "more", translated=name in _EVERYWHERE) for name in _FURTHER),
    )
    return Menu(pages, settings.languages, settings.country, settings.synonyms)


def unlisted_findings(statements: Iterable[Statement], menu: Menu) -> Iterator[Problem]:
    """Every statement that names a finding without a page: its answer would be lost in silence.

    A report that lists no finding at all answers no statement, and none is missed.
    """
    for statement in statements if menu.findings else ():
        if statement.finding and statement.finding not in menu.findings:
            place = f"statement {statement.id}"
            expected = f"one of analyses/{SETTINGS} ({', '.join(menu.findings)})"
            hint = "mend the name, or list the finding there"
            yield Problem("article/statements.toml", 0, place, "finding", shown(statement.finding), expected, hint)


def _settings(path: Path) -> _Settings:
    if not path.exists():  # a report of reproductions alone has no finding to list
        return _Settings()
    try:
        found = _Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} cannot be read: {error}; mend that line") from None
    except ValidationError as error:
        raise UserError(first_fault(path.name, error)) from None
    if found.languages[:1] != ("en",):
        raise UserError(f'{path.name}, languages: found {list(found.languages)}; begin with "en", such as ["en", "nb"]')
    names = [finding.name for finding in found.finding]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise UserError(f'{path.name}: two findings are called "{twice}"; a page has one name')
    return found
