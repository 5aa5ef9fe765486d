"""Norwegian pages are in Norwegian: what is not a quotation, a title or a record of the dataset holds no English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication import paths
from replication.analysis import Context, load_analysis, plain, run_analysis
from replication.dataset import Dataset
from replication.models.bayes.sampled.diagnostics import Gate, diagnose, judge
from replication.models.bayes.sampled.multilevel_data import multilevel_data
from replication.models.bayes.sampled.multilevel_model import parameter_labels
from replication.models.bayes.sampled.roles_simulated import simulated_truth
from replication.models.bayes.sampled.sampling import Draws
from replication.models.bayes.sampled.selection import selection_data
from replication.report.words import load_words
from tests.english import Page, english_words, is_of_the_dataset, labels_of, leaves, numbers_of, plain_words, share_of

LARGEST_SHARE = 0.02
FEWEST_WORDS = 25
"""A page of fewer words, such as that of a work of which nothing is held, has a share that says nothing."""
ENGLISH_ALONE = ("rows/", "codebook", "screening", "checklist", "changes", "errata", "provenance")
_TEXTS = (".csv", ".toml", ".md", ".bib")


@pytest.fixture(scope="module")
def records(dataset: Dataset) -> str:
    """Everything the dataset's files say, as words, and how its works are cited."""
    files = sorted(path for path in paths.data_dir().rglob("*") if path.suffix in _TEXTS)
    texts = [path.read_text(encoding="utf-8").replace('\\"', '"') for path in files]
    cited = [
        load_words("nb").cited(f"{r.short} {'; '.join(r.authors)} ({r.year}). doi.org/{r.doi}")
        for r in dataset.references.values()
    ]
    return plain_words(" ".join(texts + cited))


@pytest.fixture(scope="module")
def pages(real: Any) -> dict[str, Page]:
    """Every Norwegian page."""
    return norwegian(real.folder)


def norwegian(report: Path) -> dict[str, Page]:
    """The Norwegian pages of a report by their addresses below its folder."""
    return {path.relative_to(report / "nb").as_posix(): Page(path) for path in sorted((report / "nb").rglob("*.html"))}


def english_left(pages: Mapping[str, Page], dataset: Dataset) -> dict[str, list[str]]:
    """The pages with too much English, and the texts that hold it."""
    english = english_words()
    shares = {name: share_of(page.own, english, dataset) for name, page in pages.items()}
    many = {name for name, page in pages.items() if len(" ".join(page.own).split()) >= FEWEST_WORDS}
    return {name: holding for name, (share, holding) in shares.items() if share >= LARGEST_SHARE and name in many}


def made_and_marked(pages: Mapping[str, Page], records: str) -> dict[str, str]:
    """Texts marked as English that no record of the dataset holds, with a page of each."""
    return {text: name for name, page in pages.items() for text in page.marked if not is_of_the_dataset(text, records)}


def numbers_apart(report: Path, pages: Mapping[str, Page]) -> dict[str, tuple[Any, Any]]:
    """The pages whose numbers are not those of their English twin: what each has alone."""
    counts = {name: (numbers_of(Page(report / name, "en")), numbers_of(page)) for name, page in pages.items()}
    assert sum(english.total() for english, _ in counts.values()) > 10_000
    return {name: (english - own, own - english) for name, (english, own) in counts.items() if english != own}


def test_every_page_but_those_of_rows_and_files_has_a_norwegian_one(real: Any, pages: dict[str, Page]) -> None:
    own = {page for page in real.pages if not page.startswith((*ENGLISH_ALONE, "nb/"))}
    assert own == pages.keys() and len(own) > 150


def test_a_norwegian_page_holds_next_to_no_english(real: Any, pages: dict[str, Page]) -> None:
    assert english_left(pages, real.dataset) == {}


def test_only_what_the_dataset_says_is_marked_as_english(pages: dict[str, Page], records: str) -> None:
    """A sentence made by the report may not hide behind the mark of a quotation."""
    assert made_and_marked(pages, records) == {}


def test_the_same_numbers_stand_on_the_pages_of_both_languages(real: Any, pages: dict[str, Page]) -> None:
    assert numbers_apart(real.folder, pages) == {}


@pytest.mark.site_check
def test_the_stored_report_is_norwegian_to_its_last_page(dataset: Dataset, records: str) -> None:
    """The same of every analysis, which the quick report of the other tests does not hold."""
    folder = paths.reports_dir() / "latest"
    pages = norwegian(folder)
    if not pages:
        pytest.skip("no reports/latest: make report")
    assert english_left(pages, dataset) == {}
    assert made_and_marked(pages, records) == {}
    # A drawing names as many marks as have room, and words are longer in one language.
    assert numbers_apart(folder, {name: page for name, page in pages.items() if not name.startswith("figures/")}) == {}


def test_the_count_finds_an_english_sentence_in_a_page(real: Any, tmp_path: Path) -> None:
    planted = tmp_path / "planted.html"
    text = real.text("nb/findings/mediation.html")
    sentence = "The interval of the mean holds zero, so the answer hangs on what was left out."
    planted.write_text(text.replace("</h1>", f"</h1>{f'<p>{sentence}</p>' * 5}", 1), encoding="utf-8")
    share, holding = share_of(Page(planted).own, english_words(), real.dataset)
    assert share >= LARGEST_SHARE and any(sentence in found for found in holding)


def test_titles_heads_and_labels_of_findings_are_keys_of_both_languages(real: Any) -> None:
    """Only names of the dataset may stand in an outcome as they are; a wording of ours is found by its key."""
    worded = [load_words(language).table["labels"] for language in ("en", "nb")]
    findings = [outcome for outcome in real.outcomes if outcome["kind"] == "finding"]
    shown = [text for outcome in findings for text in shown_in(outcome)]
    keys = {text if isinstance(text, str) else text["key"] for text in shown}
    keys = {key for key in keys if not re.fullmatch(r"r\d\d", key)}  # paths of the reversed model, by their symbols
    assert len(keys) > 60
    assert sorted(key for key in keys if not all(key in labels for labels in worded)) == []


class MadeUp:
    """A store that has a made-up result for whatever is drawn, passed or failed: nothing is sampled."""

    def __init__(self, passed: bool) -> None:
        self.passed = passed

    def get(self, name: str, key: str) -> object:
        if name == "recovery-roles":
            rows = [[value, 0.1, 0.2, 0.1, 0.0, 0.4, "yes"] for value in simulated_truth().named()]
            return (
                {"rows": rows, "reasons": []} if self.passed else {"rows": [], "reasons": self.reasons("victim: age")}
            )
        names = parameters_of(name)
        drawn = dict.fromkeys(("mean", "sd", "low", "high", "mcse", "rhat", "ess_bulk", "ess_tail"), 0.1)
        quantities = [("mean", None), ("sd", None), ("quantile", 0.975)]
        return {
            "parameters": [{"name": one, **drawn} for one in names] * self.passed,
            "reasons": [] if self.passed else self.reasons(names[0]),
            "agreement": [
                {"parameter": one, "quantity": q, "exact": 0.1, "sampled": 0.1, "mcse": 0.01, "probability": p}
                for one in names
                for q, p in quantities
            ]
            * (self.passed and "levels" in name),
            "draws": None,
        }

    def reasons(self, name: str) -> object:
        """A parameter that fails, as the gate says it."""
        values = np.random.default_rng(1).normal(size=(4, 100)) + np.arange(4)[:, None]
        failed = judge((diagnose(name, values),), Draws({}, values, 3, 0), Gate())
        assert len(failed.reasons) == 4
        return plain([reason.text for reason in failed.reasons])

    def put(self, name: str, key: str, result: object) -> None:
        raise AssertionError(f"{name} was computed: the store has everything")


def parameters_of(name: str) -> list[str]:
    """The names of the parameters of a sampled model, as the model has them."""
    y, v = [0.1, 0.2, 0.3, 0.4], [0.01, 0.02, 0.01, 0.02]
    if name.endswith("selection"):
        return list(selection_data(y, v).parameter_labels({"intercept": "mean"}))
    if name.endswith("levels"):
        structure = "none" if "two" in name else "shared"
        return list(
            parameter_labels(multilevel_data(y, v, sample=[0, 0, 1, 1], structure=structure), {"intercept": "mean"})
        )
    cells = ["positive-engagement", "negative-engagement", "positive-achievement", "negative-achievement"]
    new = {"new samples": [0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]}
    data = multilevel_data(y * 2, v * 2, sample=[0, 0, 1, 1] * 2, cell=cells * 2, moderators=new)
    return list(parameter_labels(data, dict.fromkeys((*cells, *new), "mean")))


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("name", ["findings/sampling", "simulated/bullying_roles_simulated"])
def test_what_runs_with_sampling_alone_is_worded_by_key_too(dataset: Dataset, name: str, passed: bool) -> None:
    """The report of these tests has no such analysis, and most runs have none: its pages would go unread."""
    analysis = load_analysis(paths.analyses_dir() / f"{name}.py")
    outcome = json.loads(json.dumps(plain(run_analysis(analysis, Context(dataset, store=MadeUp(passed))))))
    texts = list(labels_of(outcome))
    assert len(texts) > 20 - 15 * (not passed)
    for language in ("en", "nb"):
        words = load_words(language)
        for text in texts:
            words.label(text)
            assert not isinstance(text, str) or text == "" or text in words.table["labels"] or text == "2024", text
    share, holding = share_of((load_words("nb").label(text) for text in texts), english_words(), dataset)
    assert share == 0.0, holding


def shown_in(outcome: Mapping[str, Any]) -> Iterator[Any]:
    """Titles, questions and reasons, heads and notes of tables and figures, labels and notes of estimates."""
    yield from (outcome["title"], outcome["question"], *(row["reason"] for row in outcome["exclusions"]))
    yield from (note for estimate in outcome["estimates"] for note in estimate["notes"])
    for table in outcome["tables"]:
        yield from (table["title"], *table["columns"], *filter(None, [table["note"]]))
    for figure in outcome["figures"]:
        yield from (figure["title"], *filter(None, [figure["note"]]))
    yield from (estimate["label"] for estimate in outcome["estimates"])


def test_a_generated_sentence_marked_as_english_is_found_out(records: str) -> None:
    assert is_of_the_dataset("Missing as zero in metaSEM 1.2.2.1", records)
    assert not is_of_the_dataset("the interval of the mean holds zero in most samples", records)


def test_figures_show_the_same_numbers_in_both_languages_with_a_decimal_comma(real: Any) -> None:
    drawn = sorted((real.folder / "figures/nb").glob("*.svg"))
    assert len(drawn) > 30
    for path in drawn:
        norwegian = re.findall(r">([^<]*\d[^<]*)</(?:text|tspan|title)>", path.read_text(encoding="utf-8"))
        assert numbers_of(Page(path)) == numbers_of(Page(real.folder / "figures" / path.name, "en")), path.name
        said = " ".join(norwegian).replace(real.dataset.version, "").replace("CC BY 4.0", "")
        assert re.findall(r"\S*\d\.\d\S*", said) == [], path.name


def test_a_link_from_a_norwegian_page_to_an_english_one_says_so(real: Any, pages: dict[str, Page]) -> None:
    silent = []
    for name in pages:
        up = "../" * (name.count("/") + 1)
        for tag, shown in re.findall(
            rf'(<a [^>]*href="{re.escape(up)}(?!nb/)[^"#?]+\.html[^>]*>)(.*?)</a>', real.text(f"nb/{name}"), re.S
        ):
            quiet = 'class="n"' in tag or f'"{up}rows/' in tag or 'class="language"' in tag
            if 'hreflang="en"' not in tag or not (quiet or "(engelsk)" in shown):
                silent.append((name, tag))
    assert silent == []
    assert "åpner engelske sider" in real.text("nb/works/roorda2011.html")


_ENGLISH_SMALL = re.compile(
    r"\b(?:the|and|with|from|is|are|was|were|which|this|that|not|these|than|has|have|by|as|or)\b"
)


def test_no_norwegian_text_of_the_locale_is_left_in_english() -> None:
    """The count above takes words of the Norwegian locale for Norwegian: it cannot see English that stands there."""
    assert _ENGLISH_SMALL.search("the mean") and not _ENGLISH_SMALL.search("gjennomsnittet i then, isen, andre")
    texts = [re.sub(r"\{[^}]*\}", "", text) for text in leaves(load_words("nb").table)]
    assert [text for text in texts if _ENGLISH_SMALL.search(text)] == []


@pytest.mark.parametrize("name", ["index", "works", "faq", "works/roorda2017", "works/krull2022", "claims", "methods"])
def test_numbers_of_norwegian_pages_have_a_decimal_comma(real: Any, pages: dict[str, Page], name: str) -> None:
    version = real.dataset.version
    plain = re.compile(rf"{re.escape(version)}|BY 4\.0|(?:avsnitt|versjon|metaSEM) [\d.]+")
    texts = [plain.sub("", text) for text in pages[f"{name}.html"].own]
    assert [text for text in texts if "." in "".join(numbers_in(text))] == []


def numbers_in(text: str) -> list[str]:
    """What looks like a decimal number: neither an ordinal nor part of an address or a version."""
    words = [word.strip("[]();:,«»") for word in text.split()]
    return [word for word in words if word.lstrip("-−+<").replace(".", "", 1).isdigit() and "." in word[:-1]]
