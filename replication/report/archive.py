"""Everything a report can show, indexed: which outcome holds an id, which check answers which claim.

Paths are relative to the report's root; a page turns them into relative addresses. The first figure of a finding is put
together here, from its tables of published and of our numbers; nothing is computed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replication import paths
from replication.claims import Claim, claims_of
from replication.dataset import Dataset
from replication.dataset.successors import Successors
from replication.errors import UserError
from replication.printed import parse_printed
from replication.report.menu import Menu, make_menu, unlisted_findings
from replication.report.rows import Rows, rows_by_work
from replication.report.words import Ref

__all__ = [
    "LICENCE",
    "Archive",
    "RowPage",
    "anchor",
    "make_archive",
    "outcome_page",
    "quoted_by",
    "table_data",
    "table_page",
    "with_glance",
]

_COLUMNS = ("label", "value", "low", "high", "level", "row", "group")
_SWARM = ("label", "group", "role", "value", "weight", "row", "low", "high", "prediction_low", "prediction_high")
Record = Mapping[str, Any]

LICENCE = {"code": "MIT", "data": "CC BY 4.0"}
"""The licences of code and compiled data, as pages, figures and bundle name them."""


def with_glance(outcome: Record, dataset: Dataset, claims: Sequence[Claim]) -> Record:
    """The outcome of a finding with the figures its page opens with.

    In front stands every pooled sample as a dot; printed numbers beside ours stand with what is published.
    """
    first = [*_swarms(outcome), *_printed_beside_ours(outcome, dataset, claims)]
    return {**outcome, "figures": [*first, *outcome["figures"]]}


def _swarms(outcome: Record) -> Iterator[Record]:
    """The samples of each pooled forest as swarms by body of evidence, each with its mean; a long forest is one again.

    Where the bodies differ beyond chance the finding gives no single figure, and none is drawn.
    """
    apart = any(sentence["key"] == "answer.apart" for sentence in outcome["sentences"])
    pools: dict[str, list[Record]] = {}
    for figure in outcome["figures"]:
        if figure["kind"] == "forest" and figure["section"] == "bodies":
            pools.setdefault(figure["settings"]["estimate"], []).append(figure)
    for number, parts in enumerate(pools.values()):
        rows = [_dot(row) for part in parts for row in _records(part)]
        settings = parts[0]["settings"]
        if not apart:
            ends = {"low": settings["summary_low"], "high": settings["summary_high"]}
            ends |= {name: settings.get(name) for name in ("prediction_low", "prediction_high")}
            mean = {"label": "both_together", "group": "both_together", "role": "summary", "weight": None}
            rows.append({**mean, "value": settings["summary"], "row": settings["estimate"], **ends})
        columns = {name: [row[name] for row in rows] for name in _SWARM}
        figure = {"kind": "orchard", "section": "answer", "title": "every_sample_at_a_glance", "note": ""}
        name = "answer-glance" + (f"-{number + 1}" if number else "")
        yield {**figure, "id": name, "columns": columns, "settings": {"metric": "r"}}


def _records(figure: Record) -> Iterator[dict[str, Any]]:
    """The rows of a figure by the names of its columns."""
    names = list(figure["columns"])
    for cells in zip(*figure["columns"].values(), strict=True):
        yield dict(zip(names, cells, strict=True))


def _dot(row: Record) -> Record:
    """A row of a forest plot as an effect of a swarm, or as the mean of one."""
    mean = row["level"] == "cluster"
    ends = {"low": row["low"] if mean else None, "high": row["high"] if mean else None}
    further = {"prediction_low": None, "prediction_high": None}
    named = {"label": row["label"], "group": row["cluster"], "role": "summary" if mean else "effect"}
    return {**named, "value": row["value"], "weight": row["weight"], "row": row["row"], **ends, **further}


def _printed_beside_ours(outcome: Record, dataset: Dataset, claims: Sequence[Claim]) -> Iterator[Record]:
    """One figure of the correlations others printed and ours, by question; none where nothing is updated."""
    updates = [table for table in outcome["tables"] if table["kind"] == "update"]
    printed = {claim.id: _printed(claim, dataset) for claim in claims} if updates else {}
    rows: dict[str, Record] = {}
    for update in updates:
        for row in _rows(outcome, update, printed):
            # A number that bears on two questions is drawn once, where it stands first.
            rows.setdefault(row["row"], row)
    if rows:
        columns = {name: [row[name] for row in rows.values()] for name in _COLUMNS}
        figure = {"id": "printed-glance", "kind": "agreement", "section": "published", "note": ""}
        yield {**figure, "title": "printed_numbers_beside_ours", "columns": columns, "settings": {"metric": "r"}}


def _rows(outcome: Record, update: Record, printed: Mapping[str, Record | None]) -> Iterator[Record]:
    """The printed correlations of a question, then ours."""
    question, group = update["about"]["question"], update["about"]["label"]
    tables = [table for table in outcome["tables"] if table["kind"] == "published"]
    # a number on negative relationships bears on quality too, but turned: it stands where its sign is as printed
    home = {name: table["about"]["question"] for table in tables for name in _ids(table["links"])}
    for name, asked in home.items():
        claim = printed.get(name)
        if claim and asked == question:
            yield {**claim, "group": group}
    places = [update["columns"].index(name) for name in ("r", "low", "high")]
    for cells, estimate in zip(update["rows"], _ids(update["links"]), strict=True):
        value, low, high = (cells[place] for place in places)
        ours = {"label": cells[0], "value": value, "low": low, "high": high, "level": ""}
        yield {**ours, "row": estimate, "group": group}


def _ids(links: Iterable[Ref | None]) -> list[str]:
    """The ids behind rows of a table; empty where nothing stands behind one."""
    return [link["id"] if link else "" for link in links]


def _printed(claim: Claim, dataset: Dataset) -> Record | None:
    """A claim that prints a correlation, as a row of the figure."""
    if claim.statistic != "r" or "value" not in claim.printed:
        return None
    value, low, high = (_value(claim.printed.get(part, "")) for part in ("value", "ci_low", "ci_high"))
    reference = dataset.references.get(claim.work)
    short = reference.short if reference else claim.work
    label = f"{short}, {claim.subgroup}" if claim.subgroup else short
    row = {"label": label, "value": value, "low": low, "high": high, "level": "printed"}
    return {**row, "row": claim.id}


def _value(text: str) -> float | None:
    try:
        return parse_printed(text).value
    except UserError:
        return None


_LARGEST_ROW_PAGE = 300  # rows: a table of 200 kB keeps a slow phone laying out for seconds


@dataclass(frozen=True, slots=True, eq=False)
class RowPage:
    """One page of effect rows of one work."""

    path: str
    work: str
    part: str
    rows: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """The dataset and the outcomes, with the indexes pages need: `tables` by name and work, `places` by id.

    `by_outcome` and `by_claim` are by id, `by_work` the claims by their work, `living` the claims of today by ids of
    other versions, `open_data` what open data say of a printed direction by its id (the word, and the correlation
    beside it if there is one), `users` the analyses that pool an effect, numbered in their order, `names` the works as
    cited. `about` is what is said of the report itself: the `digest` of its data. `digests` are those of the outcomes,
    apart from them: they change with any line of code, and few pages show them.
    """

    dataset: Dataset
    outcomes: Sequence[Record]
    by_outcome: Mapping[str, Record]
    digests: Mapping[str, str]
    run: Record
    about: Mapping[str, str]
    by_claim: Mapping[str, Claim]
    by_work: Mapping[str, Sequence[Claim]]
    living: Mapping[str, str]
    checks: Mapping[str, Record]
    open_data: Mapping[str, Record]
    tables: Mapping[str, Mapping[str, Rows]]
    row_pages: Mapping[str, Sequence[RowPage]]
    users: Mapping[str, Sequence[tuple[int, str]]]
    names: Mapping[str, str]
    places: Mapping[str, str]
    menu: Menu

    def outcome(self, name: str) -> Record | None:
        """The outcome with this id, if it was run and did not fail."""
        found = self.by_outcome.get(name)
        return None if found is None or found.get("failed") else found

    def place(self, name: str, outcome: str = "") -> str:
        """Where an id lives: first within the outcome that names it, then anywhere; empty when nowhere."""
        own = self.places.get(f"{outcome}/{name}") if outcome else None
        return own or self.places.get(name, "")

    def at(self, kind: str, name: str, outcome: str = "") -> str:
        """Where a typed reference leads, within the outcome unless its id names another one; empty when nowhere."""
        if kind in ("estimate", "table", "figure"):
            return self.places.get(f"{kind}:{name}") or self.places.get(f"{kind}:{outcome}/{name}", "")
        if kind == "claim":
            claim = self.claim(name)
            return self.places.get(claim.id, "") if claim else ""
        page, _, fragment = name.partition("#")
        if kind == "page":
            return self.places.get(f"page:{page}", "") + (f"#{fragment}" if fragment else "")
        return self.places.get(name, "")

    def claims_of(self, work: str) -> list[Claim]:
        """The claims of one work."""
        return list(self.by_work.get(work, ()))

    @property
    def claims(self) -> list[Claim]:
        """All claims in the order of the dataset."""
        return list(self.by_claim.values())

    def claim(self, name: str) -> Claim | None:
        """The claim with this id, or the one that took its place."""
        return self.by_claim.get(name) or self.by_claim.get(self.living.get(name, ""))

    def verdict(self, claim: Claim) -> str:
        """The verdict on a claim; PENDING where no analysis of this run looked at it."""
        check = self.checks.get(claim.id)
        return str(check["verdict"]) if check else "PENDING"

    def short(self, work: str) -> str:
        """Authors and year of a work as cited in running text."""
        return self.names.get(work, work)

    def table(self, name: str, work: str = "") -> Rows:
        """The rows of a table of the dataset, of one work when asked, with plain cells."""
        found = self.tables[name]
        if not work:
            return Rows.together(list(found.values()))
        return found.get(work) or Rows.together(())


def make_archive(dataset: Dataset, outcomes: Sequence[Record], run: Record, menu: Menu | None = None) -> Archive:
    """Index a dataset and its outcomes; without a menu the project's own is read."""
    tables = {name: rows_by_work(dataset.columns(name)) for name in dataset.tables}
    row_pages = {work: tuple(_row_pages(work, rows)) for work, rows in tables["effects.csv"].items()}
    claims = claims_of(dataset)
    menu = menu or make_menu(paths.analyses_dir(), article=bool(dataset.statements))
    for problem in unlisted_findings(dataset.statements, menu):
        raise UserError(str(problem))
    # Before anything is indexed: the figure must have an address like any other.
    outcomes = tuple(with_glance(o, dataset, claims) if o["id"] in menu.findings else o for o in outcomes)
    digests = {outcome["id"]: str(outcome["digest"]) for outcome in outcomes}
    outcomes = tuple({name: part for name, part in o.items() if name != "digest"} for o in outcomes)
    checks = {check["claim"]["id"]: {**check, "analysis": o["id"]} for o in outcomes for check in o["checks"]}
    places: dict[str, str] = {}
    for name, place in _places(dataset, tables, outcomes, claims, row_pages, menu):
        # The first place of an id stands: works and rows of the dataset go before analyses that share their name.
        places.setdefault(name, place)
    by_work: dict[str, list[Claim]] = {}
    for claim in claims:
        by_work.setdefault(claim.work, []).append(claim)
    return Archive(
        dataset=dataset,
        outcomes=outcomes,
        by_outcome={outcome["id"]: outcome for outcome in outcomes},
        digests=digests,
        run=run,
        about={"digest": dataset.digest},
        by_claim={claim.id: claim for claim in claims},
        by_work=by_work,
        living=_living(dataset),
        checks=checks,
        open_data=_open_data(outcomes),
        tables=tables,
        row_pages=row_pages,
        users=_users(outcomes),
        names={key: reference.short for key, reference in dataset.references.items()},
        places=places,
        menu=menu,
    )


def _open_data(outcomes: Sequence[Record]) -> dict[str, Record]:
    """By itself, so that a page asks for the directions it shows: asked of the analysis, all change with it."""
    found = (o for o in outcomes if o["id"] == "directions" and not o.get("failed"))
    table = next((t for o in found for t in o["tables"] if t["id"] == "open-data"), None)
    if table is None:
        return {}
    rows = (dict(zip(table["columns"], row, strict=True)) for row in table["rows"])
    return dict(zip(_ids(table["links"]), rows, strict=True))


def _users(outcomes: Sequence[Record]) -> dict[str, tuple[tuple[int, str], ...]]:
    found: dict[str, tuple[tuple[int, str], ...]] = {}
    # The same few analyses use hundreds of thousands of rows: each set of users is held once.
    known: dict[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]] = {}
    for number, outcome in enumerate(outcomes):
        one = (number, outcome["id"])
        for row in {row for estimate in outcome["estimates"] for row in estimate["rows"]}:
            users = (*found.get(row, ()), one)
            found[row] = known.setdefault(users, users)
    return found


def _living(dataset: Dataset) -> dict[str, str]:
    """The claim that stands today for each claim of another version that has a successor or came from another."""
    chain = Successors.of(dataset.columns("claims.csv", withdrawn=True), "claim_id")
    alive = set(dataset.columns("claims.csv")["claim_id"])
    found = {name: chain.living(name, alive) for name in (*chain.successor, *chain.predecessors)}
    return {name: living for name, living in found.items() if living}


def quoted_by(claim: Claim) -> str:
    """What the text is called in which a second-hand number was read; empty for any other number."""
    if claim.reading != "second-hand note":
        return ""
    # The note opens with what the text is; after the semicolon stands what is to be known of this number.
    return claim.printed_by or claim.note.partition(";")[0] or claim.locator


def outcome_page(outcome: Record) -> str:
    """The page of an analysis: its estimates with every choice, rows used and rows left out."""
    return f"analyses/{anchor(outcome['id'])}.html"


def finding_page(outcome: Record) -> str:
    """The page of a finding: its answer, and every table that has a section of its own there."""
    return f"findings/{anchor(outcome['id'])}.html"


def tables_of_finding(outcome: Record) -> list[Record]:
    """The result tables that stand on the page of a finding: those of a section, each once, that no figure shows.

    What is published stands there claim by claim, and pooled rows as a choice among them; neither is a table of it.
    """
    if outcome["kind"] != "finding" or outcome["id"] == "validation":
        return []
    drawn = {figure["id"] for figure in outcome["figures"]}
    apart = ("", "published", "explore")
    return [t for t in once(outcome["tables"]) if t["id"] not in drawn and t["section"] not in apart]


def once(tables: Sequence[Record]) -> list[Record]:
    """The tables without those that only repeat rows of an earlier one of the same section, such as shared caveats."""
    kept: list[Record] = []
    for table in tables:
        same = [t for t in kept if t["columns"] == table["columns"] and t["section"] == table["section"] == "care"]
        if not any(_holds(t, table) for t in same):
            kept.append(table)
    return kept


def _holds(table: Record, other: Record) -> bool:
    """Whether a table has every row of another one; as text, since a cell may be a label with values."""
    return {json.dumps(row) for row in other["rows"]} <= {json.dumps(row) for row in table["rows"]}


def table_page(outcome: Record, table: Record) -> str:
    """The page of a result table that is too long to stand whole on another page."""
    return f"tables/{anchor(outcome['id'])}--{anchor(table['id'])}.html"


def table_data(outcome: Record, table: Record) -> str:
    """The plain file that hands out a long table: of pooled rows that of their question, else one beside its page."""
    # The same pool stands in several findings; its file is theirs together.
    if table["section"] == "explore":
        return f"data/{table['id']}.csv"
    return table_page(outcome, table).removesuffix(".html") + ".csv"


def anchor(name: str) -> str:
    """An id as it may stand in an address: letters, digits, dots, dashes and underscores.

    >>> anchor("positive with engagement: <all>")
    'positive-with-engagement-all'
    """
    return _UNFIT.sub("-", name).strip("-") or "x"


_UNFIT = re.compile(r"[^\w.]+", re.ASCII)


def _row_pages(work: str, rows: Rows) -> Iterator[RowPage]:
    """The rows of a work on one page, or on a page a survey cycle, or on several of one cycle."""
    if len(rows) <= _LARGEST_ROW_PAGE:
        yield RowPage(f"rows/{work}.html", work, "", rows)
        return
    cycles: dict[str, list[int]] = {}
    for place, cycle in enumerate(rows.column("cycle")):
        cycles.setdefault(str(cycle), []).append(place)
    for cycle, places in sorted(cycles.items()):
        # Browsers lay a table of some thousand rows out for seconds, on phones for longer.
        for number, start in enumerate(range(0, len(places), _LARGEST_ROW_PAGE)):
            name = cycle + (f"-{number + 1}" if number else "")
            part = rows.pick(places[start : start + _LARGEST_ROW_PAGE])
            yield RowPage(f"rows/{work}-{anchor(name)}.html", work, name, part)


def _places(
    dataset: Dataset,
    tables: Mapping[str, Mapping[str, Rows]],
    outcomes: Sequence[Record],
    claims: Sequence[Claim],
    row_pages: Mapping[str, Sequence[RowPage]],
    menu: Menu,
) -> Iterator[tuple[str, str]]:
    for work in dataset.works:
        yield work, f"works/{work}.html"
    for claim in claims:
        yield claim.id, f"works/{claim.work}.html#{anchor(claim.id)}"
    yield from _origin_places(dataset, claims)
    for page in (page for pages in row_pages.values() for page in pages):
        for effect, sample in page.rows.cells(("effect_id", "sample_id")):
            place = f"{page.path}#{anchor(effect)}"
            yield from ((effect, place), (sample, place))
    for name, page_path, column in (
        ("directions.csv", "missing.html", "direction_id"),
        ("leads.csv", "missing.html", "lead_id"),
        ("screened.csv", "screening.html", "effect_id"),
    ):
        for item in (item for rows in tables[name].values() for item in rows.column(column)):
            yield item, f"{page_path}#{anchor(item)}"
    for trap in dataset.traps:
        yield f"trap:{trap.id}", f"traps.html#{anchor(trap.id)}"
    for outcome in outcomes:
        yield from _outcome_places(outcome)
    yield from ((f"page:{page.name}", page.path) for page in menu.pages)


def _origin_places(dataset: Dataset, claims: Sequence[Claim]) -> Iterator[tuple[str, str]]:
    """Where a second-hand number's text and a survey's recipe stand."""
    for claim in claims:
        if quoted_by(claim):
            yield f"quoted:{claim.id}", f"sources.html#quoted-{anchor(quoted_by(claim))}"
    for work in dataset.recipes:
        yield f"recipe:{work}", f"sources.html#recipe-{anchor(work)}"
    for name in dataset.common_notes:
        yield f"note:{name}", f"sources.html#note-{anchor(name)}"


def _outcome_places(outcome: Record) -> Iterator[tuple[str, str]]:
    name, page = outcome["id"], outcome_page(outcome)
    yield f"analysis:{name}", page
    drawn = {figure["id"] for figure in outcome["figures"]}
    on_finding = {table["id"] for table in tables_of_finding(outcome)}
    for kind in ("estimate", "table", "figure"):
        for item in outcome[f"{kind}s"]:
            own_page = f"figures/{anchor(name)}--{anchor(item['id'])}.html"
            target = own_page if kind == "figure" else f"{page}#{kind[0]}-{anchor(item['id'])}"
            if kind == "table" and item["id"] in drawn:  # a table that is drawn stands on its figure's page
                target = f"{own_page}#t-{anchor(item['id'])}"
            elif kind == "table" and item["id"] in on_finding:
                target = f"{finding_page(outcome)}#t-{anchor(item['id'])}"
            yield f"{kind}:{name}/{item['id']}", target
            yield f"{name}/{item['id']}", target
            yield item["id"], target
    yield name, page
