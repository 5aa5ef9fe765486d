"""A reader's own choice of pooled rows: the browser gives the package's numbers and says what they are worth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import replication
from replication.dataset import Dataset
from replication.errors import ModelError
from replication.evidence.plots import CHOICES, pooled_rows
from replication.evidence.question import Evidence, Question, evidence, sample_means
from replication.models.fit import Array
from replication.models.prediction import prediction_interval
from replication.models.two_level.random_effects import fit_random_effects

pytestmark = pytest.mark.browser

ASSETS = Path(replication.__file__).parent / "report" / "assets"
CLOSE = 1e-6
POOL = "rows => POOLING.pool(POOLING.samplesOf(rows, 0.6))"
SELECTIONS = (
    {},
    {"evidence": "published"},
    {"relationship": "negative"},
    {"informants": "same", "part_of_the_outcome": "emotional"},
    {"country": "Turkey"},
    {"country": "Netherlands"},
    {"measure_of_the_relationship": "one item", "country": "United States"},
    {"country": "Peru"},
    {"country": "Germany"},
)


@pytest.fixture
def calculator(chromium: Any) -> Iterator[Any]:
    page = chromium.new_page()
    page.add_script_tag(path=str(ASSETS / "pooling.js"))
    yield page
    page.close()


def by_package(y: Array, v: Array) -> dict[str, Any]:
    """What the package says of one value a sample, on r but for tau2."""
    fit = fit_random_effects(y, v, method="REML", test="knha")
    found = {"k": len(y), "r": np.tanh(fit.beta[0]), "interval": np.tanh(fit.interval()[0]).tolist()}
    if len(y) > 1:
        further = prediction_interval(fit)
        ends = np.tanh([further.low, further.high]).tolist()
        found |= {"further": ends, "tau2": fit.component("tau2").estimate, "I2": fit.heterogeneity.I2}
    return found


def assert_same(browser: dict[str, Any], package: dict[str, Any]) -> None:
    assert browser.keys() == package.keys()
    for name, value in package.items():
        scale = 100.0 if name == "I2" else 1.0  # per cent
        assert np.max(np.abs(np.subtract(browser[name], value))) < CLOSE * scale, (name, browser[name], value)


def of_table(found: Evidence) -> list[dict[str, Any]]:
    """The rows as the page hands them to the browser, from the table of the outcome."""
    table = pooled_rows(found)
    at = {name: table.columns.index(name) for name in ("sample_id", "sample", "n", "z", "variance_of_z")}
    names = ("sample", "label", "n", "z", "v")
    return [dict(zip(names, (row[i] for i in at.values()), strict=True)) for row in table.rows]


def test_the_browser_pools_a_choice_as_the_package_does(calculator: Any, dataset: Dataset) -> None:
    whole = evidence(dataset, Question("q", "q", ("positive", "negative", "relationship"), "engagement"), "pool")
    table = pooled_rows(whole)
    sizes = set()
    for selection in SELECTIONS:
        cells = {name: np.array([row[table.columns.index(name)] for row in table.rows]) for name in CHOICES}
        mask = np.ones(len(whole.y), dtype=bool)
        for name, value in selection.items():
            mask &= cells[name] == value
        chosen = whole.take(mask)
        means = sample_means(chosen)
        sizes.add(len(means.y))
        assert_same(calculator.evaluate(POOL, of_table(chosen)), by_package(means.y, means.v))
    assert {1, 2, len(set(whole.samples))} <= sizes


def test_the_browser_pools_odd_numbers_as_the_package_does(calculator: Any) -> None:
    rng = np.random.default_rng(20261128)
    boundary = 0
    for k in (2, 2, 3, 4, 5, 8, 13, 30, 61, 120):
        for spread in (0.0, 0.05, 0.3):
            v = 10.0 ** rng.uniform(-4.0, -0.8, k)
            y = rng.normal(0.3, spread, k) + rng.normal(0.0, np.sqrt(v))
            rows = [{"sample": i, "n": 10, "z": a, "v": b} for i, (a, b) in enumerate(zip(y, v, strict=True))]
            package = by_package(y, v)
            boundary += package["tau2"] == 0.0
            assert_same(calculator.evaluate(POOL, rows), package)
    assert boundary > 5  # tau2 on its boundary was tried as well


def test_no_row_and_equal_rows_are_answered(calculator: Any) -> None:
    assert calculator.evaluate(POOL, []) == {"k": 0}
    with pytest.raises(ModelError):
        fit_random_effects([], [])
    same = [{"sample": i, "n": 10, "z": 0.3, "v": 0.01} for i in range(3)]
    found = calculator.evaluate(POOL, same)
    assert found["tau2"] == 0 and found["interval"] == pytest.approx([np.tanh(0.3)] * 2)


class Explored:
    """The choice on the page of a finding."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.page = browser.new_context(viewport={"width": 360, "height": 800}, **options).new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(address)
        self.page.evaluate("document.querySelector('[data-pool]').closest('details')?.setAttribute('open', '')")

    @property
    def result(self) -> dict[str, Any]:
        self.page.wait_for_selector("[data-pool] output p")
        return json.loads(self.page.get_attribute("[data-pool] output", "data-result"))  # type: ignore[no-any-return]

    @property
    def words(self) -> str:
        return str(self.page.inner_text("[data-pool] output"))

    def choose(self, name: str, value: str) -> None:
        self.page.select_option(f"[data-pool] select[name='{name}']", value)


def address_of(report: Any, query: str = "", folder: str = "") -> str:
    return f"file://{report.folder}/{folder}findings/engagement.html{query}"


def test_a_choice_stands_in_the_address_and_comes_back_from_it(chromium: Any, small: Any) -> None:
    shown = Explored(chromium, address_of(small, "#explore"))
    assert shown.result["k"] == 3
    shown.choose("country", "Norway")
    shown.choose("evidence", "published")
    assert shown.page.url.endswith("?evidence=published&country=Norway#explore")
    again = Explored(chromium, shown.page.url)
    assert again.result == shown.result and again.result["k"] == 1
    again.page.click("[data-pool] button[type=reset]")
    assert again.result["k"] == 3 and "?" not in again.page.url
    unknown = Explored(chromium, address_of(small, "?country=-&evidence=nonsense&other=kept"))
    assert unknown.result["k"] == 1 and "other=kept" in unknown.page.url
    assert shown.said == again.said == unknown.said == []
    assert unknown.page.title() != "owned"


def test_few_samples_are_said_in_words(chromium: Any, small: Any) -> None:
    shown = Explored(chromium, address_of(small))
    assert "3 samples, 4 rows, 1,410 students" in shown.words and "further sample" in shown.words
    shown.choose("evidence", "open")
    assert shown.words.startswith("Two samples can hardly be pooled")
    shown.choose("country", "Turkey")
    assert shown.words.startswith("One sample: there is nothing to pool. Its r is 0.410")
    shown.choose("evidence", "published")
    assert shown.words == "No pooled row fits this choice."


def test_the_keyboard_chooses_and_norwegian_has_its_comma(chromium: Any, small: Any) -> None:
    shown = Explored(chromium, address_of(small, folder="nb/"))
    before = shown.result
    shown.page.focus("[data-pool] select[name=country]")
    shown.page.keyboard.press("ArrowDown")
    assert shown.result != before and "Ett utvalg" in shown.words and ",2" in shown.words
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_what_leaves_no_choice_is_not_offered(chromium: Any, small: Any) -> None:
    shown = Explored(chromium, address_of(small))
    assert shown.result["k"] == 3
    assert shown.page.is_hidden("[data-pool] select[name=question]")
    assert shown.page.is_visible("[data-pool] select[name=country]")


def test_without_scripts_the_page_says_so_and_leads_to_the_rows(chromium: Any, small: Any) -> None:
    shown = Explored(chromium, address_of(small), java_script_enabled=False)
    assert shown.page.is_visible("text=Choosing rows needs JavaScript")
    link = shown.page.get_attribute("#explore .links a", "href")
    lines = (small.folder / "findings" / str(link)).resolve().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("effect_id,sample id,sample,evidence") and len(lines) == 5
