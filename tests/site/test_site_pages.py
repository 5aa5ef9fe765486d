"""The pages as files: whole, linked, escaped, small, the same twice, the same numbers in both languages."""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import math
import re
import zipfile
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas
import pytest

from replication import paths
from replication.analysis.release_difference import differing_rows_of
from replication.claims import claims_of
from replication.dataset.columns import Columns
from replication.errors import UserError
from replication.report.archive import make_archive
from replication.report.menu import make_menu
from replication.report.pages.analyses import MOST_LISTED
from replication.report.rows import Rows, rows_by_work
from replication.report.search import script_table
from replication.report.words import load_words
from replication.writing import differing_rows

PACKAGE = Path(__import__("replication").__file__).parent / "report"
ABSENT = ("drivers", "change", "prediction")  # sections a finding has only once its analysis is run
NUMBER = re.compile(r"[−-]?\d*\.?\d+")


@pytest.fixture(params=["small", "real"])
def report(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_every_link_leads_to_a_page_and_a_place_on_it(report: Any) -> None:
    parsed = {path: report.markup(path) for path in report.pages}
    broken = []
    for path, page in parsed.items():
        for address in [*page.addresses, *page.loaded]:
            if re.match(r"[a-z]+:", address):
                continue
            file, _, fragment = address.partition("#")
            file = file.partition("?")[0]  # what filters are set to
            target = (
                (report.folder / path).parent.joinpath(file).resolve() if file else (report.folder / path).resolve()
            )
            inside = target.relative_to(report.folder.resolve()).as_posix()
            places = parsed[inside].ids if inside in parsed else []
            if not target.exists() or (fragment and inside in parsed and fragment not in places):
                broken.append(f"{path} -> {address}")
    assert not broken, broken[:10]


def test_no_page_shows_a_template_that_nobody_filled(report: Any) -> None:
    """A word in braces, with or without a kind, is what sentences are made from, never what a reader sees."""
    unfilled = re.compile(r"\{[a-z_]+(?::[a-z_|]+)?\}")
    plain = {
        path: re.sub(r"<(code|script|style)\b.*?</\1>", "", report.text(path), flags=re.DOTALL) for path in report.pages
    }
    assert {path: unfilled.findall(text) for path, text in plain.items() if unfilled.search(text)} == {}


def test_names_of_files_and_columns_in_a_meaning_are_code_and_not_backticks(small: Any) -> None:
    for page in ("dataset.html", "codebook.html"):
        text = (small.folder / page).read_text(encoding="utf-8")
        assert "`" not in text, page
        assert "<code>effects.csv</code>" in text, page


def test_ids_are_unique_on_every_page(report: Any) -> None:
    for path in report.pages:
        ids = report.markup(path).ids
        twice = {name for name in ids if ids.count(name) > 1}
        assert not twice, (path, twice)


def test_no_page_loads_from_the_network_or_holds_inline_code(report: Any) -> None:
    menu = make_menu(paths.analyses_dir(), article=bool(report.dataset.statements))
    for path in report.pages:
        text, page = report.text(path), report.markup(path)
        assert "Content-Security-Policy" in text and "default-src 'none'" in html.unescape(text), path
        assert not [address for address in page.loaded if re.match(r"(https?:)?//", address)], path
        assert not [name for name in page.attributes if name.startswith("on") or name == "style"], path
        allowed = set(re.findall(r"'sha256-([^']+)'", html.unescape(text)))
        sheets = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        assert {b64encode(sha256(sheet.encode()).digest()).decode() for sheet in sheets} <= allowed, path
        # A sheet or a script that is waited for keeps a phone on a slow network from showing anything.
        assert len(sheets) == page.tags.count("style") >= 1, path
        assert 'rel="stylesheet"' not in text.partition("</footer>")[0], path
        # the rest of the sheet: within the pages a reader comes to first, once for all the others
        assert (len(sheets) == 2) == menu.is_named(path) == ("assets/site.css" not in text), path
        assert re.findall(r"<script(?! defer src=)", text) == [], path
        assert page.tags.count("h1") == 1, path


def test_every_page_leads_to_all_named_pages(small: Any) -> None:
    """Those below the named ones do so by the overview of their language, whose list needs no script."""
    menu = make_menu(paths.analyses_dir(), article=bool(small.dataset.statements))
    listed = {}
    for language in menu.languages:
        overview = menu.address("index.html", language)
        page, up = small.text(overview), "../" * overview.count("/")
        named = [f"{up}{menu.address(each.path, language)}" for each in menu.pages]
        listed[language] = overview
        assert re.findall(r'href="([^"]+)"', page.partition('<h2 id="pages">')[2].partition("</p>")[0]) == named
    for path in small.pages:
        text = small.text(path)
        language = "nb" if path.startswith("nb/") else "en"
        place = f'class="opens" href="{"../" * path.count("/")}{listed[language]}#pages"'
        assert (place in text, 'popovertarget="menu"' in text) == (not menu.is_named(path), menu.is_named(path)), path


def test_hostile_text_is_shown_as_text(small: Any) -> None:
    for path in [*small.pages, *(p.relative_to(small.folder).as_posix() for p in small.folder.rglob("*.svg"))]:
        text = small.text(path)
        assert "<script>document" not in text and "<img src=x" not in text, path
        assert 'href="javascript:' not in text, path
    assert "&lt;script&gt;document.title=" in small.text("works/beta2021.html")
    for script in ("assets/search-index.js", "assets/rows.js", "assets/rows-1.js"):
        assert "</script" not in small.text(script) and "<script" not in small.text(script)


def test_pages_are_small_and_so_is_the_whole(real: Any) -> None:
    """Each page carries the style of its first sight, which is counted once."""
    sheet = len((PACKAGE / "assets" / "first.css").read_bytes())
    assert sheet < 3_200
    for path in real.pages:
        assert (real.folder / path).stat().st_size - sheet < 300_000, path
    whole = sum(p.stat().st_size for p in real.folder.rglob("*") if p.is_file())
    assert whole - sheet * len(real.pages) < 15_000_000


def test_a_page_is_as_large_with_ten_times_the_rows_and_nothing_is_lost(
    small: Any, builder: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long tables stand on pages of their own, and ids are listed by page: no page grows with the data but those."""
    monkeypatch.setattr("replication.report.pdf.typesetter_is_there", lambda: False)

    def sized(k: int) -> Any:
        outcomes = deepcopy(small.outcomes)
        for outcome in outcomes:
            for table in outcome["tables"]:
                if table["id"].startswith("update-"):
                    table["rows"] = [[f"sample {i}", i / k, None, None] for i in range(k)]
                    table["links"] = table["links"][:1] * k
        return builder(tmp_path / str(k), outcomes, small.dataset)

    one, ten = sized(60), sized(600)
    for page in one.pages:
        grown = len(ten.text(page)) - len(one.text(page))
        assert grown < 100 or "tables/" in page, (page, grown)
    table = ten.text("tables/engagement--update-positive-engagement.html")
    assert [f"sample {i}<" in table for i in range(600)] == [True] * MOST_LISTED + [False] * 300
    assert "300 more rows are in the file" in table
    for page in (
        "tables/engagement--update-positive-engagement.html",
        "nb/tables/engagement--update-positive-engagement.html",
    ):
        assert 'tables/engagement--update-positive-engagement.csv" download' in ten.text(page)
    lines = ten.text("tables/engagement--update-positive-engagement.csv").splitlines()
    assert [line.partition(",")[0] for line in lines[1:]] == [f"sample {i}" for i in range(600)]
    assert "../tables/engagement--update-positive-engagement.html" in ten.text("findings/engagement.html")


def test_the_same_input_gives_the_same_bytes_but_for_the_stamp(
    small: Any, builder: Callable[..., Any], tmp_path: Path
) -> None:
    again = builder(tmp_path / "again", small.outcomes, small.dataset, run={"time": "2031-05-05T05:05:05Z"})
    names = [
        sorted(p.relative_to(r.folder) for r_ in [r] for p in r_.folder.rglob("*") if p.is_file())
        for r in (small, again)
    ]
    assert names[0] == names[1]
    differing = [str(n) for n in names[0] if (small.folder / n).read_bytes() != (again.folder / n).read_bytes()]
    assert differing == ["provenance.html", "run.json"]


@pytest.mark.parametrize("page", ["index.html", "article.html", "findings/engagement.html", "findings/mediation.html"])
def test_both_languages_hold_the_same_numbers(report: Any, page: str) -> None:
    english, norwegian = linked(report.text(page)), linked(report.text(f"nb/{page}"))
    assert len(english) == len(norwegian)
    for one, other in zip(english, norwegian, strict=True):
        assert one == other or normal(one, "en") == normal(other, "nb")
    if page == "index.html":
        assert len(english) > 3


def test_both_languages_draw_the_same_numbers(small: Any) -> None:
    drawn = list((small.folder / "figures" / "nb").glob("*.svg"))
    assert drawn
    for path in drawn:
        texts = [
            re.findall(r"<text[^>]*>([^<]*)</text>", p.read_text(encoding="utf-8"))
            for p in (path, path.parents[1] / path.name)
        ]
        assert normal(" ; ".join(texts[0]), "nb") == normal(" ; ".join(texts[1]), "en"), path.name


def test_norwegian_numbers_have_a_decimal_comma(small: Any) -> None:
    page = small.text("nb/findings/engagement.html")
    assert "0,31" in page and "−0,10" in page
    assert not re.search(r'class="n">[^<]*\d\.\d', page.replace(">.34<", "><"))


def linked(text: str) -> list[str]:
    """What is shown as the link of a number, in order."""
    shown = re.findall(r'class="n"[^>]*>(.*?)</a>', text, re.DOTALL)
    return [html.unescape(re.sub("<[^>]*>", " ", cell)) for cell in shown]


def normal(text: str, language: str) -> list[str]:
    text = html.unescape(text)
    if language == "nb":
        text = re.sub(r"(?<=\d),(?=\d)|(?<!\w),(?=\d)", ".", re.sub(r"(?<=\d)\u00a0(?=\d{3})", "", text))
    else:
        text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return [number.replace("−", "-").lstrip("0") or "0" for number in NUMBER.findall(text)]


def test_every_number_of_a_sentence_is_a_link(real: Any, small: Any) -> None:
    """On every page: what stands outside the links of a generated sentence holds no digit (but those of its words)."""
    places = r'<ul class="findings">(.*?)</ul>|<p class="(?:prose|generated|sure)">(.*?)</p>'
    marked = re.compile(places + r'|<div class="lead">\s*<p>(.*?)</p>', re.DOTALL)
    sentences = ["".join(groups) for r in (real, small) for p in r.pages for groups in marked.findall(r.text(p))]
    assert len(sentences) >= 5
    for sentence in sentences:
        left = re.sub(r"<a .*?</a>", "", sentence, flags=re.DOTALL)
        named = re.sub("101 in use|101 i bruk|all 114|alle 114", "", left)
        assert not re.search(r"\d", named), left


def test_a_number_leads_to_its_estimate_its_rows_and_where_they_were_read(small: Any) -> None:
    page = small.text("findings/engagement.html")
    assert '<a href="../analyses/engagement.html#e-main" class="n">0.31</a>' in page
    ledger = small.text("analyses/engagement.html")
    assert 'href="../rows/alpha2020.html#alpha2020-e1"' in ledger
    rows = small.text("rows/alpha2020.html")
    assert 'id="alpha2020-e1"' in rows and "https://example.org/a" in rows and "Table 2" in rows
    assert "it is turned" in ledger  # a row that is not used stands there with its reason


def test_templates_and_words_hold_no_digit() -> None:
    for path in sorted((PACKAGE / "templates").glob("*.html")):
        text = re.sub(
            r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>|&#?\w+;", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        assert not re.search(r"\d", text), (path.name, re.search(r".*\d.*", text))
    for language in ("en", "nb"):
        table = load_words(language).table
        for key, text in leaves({k: v for k, v in table.items() if k != "questions"}):
            # the name of a method may hold a digit (CR2, L0): its translation holds the same ones and no other; a sign
            # such as tau2 may be written as it is
            own, theirs = (re.findall(r"\d+", re.sub(r"\b(tau|I|chi)2", r"\1", part)) for part in (text, key))
            named = theirs if key.startswith((".of_data.", ".patterns_of_data.")) else []
            # The names of values and of methods in a label, and the numbers of the three intervals.
            label = re.sub(r"\{\w+|\b(CR2|L0|I2|tau2|log10)\b|\([123]\)", "", text) if ".labels." in key else ""
            assert (re.findall(r"\d+", label) if ".labels." in key else own) == named, (language, key, text)


def leaves(table: Any, key: str = "") -> list[tuple[str, str]]:
    if isinstance(table, dict):
        return [leaf for name, value in table.items() for leaf in leaves(value, f"{key}.{name}")]
    return [(key, table)]


def test_both_languages_have_every_sentence_with_the_same_values() -> None:
    english, norwegian = (dict(leaves(load_words(language).table["sentences"])) for language in ("en", "nb"))
    assert english.keys() == norwegian.keys()
    for key, template in english.items():
        names = [sorted(set(re.findall(r"\{(\w+)", text))) for text in (template, norwegian[key])]
        assert names[0] == names[1], key


def test_an_unknown_sentence_names_its_key_and_the_file(
    small: Any, builder: Callable[..., Any], tmp_path: Path
) -> None:
    outcome = {**small.outcomes[1], "sentences": [{"key": "finding.nonsense", "values": {}}]}
    with pytest.raises(UserError, match=r'"finding.nonsense" in analyses/locale/en.toml'):
        builder(tmp_path / "r", [outcome], small.dataset)


def test_a_missing_value_and_a_reference_to_nowhere_are_named(
    small: Any, builder: Callable[..., Any], tmp_path: Path
) -> None:
    said = {"key": "finding.driver", "section": "update"}
    outcome = {**small.outcomes[1], "sentences": [{**said, "values": {"question": "x"}}]}
    with pytest.raises(UserError, match=r'"finding\.driver" needs the value "sample"'):
        builder(tmp_path / "a", [outcome], small.dataset)
    lost = {"value": 0.1, "ref": {"kind": "estimate", "id": "no-such-id"}}
    values = {"question": "x", "sample": "s", "without": lost, "moved": lost}
    outcome = {**small.outcomes[1], "sentences": [{**said, "values": values}]}
    with pytest.raises(UserError, match='leads to estimate "no-such-id", which is nowhere'):
        builder(tmp_path / "b", [outcome], small.dataset)
    bare = {"question": "x", "sample": "s", "without": 0.1, "moved": 0.1}
    outcome = {**small.outcomes[1], "sentences": [{**said, "values": bare}]}
    with pytest.raises(UserError, match="a number without a reference"):
        builder(tmp_path / "c", [outcome], small.dataset)


def test_works_without_numbers_are_full_members(small: Any, real: Any) -> None:
    book = small.text("works/gamma2019.html")
    assert "No quantitative claim" in book and "That relationships matter." in book
    assert len([p for p in real.pages if p.startswith("works/")]) == len(real.dataset.works)
    for key in real.dataset.cited():
        assert f'href="works/{key}.html"' in real.text("works.html")


def test_every_trap_is_a_line_and_every_lead_has_a_place(real: Any) -> None:
    traps, missing = real.text("traps.html"), real.text("missing.html")
    for trap in real.dataset.traps:
        assert f'id="{trap.id}"' in traps and str(html.escape(trap.title, quote=False)) in html.unescape(traps)
    for name in ("directions.csv", "leads.csv"):
        for identifier in real.dataset.table(name).iloc[:, [0, 2]].to_numpy().ravel():
            if str(identifier).startswith(("lead-",)):
                assert f'id="{identifier}"' in missing
    for identifier in real.dataset.table("screened.csv")["effect_id"]:
        assert f'id="{identifier}"' in real.text("screening.html")


def test_second_hand_school_level_and_simulated_are_called_so(small: Any, real: Any) -> None:
    assert 'class="reading second"' in small.text("works/alpha2020.html")
    assert "the school, not the student" in real.text("rows/oecdpisa-2003.html")
    assert "Simulated data" in small.text("analyses/made-up.html")
    assert "Simulated data" in small.text("figures/made-up--new-forest.html")


def test_a_second_hand_number_leads_to_the_text_it_was_read_in(real: Any) -> None:
    """Not to the work, which nobody opened; the text is named on a page and in the bundle, with its numbers."""
    quoted = [claim for claim in claims_of(real.dataset) if claim.reading == "second-hand note"]
    assert len(quoted) >= 50
    sources = real.text("sources.html")
    for claim in quoted:
        row = re.search(rf'<tr id="{claim.id}">(.*?)</tr>', real.text(f"works/{claim.work}.html"), re.DOTALL)
        place = re.search(r'href="\.\./sources\.html#(quoted-[^"]+)"', row[1])  # type: ignore[index]
        assert place, claim.id
        section = sources.partition(f'id="{place[1]}"')[2].partition("</section>")[0]
        assert f'href="works/{claim.work}.html#{claim.id}"' in section, claim.id
    table = bundled(real, "second_hand.csv").splitlines()
    assert [line.partition(",")[0] for line in table[1:]] == [claim.id for claim in quoted]


def test_a_computed_row_leads_to_its_recipe_with_file_and_command(real: Any) -> None:
    sources = real.text("sources.html")
    for work, recipes in real.dataset.recipes.items():
        pages = [path for path in real.pages if re.fullmatch(rf"rows/{work}(-\w+)*\.html", path)]
        assert pages and all(f"sources.html#recipe-{work}" in real.text(path) for path in pages), work
        section = sources.partition(f'id="recipe-{work}"')[2].partition("</section>")[0]
        stored = json.loads(bundled(real, f"recipes/{work}.json"))
        for recipe, kept in zip(recipes, stored, strict=True):
            sample = recipe.sample.replace("{}", "COUNTRY")
            assert f"replication.study compute {sample} --file {recipe.file[0]}" in section
            assert recipe.verified in html.unescape(section) and kept["sample"] == recipe.sample
    assert bundled(real, "notes/krull2022.md").strip() == real.dataset.notes["krull2022"].strip()


def bundled(report: Any, name: str) -> str:
    """A file of the editor's bundle as text."""
    with zipfile.ZipFile(report.folder / "replication-bundle.zip") as bundle:
        return bundle.read(f"replication-bundle/{name}").decode()


def test_a_long_table_is_compressed_and_holds_the_same_for_pandas_releases_and_the_bundle(
    real: Any, small: Any
) -> None:
    packed, plain = real.folder / "data" / "effects.csv.gz", bundled(real, "data/effects.csv")
    assert gzip.decompress(packed.read_bytes()).decode() == plain
    rows = list(csv.DictReader(io.StringIO(plain)))
    found = pandas.read_csv(packed, low_memory=False)
    assert list(found["effect_id"]) == [row["effect_id"] for row in rows] == list(real.dataset.effects["effect_id"])
    assert list(differing_rows(real.folder / "none" / "effects.csv", real.folder / "data" / "effects.csv")[1]) == rows
    compared = differing_rows_of(real.folder / "none", real.folder / "data")[1]
    assert {f"effects.csv/{row['effect_id']}" for row in rows} <= compared.keys()
    page = real.text("dataset.html")
    assert 'href="data/effects.csv.gz"' in page and "a file that ends in .gz" in page.lower()
    assert "data/effects.csv" in small.text("dataset.html") and ".gz" not in small.text("dataset.html")


def test_a_table_for_a_script_holds_every_cell_column_by_column() -> None:
    rows = [["a", "x", 1.5, None, "s"], ["b", "x", 2, 3, "s"], ["c", "y", 1.5, None, "s"], ["d", "x", 0, 4, "s"]]
    coded = script_table(rows)
    texts, few = coded["columns"][0], coded["columns"][1]
    assert list(texts) == ["a", "b", "c", "d"] and few == {"of": ["x", "y"], "at": [0, 0, 1, 0]}
    assert coded["columns"][4] == {"same": "s"} and coded["k"] == 4

    def cell(column: Any, i: int) -> Any:
        if not isinstance(column, dict):
            return column[i]
        return column["of"][column["at"][i]] if "at" in column else column["same"]

    assert [[cell(column, i) for column in coded["columns"]] for i in range(4)] == rows
    assert script_table([]) == {"k": 0, "columns": []}


def test_draws_of_a_posterior_become_what_arviz_takes_by_the_two_lines_of_the_bundle(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arviz = pytest.importorskip("arviz")
    with zipfile.ZipFile(small.folder / "replication-bundle.zip") as bundle:
        bundle.extractall(tmp_path)
    monkeypatch.chdir(tmp_path / "replication-bundle")
    readme = Path("README.md").read_text(encoding="utf-8")
    assert "- `draws/made-up/made-up-draws.csv`: 2 quantities, 2 x 2 draws. drawn: made up\n" in readme
    lines = re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1]  # type: ignore[index]
    names: dict[str, Any] = {"pandas": pandas, "arviz": arviz}
    exec(lines.replace("ANALYSIS/NAME", "made-up/made-up-draws"), names)
    posterior = names["data"].posterior
    assert posterior["mean"].sel(chain=1, draw=0) == 3.5 and posterior["tau"].shape == (2, 2)
    assert arviz.summary(names["data"], kind="stats").loc["tau", "mean"] == 0.25


def test_rows_are_those_of_their_work_also_where_works_take_turns() -> None:
    table = Columns({"work": ["a", "b", "a"], "n": [1.0, math.nan, 2.5]}, frozenset({"n"}))
    found = rows_by_work(table)
    assert {work: list(rows) for work, rows in found.items()} == {
        "a": [{"work": "a", "n": 1}, {"work": "a", "n": 2.5}],
        "b": [{"work": "b", "n": None}],
    }
    whole = Rows.together(list(found.values()))
    assert whole.column("n") == [1, 2.5, None]
    assert whole[2] == {"work": "b", "n": None}
    assert list(whole[1:]) == list(whole)[1:]
    # Pages are made again when what they asked for is shown as another text.
    assert repr(found["a"]) == repr(rows_by_work(Columns({**table.cells}))["a"])
    assert repr(found["a"]) != repr(rows_by_work(Columns({**table.cells, "n": [1.0, math.nan, 2.6]}))["a"])
    assert list(Rows.together([])) == []


def test_every_row_of_the_dataset_stands_on_a_page(real: Any) -> None:
    pages = {p: real.markup(p).ids for p in real.pages if p.startswith("rows/")}
    shown = [name for ids in pages.values() for name in ids]
    assert set(real.dataset.effects["effect_id"]) <= set(shown)
    for claim in real.dataset.claims.to_dict("records"):
        assert f'id="{claim["claim_id"]}"' in real.text(f"works/{claim['work']}.html")


def test_a_statement_of_a_finding_that_has_no_page_is_refused(small: Any) -> None:
    """Its answer would be left out in silence: which findings there are stands in one table."""
    stray = small.dataset.statements[0].model_copy(update={"finding": "learning"})
    with pytest.raises(UserError, match=r'statements.toml, field statement .*: found "learning"; expected one of'):
        make_archive(replace(small.dataset, statements=(stray,)), (), {})


def test_a_long_list_of_works_is_paged_and_none_is_lost(
    small: Any, builder: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.report.pdf.typesetter_is_there", lambda: False)
    monkeypatch.setattr("replication.report.pages.works._ON_A_PAGE", 2)
    report = builder(tmp_path / "paged", small.outcomes[:1], small.dataset)
    for start in ("", "nb/"):
        pages = sorted(page for page in report.pages if re.fullmatch(rf"{start}works(-\d+)?\.html", page))
        assert len(pages) == -(-len(small.dataset.works) // 2) > 1
        named = [re.findall(r'<tr><th scope="row">.*?href="([^"]*)"', report.text(page)) for page in pages]
        assert max(map(len, named)) == 2
        listed = [Path(address).stem for addresses in named for address in addresses]
        assert sorted(listed) == sorted(small.dataset.works)
        assert 'aria-current="page">2</a>' in report.text(f"{start}works-2.html")
