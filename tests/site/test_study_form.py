"""The form of a study in Debian's chromium: from disk, by keyboard, in Norwegian, on a phone; its file is taken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replication import paths
from replication.dataset import load_dataset
from replication.study.form import FORM_FILE, LANGUAGES, form_html
from replication.study.matrix import read_matrix
from replication.study.saved_form import FORMAT, read_saved
from replication.study.submission import check_submission, take_submission
from tests.data.small import Small
from tests.unit.test_matrix_as_printed import LAYOUTS

browser = pytest.mark.browser
TABLE = (
    "Variable\tM\tSD\t1\t2\t3\n1. Age\t12.40\t0.50\t-\n2. Conflict\t1.50\t0.62\t.02\t(.80)\n"
    "3. Engagement\t3.1\t.5\t.05\t-.22*\t(.91)"
)


class Form:
    """The form open in a page, with what the console said and what was asked of the network."""

    def __init__(self, chromium: Any, language: str, width: int) -> None:
        self.context = chromium.new_context(viewport={"width": width, "height": 800}, locale=language)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"file://{paths.data_dir().parent / FORM_FILE}")


@pytest.fixture
def form(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Form]:
    language, width = getattr(request, "param", ("en-GB", 1200))
    found = Form(chromium, language, width)
    yield found
    assert found.said == [] and [address for address in found.asked if not address.startswith(("file:", "blob:"))] == []
    found.context.close()


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small.build(tmp_path / "references", paths.data_dir())


def enter(page: Any, label: str, text: str, nth: int = 0) -> None:
    """Type into the field of a label, by the keyboard alone."""
    field = page.get_by_label(re.compile(f"^{re.escape(label)}( \\*)?")).nth(nth)
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)
    field.evaluate("node => node.dispatchEvent(new Event('change'))")


def fill(page: Any) -> None:
    for label, text in (("Key", "smith2024"), ("Authors", "Smith, Ann"), ("Title", "A thing"), ("Year", "2024")):
        enter(page, label, text)
    page.get_by_role("button", name="Add a sample").press("Enter")
    assert page.evaluate("document.activeElement.closest('.card') !== null"), "the new card has the focus"
    enter(page, "Persons (n)", "120")
    page.get_by_label("The table").fill(TABLE)
    page.get_by_role("button", name="Read the table").press("Enter")
    for variable, construct, informant in (
        ("Conflict", "negative", "teacher"),
        ("Engagement", "engagement", "student"),
    ):
        page.get_by_label(f"What it measures: {variable}").select_option(construct)
        page.get_by_label(f"Who reports: {variable}").select_option(informant)
    enter(page, "Page or table", "Table 1")
    page.get_by_role("button", name="Make rows").press("Enter")


@browser
def test_what_is_entered_by_keyboard_is_saved_checked_and_taken(form: Form, small: Small, tmp_path: Path) -> None:
    fill(form.page)
    with form.page.expect_download() as download:
        form.page.get_by_role("button", name="Save the file").press("Enter")
    assert form.page.locator("#problems li.error").all_inner_texts() == []
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "smith2024.json"
    submission = read_saved(path)
    assert check_submission(small.root, submission).errors == ()
    take_submission(small.root, submission)
    dataset = load_dataset(small.root)
    (row,) = dataset.effects.query("work == 'smith2024'").to_dict("records")
    assert (row["var_a"], row["var_b"], row["value_text"], row["n"]) == ("negative", "engagement", "-.22", 120)
    assert dataset.table("descriptives.csv")["mean"].tolist() == ["1.50", "3.1"]
    form.page.set_input_files("#open", path)
    assert form.page.get_by_label("Value as printed").first.input_value() == "-.22"


@browser
def test_checks_speak_while_one_types(form: Form) -> None:
    page = form.page
    page.get_by_role("button", name="Add a correlation").click()
    for text, expected in {
        "35": "Is the decimal point missing?",
        "0,35": "A decimal comma? Write 0.35",
        "5,123": "Write one of the two: 5.123 / 5123",
        "31.12.2024": "This is a date",
        "strong": "A number with a decimal point",
    }.items():
        enter(page, "Value as printed", text)
        field = page.get_by_label(re.compile("^Value as printed")).first
        message = page.locator("#" + field.get_attribute("aria-describedby").split()[1])
        assert expected in message.inner_text(), text
        assert field.get_attribute("aria-invalid") == "true"
    for label, text in (("Value as printed", ".35"), ("Persons (n)", "120"), ("Interval, lower end", ".34")):
        enter(page, label, text)
    enter(page, "Interval, upper end", ".36")
    assert "Much wider or narrower" in page.locator(".card").first.inner_text()


@browser
def test_it_reads_a_matrix_as_the_command_does(form: Form) -> None:
    for layout, text in LAYOUTS.items():
        expected = read_matrix(text)
        found = form.page.evaluate("text => readMatrix(text)", text)
        assert found["labels"] == list(expected.labels), layout
        assert found["pairs"] == {f"{i},{j}": value for (i, j), value in expected.pairs.items()}, layout
        assert found["beside"] == {f"{i},{name}": value for (i, name), value in expected.beside.items()}, layout
    with pytest.raises(Exception, match="a word stands among the numbers"):
        form.page.evaluate("text => readMatrix(text)", "a\t-\nb\t.30\t-\nc\t.20\tsee text\t-")


@browser
@pytest.mark.parametrize("form", [("nb-NO", 360), ("en-GB", 360)], indirect=True)
def test_on_a_phone_it_fits_and_is_accessible(form: Form) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = form.page
    for table in ("samples", "effects"):
        page.locator(f"#table-{table} > button").click()
    page.locator("#matrix").fill(TABLE)
    page.locator("#matrix").locator("xpath=ancestor::section//button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}).response["violations"]
    assert [violation["id"] for violation in found] == []
    if page.evaluate("language") == "nb":
        assert "Legg til et utvalg" in page.inner_text("main") and "Add a" not in page.inner_text("main")
        page.get_by_label("Verdien slik den er trykt").first.fill("0,35")
        assert "Desimalkomma? Skriv 0.35" in page.inner_text("main")


def test_both_languages_say_the_same_things() -> None:
    from replication.dataset.loading import read_vocabulary

    text = form_html(read_vocabulary(paths.data_dir()))
    schema = json.loads(re.search(r"const SCHEMA = (.*);\n", text)[1].replace("<\\/", "</"))  # type: ignore[index]
    texts = schema["texts"]
    assert set(texts) == set(LANGUAGES) and texts["en"].keys() == texts["nb"].keys()
    assert all(texts["en"][name].count("{}") == texts["nb"][name].count("{}") for name in texts["en"])
    used = set(re.findall(r'say\("(\w+?)"', text)) | set(re.findall(r'"(?:error|warning)", "(\w+)"', text))
    assert {name for name in used if not name.endswith("_")} <= texts["en"].keys()
    assert schema["format"] == FORMAT
