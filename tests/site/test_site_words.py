"""Numbers and words: one rule a kind, in both languages."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from babel.numbers import format_decimal
from markupsafe import escape

from replication import paths
from replication.analysis.outcome import Label, of, plain, several, within
from replication.dataset import Dataset
from replication.errors import UserError
from replication.models.fit import Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.two_level.random_effects import fit_random_effects
from replication.report.cells import column_kind
from replication.report.figures.drawing import KINDS
from replication.report.numbers import Numerals
from replication.report.view import plain_prose, prose, web_address
from replication.report.words import load_words, worded
from replication.stored import outcome_paths, read_outcome

EN, NB = Numerals("en"), Numerals("nb")


@pytest.mark.parametrize(
    ("value", "kind", "english", "norwegian"),
    [
        (-0.3251, "r", "−0.33", "−0,33"),
        (0.30, "r", "0.30", "0,30"),
        (-0.0001, "fine", "−0.000100", "−0,000100"),
        (0.0, "r", "0.00", "0,00"),
        (-1e-20, "measure", "−1.00e−20", "−1,00e−20"),
        (88417, "count", "88,417", "88\u00a0417"),
        (1234.0, "count", "1,234", "1\u00a0234"),
        (2011, "year", "2011", "2011"),
        (93.48, "percent", "93%", "93\u00a0%"),
        (0.95, "share", "95%", "95\u00a0%"),
        (4.4e-7, "p", "<\u00a00.001", "<\u00a00,001"),
        (0.0432, "p", "0.043", "0,043"),
        (0.4, "p", "0.40", "0,40"),
        (0.0389, "measure", "0.0389", "0,0389"),
        (12345.678, "measure", "12,346", "12\u00a0346"),
        (0.041, "signed", "+0.041", "+0,041"),
        (None, "r", "–", "–"),
        (float("nan"), "r", "–", "–"),
        (float("inf"), "count", "–", "–"),
    ],
)
def test_numbers_are_written_as_each_language_does(
    value: float | None, kind: str, english: str, norwegian: str
) -> None:
    assert EN.show(value, kind) == english
    assert NB.show(value, kind) == norwegian


@pytest.mark.parametrize("language", ["en", "nb"])
def test_groups_and_decimals_are_those_of_the_locale(language: str) -> None:
    numerals, wrong = Numerals(language), []
    for size in range(15):
        for value in (10**size, -(10**size) - 1, 7 * 10**size + 0.25):
            digits = f"{value:.2f}" if isinstance(value, float) else str(value)
            # Babel groups four digits before decimals; we do not, as a measure reads worse with a gap in it.
            grouped = not (isinstance(value, float) and len(digits.partition(".")[0]) == 4)
            expected = format_decimal(
                Decimal(digits), locale=language, decimal_quantization=False, group_separator=grouped
            )
            shown = numerals.fixed(value, 2 if isinstance(value, float) else 0)
            if shown != expected.replace("-", "−"):
                wrong.append((digits, expected, shown))
    assert wrong == []


def test_intervals_use_a_separator_that_is_no_decimal_sign() -> None:
    assert EN.between(-0.1, 0.25, "r") == "[−0.10, 0.25]"
    assert NB.between(-0.1, 0.25, "r") == "[−0,10; 0,25]"
    assert EN.between(None, 0.25, "r") == ""


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("r", [0.3, -0.21, None], "fine"),
        ("n", [12, 88417.0], "count"),
        ("p_of_equality", [0.2, 0.0001], "p"),
        ("tau2", [0.0001, 0.02], "measure"),
        ("chi-square", [1042.7, 0.5], "measure"),
        ("label", ["a", "b"], ""),
        ("mixed", ["a", 0.1], ""),
        ("none", [None], ""),
    ],
)
def test_a_column_is_written_by_one_rule(name: str, cells: list[object], kind: str) -> None:
    assert column_kind(name, cells) == kind


def test_counted_words_agree_with_their_number() -> None:
    words = load_words("en")
    values = {"works": 1, "favour": 1.0, "p": 0.5}
    assert "Of 1\u00a0work whose" in words.sentence("bullying.directions", values)
    assert "Of 4\u00a0works whose" in words.sentence("bullying.directions", {**values, "works": 4})


def test_texts_of_the_dataset_are_translated_whole_by_pattern_and_by_part() -> None:
    nb = load_words("nb")
    assert nb.of_data("positive relationship with engagement: sample 12") == (
        "positiv relasjon og engasjement: utvalg 12"
    )
    assert nb.of_data("share of girls; no effect, .34") == "andel jenter; ingen sammenheng, ,34"
    assert nb.of_data("A title nobody translated") == "A title nobody translated"


def test_a_label_is_worded_by_its_key_in_each_language() -> None:
    title = plain(of("engagement", within("three_intervals", Label("stronger_than", {"r": 0.1}))))
    assert load_words("en").label(title) == "engagement: three intervals, P(stronger than 0.1)"
    assert load_words("nb").label(title) == "engasjement: tre intervaller, P(sterkere enn 0,1)"
    assert load_words("nb").label(plain(several("no_row_differs", "yes"))) == "ingen rad endres; ja"


@pytest.mark.parametrize("label", [Label("nobody_wrote_this"), Label("page_of", {"title": "x", "page": 1})])
def test_a_label_without_a_wording_or_a_value_is_refused(label: Label) -> None:
    with pytest.raises(UserError, match=f'"{label.key}"'):
        load_words("nb").label(plain(label))


def test_both_languages_word_every_label_with_the_same_values() -> None:
    english, norwegian = (load_words(language).table["labels"] for language in ("en", "nb"))
    assert english.keys() == norwegian.keys()
    for key, template in english.items():
        assert values_of(template) == values_of(norwegian[key]), key


def test_every_label_of_the_code_is_worded() -> None:
    """Keys written out in the code, with the values they are given: a forgotten wording fails before anything runs."""
    wordings = load_words("en").table["labels"]
    written = list(labels_of_the_code())
    assert len(written) > 60
    for place, key, given in written:
        assert key in wordings, (place, key)
        assert given is None or values_of(wordings[key]) <= given, (place, key)


def test_every_text_the_code_gives_a_page_is_a_key(dataset: Dataset) -> None:
    """Titles, heads, notes, labels and choices written out in the code, also of what runs with sampling alone."""
    english, norwegian = (load_words(language).table for language in ("en", "nb"))
    works = {reference.short for reference in dataset.references.values()}
    written = list(texts_of_the_code())
    assert len(written) > 300
    for place, part, text in written:
        if part == "choice":
            assert text in norwegian["choice"], (place, text)
        else:
            # Names of persons and of methods begin with a capital: they are the same in every language.
            named = text in works or re.search(r"(?<![\w{])[a-z]{2,}", text) is None
            assert text in english["labels"] or named, (place, part, text)


def test_a_key_is_no_english_text() -> None:
    """A key with blanks is an English text looked up by itself: worded anew, it would be found no more."""
    keys = [key for key in load_words("en").table["labels"] if not re.fullmatch(r"[\w~-]+", key)]
    assert keys == []


def test_texts_of_the_dataset_are_of_the_dataset() -> None:
    """What is looked up by its English text stands in the records, or in a release that is frozen: ours has a key."""
    root = paths.project_root()
    records = [path for path in (root / "data/references").rglob("*") if path.suffix in (".csv", ".toml")]
    frozen = [path for report in (root / "reports").glob("v*") for path in outcome_paths(report).values()]
    assert len(records) > 300 and len(frozen) > 50
    # As JSON writes them: earlier versions hold plain files, later ones compressed ones as well.
    outcomes = [json.dumps(read_outcome(path), ensure_ascii=False) for path in frozen]
    known = "\n".join([*(path.read_text(encoding="utf-8") for path in records), *outcomes])
    # Quotes are doubled in a table and escaped in TOML and JSON.
    for text in load_words("nb").table["of_data"]:
        forms = (text, text.replace('"', '""'), text.replace('"', '\\"'))
        assert any(form in known for form in forms), f"{text!r} is no text of the dataset: word it under [labels]"


Y, V = [0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01]


@pytest.mark.parametrize(
    ("fit", "code"),
    [
        (lambda: fit_random_effects(Y[:1], V[:1]), "saturated"),
        (lambda: fit_random_effects([0.1, 0.1, 0.11], V[:3]), "boundary"),
        (lambda: fit_multilevel(Y, V, ["a", "b", "c", "d"]), "confounded"),
        (lambda: fit_multilevel([0.3, 0.3, 0.3, 0.31], V, ["a", "a", "b", "b"]), "boundary"),
    ],
)
def test_a_note_says_in_the_report_what_it_says_in_the_library(fit: Callable[[], Fit], code: str) -> None:
    """The English message and the label of a note are two texts of one thing: apart, a reader is told another."""
    note = next(note for note in fit().notes if note.code == code and note.label)
    assert worded(note.text).replace("zero", "0").replace("\u00a0", " ") == note.message
    assert load_words("nb").label(plain(note.text)) != note.message


@pytest.mark.parametrize("language", ["en", "nb"])
def test_every_kind_of_figure_has_its_name(language: str) -> None:
    assert set(KINDS) <= set(load_words(language).table["figure_kinds"])


def values_of(template: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", template))


def labels_of_the_code() -> Iterator[tuple[str, str, set[str] | None]]:
    """Place, key and names of values of each `Label("key", {...})`; None for values that are put together elsewhere."""
    root = paths.project_root()
    for path in (*(root / "replication").rglob("*.py"), *(root / "analyses").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name("Label"), args=[ast.Constant(str(key)), ast.Dict(keys=names)]):
                    known = {name.value for name in names if isinstance(name, ast.Constant)}
                    yield path.name, key, None if None in names else known
                case ast.Call(func=ast.Name("Label"), args=[ast.Constant(str(key)), *_]):
                    yield path.name, key, None


SHOWN: dict[str, tuple[str, ...]] = {
    "Table": ("title", "columns", "note"),
    "Estimate": ("label", "group", "notes", "method"),
    "Figure": ("title", "note"),
    "Analysis": ("title", "question"),
    "About": ("label",),
    "Exclusion": ("reason",),
}
"""The parts of what an analysis gives that a reader sees; of `of`, `within` and `several` all."""


def texts_of_the_code() -> Iterator[tuple[str, str, str]]:
    """Place, part and text of each literal where a label is wanted; an f-string is given as it is written."""
    root = paths.project_root()
    for path in (*(root / "replication").rglob("*.py"), *(root / "analyses").rglob("*.py")):
        # The template is another project, with words of its own; a preview has no title of its own.
        if "topic_template" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place, called = f"{path.name}:{node.lineno}", node.func.id
            given = [(word.arg or "", word.value) for word in node.keywords if word.arg in SHOWN.get(called, ())]
            given += [("", part) for part in node.args] if called in ("of", "within", "several") else []
            for part, value in given:
                yield from ((place, part, text) for text in literals(value))
                if part == "method" and isinstance(value, ast.Dict):
                    yield from ((place, "choice", key.value) for key in value.keys if isinstance(key, ast.Constant))


def literals(node: ast.expr | None) -> Iterator[str]:
    """The texts an expression may give as they stand in the code."""
    match node:
        case ast.Constant(str(text)):
            yield text
        case ast.JoinedStr():
            yield ast.unparse(node)
        case ast.Tuple(parts) | ast.List(parts):
            yield from (text for part in parts for text in literals(part))
        case ast.Dict(values=parts):
            yield from (text for part in parts for text in literals(part))
        case ast.IfExp(body=first, orelse=second) | ast.BinOp(left=first, right=second):
            yield from (text for part in (first, second) for text in literals(part))
        case ast.Starred(value):
            yield from literals(value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("10.1037/spq0000249", "https://doi.org/10.1037/spq0000249"),
        ("onlinelibrary.wiley.com/doi/10.1111/bjep.12037", "https://onlinelibrary.wiley.com/doi/10.1111/bjep.12037"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("https://a b", ""),
        ("metaSEM 1.5.5, data set Roorda11", ""),
        ("", ""),
    ],
)
def test_only_real_addresses_become_links(text: str, address: str) -> None:
    assert web_address(text) == address


def test_notes_are_escaped_before_they_are_marked_up() -> None:
    shown = prose(
        "# A *note*\n\n- see `code` and alpha2020-001\n- <script>x</script> https://example.org/a.",
        lambda n: f"#{n}" if "-" in n else "",
    )
    assert "<h3>A <em>note</em></h3>" in shown and "<code>code</code>" in shown
    assert '<a href="#alpha2020-001">alpha2020-001</a>' in shown
    assert "&lt;script&gt;" in shown and 'href="https://example.org/a"' in shown
    assert plain_prose("a*b*c & <i>", lambda n: "") == "a<em>b</em>c &amp; &lt;i&gt;"
    assert prose("# Top", lambda n: "", level=2) == "<h2>Top</h2>\n"


@pytest.mark.parametrize(
    "text", ["[here](javascript:alert(1))", "![](https://example.org/a.png)", "<img src=x>", "&lt;b>"]
)
def test_a_note_brings_no_markup_of_its_own(text: str) -> None:
    """No link hides where it leads, no picture is fetched, no tag passes: what was written is shown."""
    shown = prose(text, lambda n: "")
    assert re.sub(r"</?(?:p|a)\b[^>]*>", "", shown).strip() == escape(text)
    assert "javascript" not in "".join(re.findall(r'href="([^"]*)"', shown))


def test_dates_are_written_as_each_language_does() -> None:
    assert (load_words("en").date("2026-05-17"), load_words("nb").date("2026-05-17")) == (
        "May 17, 2026",
        "17. mai 2026",
    )


@pytest.mark.parametrize("language", ["en", "nb"])
def test_headings_and_labels_wait_for_no_values_they_are_never_given(language: str) -> None:
    """`say` fills names in braces; a kind (`{question:terms}`) belongs to sentences and would be printed as it is."""
    unfilled = re.compile(r"\{[a-z_]+:[a-z_|]+\}")
    pages = load_words(language).table["pages"]
    groups = {group: texts for group, texts in pages.items() if isinstance(texts, dict)}
    assert [text for texts in groups.values() for text in texts.values() if unfilled.search(str(text))] == []
    assert [text for text in groups["section"].values() if "{" in text] == []


@pytest.mark.parametrize(
    ("english", "norwegian"),
    [
        ("r = .31, 0.25", "r = ,31, 0,25"),
        ("29,438", "29\u00a0438"),
        ("15%", "15\u00a0%"),
        ("https://doi.org/10.3102/0034654311421793", "https://doi.org/10.3102/0034654311421793"),
        ("section 1.2", "avsnitt 1.2"),
        ("version 1.2", "versjon 1.2"),
        ("Victims & Offenders", "Victims & Offenders"),
        ("Jak & Cheung (2018)", "Jak og Cheung (2018)"),
    ],
)
def test_labels_keep_what_every_language_writes_alike(english: str, norwegian: str) -> None:
    assert load_words("nb").of_data(english) == norwegian


def test_a_sentence_is_not_taken_for_a_label_with_its_words() -> None:
    """ "{a} to {b}" is a path between two named things, and "age {n}-{m}" ends a label, never a sentence."""
    words = load_words("nb")
    assert words.of_data("engagement to achievement") == "engasjement til skoleprestasjoner"
    assert not words.knows("The items went to the teacher, grades 3-4.")
    assert words.knows("TIMSS 2019 Peru, age 9-10")
    # What stands behind a number is no part of it.
    assert not words.knows("German primary school, grades 3-4; the work's pupils are 8 to 14 years old")


def test_set_phrases_of_a_reason_are_found_the_longest_first() -> None:
    words = load_words("nb")
    found = [phrase for _, _, phrase in words.phrases_in("sum of the studies of the five entries: 428 to 430")]
    assert found == ["summen av studiene i de fem oppføringene", ": 428 til 430"]
    assert not list(words.phrases_in("A table of the article."))
