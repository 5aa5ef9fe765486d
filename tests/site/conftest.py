"""Two reports to test: one of an invented dataset with hostile text and every figure, one of the real dataset."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from replication import paths
from replication.analysis import (
    About,
    Context,
    Draws,
    Estimate,
    Figure,
    Outcome,
    Ref,
    Sentence,
    Table,
    analysis_files,
    load_analysis,
    numbers,
    placed,
    plain,
    refs,
    run_analysis,
)
from replication.claims import Checked, Missing, Recomputed, claims_of, judge
from replication.dataset import Dataset, load_dataset
from replication.dataset.selection import Exclusion
from replication.report import build_report

HOSTILE = "<script>document.title='owned'</script> & \"quotes\" <img src=x onerror=alert(1)>"
DRAWN = {"tau": (0.1, 0.2, 0.3, 0.4), "mean": (1.25, 2.5, 3.5, 4.5)}
RUN = {
    "time": "2024-01-01T00:00:00Z",
    "commit_date": "2023-12-30",
    "dataset_version": "1.0.0",
    "dataset_digest": "abc",
    "seed": 2024,
}
REAL = ("roorda2011", "roorda2017", "jakcheung2018", "mediation", "validation")
WORK = 'key = "{0}"\nkind = "{1}"\nrole = "{2}"\nsetting = "school"\nquantitative = "{3}"\n{4}\n'
BIB = "@article{{{0},\n  author = {{Invented, Ida}},\n  title = {{{1}}},\n  year = {{2020}}\n}}\n"
SAMPLES = (
    "sample_id,label,n,unit,country,since\n{0}_s1,Alpha,120,student,Norway,1.0.0\n{0}_s2,Beta,90,student,Norway,1.0.0\n"
)
EFFECTS = (
    "effect_id,sample_id,var_a,var_b,statistic,value,n,source,locator,reading,since\n"
    "{0}-e1,{0}_s1,positive,engagement,r,.35,120,https://example.org/a,Table 2,table,1.0.0\n"
    "{0}-e2,{0}_s2,positive,engagement,r,-.20,90,javascript:alert(1),<b>page</b>,table,1.0.0\n"
)
CLAIMS = (
    "claim_id,quantity,subgroup,statistic,printed,ci_low,ci_high,k,n,locator,reading,since\n"
    "alpha2020-001,pooled correlation: positive relationship with engagement,all,r,.34,.20,.48,2,,text,text,1.0.0\n"
    "alpha2020-002,pooled correlation: negative relationship with engagement,all,r,-.30,,,2,,abstract,abstract,1.0.0\n"
    "alpha2020-003,pooled correlation: x,all,r,.11,,,2,,note,second-hand note,1.0.0\n"
    "alpha2020-004,number of studies,all,k,12,,,12,,abstract,abstract,1.0.0\n"
    'alpha2020-005,number of students,all,n,"29,438",,,,,abstract,abstract,1.0.0\n'
)
DIRECTIONS = (
    "direction_id,association,predictor_construct,outcome_domain,direction,level,where_to_find,reading,since\n"
    "beta2021-d1,conflict with bullying,tsr_negative,bullying_perpetration,+,student,Table 3,abstract,1.0.0\n"
)


POOLED = Table(
    id="pooled-rows-quality-engagement",
    title="relationship quality with engagement: every pooled row",
    kind="pooled-rows",
    about=About("quality-engagement", "relationship quality with engagement"),
    columns=("sample id", "sample", "evidence", "country", "n", "r", "z", "variance of z", "rho"),
    rows=(
        ("alpha2020_s1", "Alpha", "published", "Norway", 120.0, 0.354, 0.37, 0.0085, 0.6),
        ("alpha2020_s1", "Alpha", "published", "Norway", 120.0, 0.2, 0.203, 0.0085, 0.6),
        ("alpha2020_s2", HOSTILE, "open", "", 90.0, -0.2, -0.203, 0.0115, 0.6),
        ("c", "Gamma", "open", "Turkey", 1200.0, 0.41, 0.436, 0.00083, 0.6),
    ),
    links=refs("row", ["alpha2020-e1", "alpha2020-e3", "alpha2020-e2", "c-e1"]),
)
"""Pooled rows that readers may choose among: three samples, one of them of unknown country."""


class Markup(HTMLParser):
    """Ids, addresses, what is loaded, and the attributes and tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.loaded: list[str] = []
        self.attributes: set[str] = set()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes |= found.keys()
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found["href"]] if tag == "a" and "href" in found else []
        self.loaded += [found[name] for name in ("src", "srcset") if name in found]
        self.loaded += [found["href"]] if tag == "link" and found.get("rel") != "alternate" else []


@cache
def parsed(path: Path) -> Markup:
    markup = Markup()
    markup.feed(path.read_text(encoding="utf-8"))
    return markup


@dataclass(frozen=True)
class Report:
    """A built report and what it was built from."""

    folder: Path
    outcomes: Sequence[Mapping[str, Any]]
    dataset: Dataset

    def text(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def markup(self, path: str) -> Markup:
        return parsed(self.folder / path)

    @property
    def pages(self) -> list[str]:
        return sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.html"))


def build(folder: Path, outcomes: Sequence[Mapping[str, Any]], dataset: Dataset, **more: Any) -> Report:
    """Build a report the way a run does."""
    run = {**RUN, **more.pop("run", {})}
    build_report(folder, outcomes, dataset, run, **more)
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return Report(folder, outcomes, dataset)


def built_once(
    factory: pytest.TempPathFactory, name: str, outcomes: Callable[[], Sequence[Mapping[str, Any]]], dataset: Dataset
) -> Report:
    """A report that is built once a run: of several workers the first builds it, and the others wait for it.

    No test writes into it; those that must change a report build one of their own.
    """
    base = factory.getbasetemp()
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / name
    root.mkdir(exist_ok=True)
    whole = root / "outcomes.json"
    with FileLock(root / "lock"):
        if not whole.exists():
            found = outcomes()
            build(root / "latest", found, dataset)
            whole.write_text(json.dumps(found), encoding="utf-8")
    return Report(root / "latest", json.loads(whole.read_text(encoding="utf-8")), dataset)


@pytest.fixture(scope="session")
def builder() -> Callable[..., Report]:
    """Build a report the way a run does."""
    return build


@pytest.fixture(scope="session")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A small dataset whose titles and cells try to break out of the page."""
    root, real = tmp_path_factory.mktemp("data") / "references", paths.data_dir()
    (root / "article").mkdir(parents=True)
    for name in ("vocabulary.toml", "traps.toml", "article/statements.toml", "article/corrections.toml"):
        text = (real / name).read_text(encoding="utf-8")
        (root / name).write_text(re.sub(r"works = \[[^\]]*\]", "works = []", text), encoding="utf-8")
    (root / "VERSION").write_text("1.0.0\n", encoding="utf-8")
    works = {
        "alpha2020": ("meta_analysis", "cited", "yes", ""),
        "beta2021": ("primary_study", "primary", "unknown", f"missing = {json.dumps(HOSTILE)}"),
        "gamma2019": ("book", "cited", "no", 'argues = "That relationships matter."'),
    }
    bib = ""
    for key, (kind, role, quantitative, rest) in works.items():
        (root / key).mkdir()
        (root / key / "work.toml").write_text(WORK.format(key, kind, role, quantitative, rest), encoding="utf-8")
        bib += BIB.format(key, HOSTILE if key == "beta2021" else f"An invented study, {key}")
    (root / "references.bib").write_text(bib, encoding="utf-8")
    (root / "alpha2020" / "samples.csv").write_text(SAMPLES.format("alpha2020"), encoding="utf-8")
    (root / "alpha2020" / "effects.csv").write_text(EFFECTS.format("alpha2020"), encoding="utf-8")
    (root / "alpha2020" / "claims.csv").write_text(CLAIMS, encoding="utf-8")
    (root / "beta2021" / "directions.csv").write_text(DIRECTIONS, encoding="utf-8")
    (root / "beta2021" / "NOTES.md").write_text(f"# beta2021\n\n- {HOSTILE}\n- see alpha2020-001", encoding="utf-8")
    return load_dataset(root)


@pytest.fixture(scope="session")
def outcomes(invented: Dataset, figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """A reproduction with every verdict, a finding with every figure, and something simulated."""
    answers = [
        Recomputed(0.338, 0.21, 0.47),
        Recomputed(-0.25, estimate="main"),
        None,
        Missing("the table"),
        Checked(1, 2, "h"),
        None,  # the claim of beta2021 is a bare direction
    ]
    checks = tuple(judge(c, a, {}) for c, a in zip(claims_of(invented), answers, strict=True))
    rows = ("alpha2020-e1", "alpha2020-e2")
    main = Estimate(
        id="main",
        label=f"pooled {HOSTILE}",
        metric="r",
        value=0.3123,
        low=0.2,
        high=0.41,
        k=2,
        samples=2,
        n=210,
        rows=rows,
        prediction_low=-0.1,
        prediction_high=0.6,
        tau2=0.021,
        method={"tau2": "REML", "test": "knha"},
    )
    shown = {"without": 0.3123, "moved": -0.1}
    said = {"question": "positive-engagement", "sample": "Alpha", **numbers(shown, Ref("estimate", "main"))}
    update = Table(
        id="update-positive-engagement",
        title="positive relationship with engagement: what the update moves",
        kind="update",
        about=About("positive-engagement", "positive relationship with engagement"),
        columns=("evidence", "r", "low", "high"),
        rows=(("both together", 0.3123, 0.2, 0.41), ("new samples", 1234.5, None, None)),
        links=refs("estimate", ["main", "main"]),
    )
    published = Table(
        id="published-positive-engagement",
        title="What is published",
        kind="published",
        about=About("positive-engagement", "positive relationship with engagement"),
        columns=("work", "printed"),
        rows=(("alpha2020", ".34"),),
        links=refs("claim", ["alpha2020-001"]),
    )
    shared = {"question": "Does it?", "digest": "d", "exclusions": (Exclusion("alpha2020-e2", "it is turned"),)}
    found = (
        Outcome(
            id="alpha2020",
            kind="reproduction",
            title="Alpha",
            checks=checks,
            estimates=(main,),
            tables=(),
            figures=tuple(figures[:1]),
            sentences=(),
            **shared,
        ),
        Outcome(
            id="engagement",
            kind="finding",
            title="Relationships and engagement",
            checks=(),
            estimates=placed("known", [main]),
            tables=(*placed("update", [update]), *placed("published", [published]), *placed("explore", [POOLED])),
            figures=(*placed("bodies", figures[:1]), *placed("more", figures[1:])),
            sentences=(Sentence("finding.driver", said, "update"),),
            **shared,
        ),
        Outcome(
            id="made-up",
            kind="simulated",
            title="Made up",
            checks=(),
            estimates=(main,),
            tables=(),
            figures=tuple(figures[:1]),
            sentences=(),
            draws=(Draws(id="made-up-draws", chains=2, columns=DRAWN, method={"drawn": "made up"}),),
            **shared,
        ),
    )
    return [plain(outcome) for outcome in found]  # type: ignore[misc]


def _curve(n: int) -> list[float]:
    return [i / n for i in range(n)]


@pytest.fixture(scope="session")
def figures() -> list[Figure]:
    """One figure of every kind, and one of a kind nobody draws."""
    labels = ["Alpha 2020, grade 8", f"Beta {HOSTILE}", "A long name of a sample that does not fit on any line at all"]
    intervals = {"label": labels, "value": [0.3, -0.2, None], "low": [0.1, -0.4, None], "high": [0.5, 0.02, None]}
    rows = {"row": ["alpha2020-e1", "alpha2020-e2", "nowhere"]}
    whole = {
        "metric": "r",
        "summary": 0.22,
        "summary_low": 0.1,
        "summary_high": 0.35,
        "prediction_low": -0.3,
        "prediction_high": 0.7,
        "estimate": "main",
        "samples": 3,
        "persons": 1234.0,
    }
    columns: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "forest": (
            {
                **intervals,
                **rows,
                "weight": [50.0, 30.0, 20.0],
                "cluster": ["A", "A", "B"],
                "level": ["", "cluster", ""],
                "new": [False, True, False],
            },
            whole,
        ),
        "leave_one_out": ({**intervals, **rows}, whole),
        "caterpillar": ({**intervals, **rows}, whole),
        "cumulative": ({**intervals, **rows}, whole),
        "orchard": (
            {
                "label": [*labels, "mean"],
                "group": ["A", "A", f"B {HOSTILE}", "A"],
                "role": ["effect", "effect", "effect", "summary"],
                "value": [0.3, -0.2, None, 0.1],
                "weight": [50.0, 30.0, 20.0, None],
                "low": [None, None, None, 0.0],
                "high": [None, None, None, 0.2],
                "prediction_low": [None, None, None, -0.3],
                "prediction_high": [None, None, None, 0.5],
            },
            {"metric": "r"},
        ),
        "countries": (
            {
                "label": labels,
                "group": ["Norway", "Norway", f"unknown {HOSTILE}"],
                "known": ["yes", "yes", "no"],
                "value": [0.3, -0.2, None],
                "weight": [50.0, 30.0, 20.0],
                "new": ["yes", "no", "no"],
                **rows,
            },
            whole,
        ),
        "bias_comparison": ({**intervals, "group": ["x", "x", "y"]}, whole),
        "agreement": ({**intervals, "estimate": ["main", "main", ""]}, {"metric": "r"}),
        "prior_sensitivity": (intervals, {"metric": "r"}),
        "funnel": (
            {
                "label": labels,
                "value": [0.3, -0.2, 0.1],
                "se": [0.1, 0.2, 0.05],
                **rows,
                "imputed": [False, False, True],
            },
            {"metric": "z", "center": 0.2, "line_intercept": 0.1, "line_slope": 0.8},
        ),
        "baujat": ({"label": labels, "x": [1.0, 4.0, 0.2], "y": [0.1, 0.9, 0.3], **rows}, {}),
        "specification_curve": (
            {
                "value": _curve(300),
                "low": _curve(300),
                "high": _curve(300),
                "adjusted": [i % 7 == 0 for i in range(300)],
                "evidence": [("old", "new")[i % 2] for i in range(300)],
                "estimator": [("REML", "DL", "PM")[i // 100] for i in range(300)],
            },
            {"metric": "r", "summary": 0.2},
        ),
        "density": (
            {"curve": ["prior"] * 20 + ["posterior"] * 20, "x": _curve(20) * 2, "y": _curve(40)},
            {"metric": "r", "low": 0.2, "high": 0.5},
        ),
        "p_curve": (
            {
                "p": [0.01, 0.02, 0.03, 0.04, 0.05],
                "observed": [0.5, 0.2, 0.1, 0.1, 0.1],
                "flat": [0.2] * 5,
                "low_power": [0.3, 0.25, 0.2, 0.15, 0.1],
            },
            {},
        ),
        "path_diagram": (
            {
                "from": ["positive", "negative", "engagement", "positive", "positive"],
                "to": ["engagement", "engagement", "achievement", "achievement", "negative"],
                "value": [0.3, -0.2, 0.4, 0.1, -0.5],
                "low": [0.1] * 5,
                "high": [0.5] * 5,
                "kind": ["path"] * 4 + ["covariance"],
                "estimate": ["main"] * 5,
            },
            {},
        ),
        "effect_direction": (
            {
                "label": [f"beta2021: {x}" for x in labels],
                "outcome": ["bullying_perpetration", "peer_victimization", "other"],
                "direction": ["+", "-", "?"],
                "expected": ["no", "yes", "not stated"],
                "wanted": ["no", "yes", ""],
                "row": ["beta2021-d1", "", ""],
            },
            {},
        ),
        "calibration": ({"label": labels, "distance": [0.4, -2.7, None], **rows}, {}),
        "relation": (
            {
                "label": ["Alpha", "Alpha", f"curve {HOSTILE}", f"curve {HOSTILE}"],
                "x": [0.1, 0.4, 0.0, 1.0],
                "y": [0.2, 0.3, 0.1, 0.5],
                "role": ["point", "point", "line", "line"],
            },
            {},
        ),
        "certainty_strip": (
            {
                "domain": ["risk of bias", "inconsistency", f"imprecision {HOSTILE}"],
                "step": [-2.0, 0.0, -1.0],
                "reason": ["the same student answers on both sides in most rows of all samples", "", "few countries"],
            },
            {"start": 4, "certainty": "very_low"},
        ),
        "flow_diagram": (
            {
                "role": ["main", "out", "out", "main", "main"],
                "label": [
                    "rows found",
                    "another unit",
                    f"a beta {HOSTILE} with a reason that takes lines",
                    "met",
                    "used",
                ],
                "count": [1234.0, 30.0, 4.0, 1200.0, 1200.0],
            },
            {},
        ),
        "verdict_strip": (
            {
                "label": ["Alpha"] * 3,
                "work": ["alpha2020"] * 3,
                "row": ["alpha2020-001", "alpha2020-002", "alpha2020-003"],
                "verdict": ["MATCH", "DIFFERS", "CONSISTENT"],
                "distance": [0.3, -240.0, 5.0],
            },
            {},
        ),
        "sculpture": ({"label": labels, "value": [1, 2, None]}, {}),
    }
    return [
        Figure(id=f"new-{k}", kind=k, title=f"A {k} {HOSTILE}", columns=c, settings=s) for k, (c, s) in columns.items()
    ]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, invented: Dataset, outcomes: list[dict[str, Any]]) -> Report:
    """The report of the invented dataset."""
    return built_once(tmp_path_factory, "small", lambda: outcomes, invented)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Report:
    """The report of the real dataset with the quick analyses."""

    def outcomes() -> list[dict[str, Any]]:
        files = analysis_files(paths.analyses_dir(), paths.data_dir())
        return [
            plain(replace(run_analysis(load_analysis(files[n]), Context(dataset)), digest=n))
            for n in REAL
            if n in files
        ]  # type: ignore[misc]

    return built_once(tmp_path_factory, "real", outcomes, dataset)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's chromium; the test is skipped with the reason where it is not installed."""
    place = shutil.which("chromium")
    if place is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=flags)
        yield browser
        browser.close()
