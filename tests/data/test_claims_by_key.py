"""Analyses ask for a printed number by its keys: its words are for readers, and may be worded better at any time."""

import ast
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest

from analyses.shared.covariance_rules import PATHS, SUBGROUPS
from analyses.shared.masem_answers import INTERCHANGED, NAMES, PATH_KEYS, answers_by_key, label_table
from replication import paths
from replication.claims import Claim, Recomputed, claims_of
from replication.dataset import Dataset, load_dataset
from replication.dataset.schema import FOR_ANALYSES
from replication.errors import DataError
from replication.new_topic import make_topic
from replication.report.menu import make_menu
from replication.study.codebook import codebook
from replication.study.form import form_html
from replication.study.templates import example_row, table_template
from replication.study.workbook import Filled, workbook_bytes
from tests.data.small import Small

ROOT = Path(__file__).parents[2]
WORDS = ("quantity", "subgroup", "note")
CODE = sorted((ROOT / "analyses").rglob("*.py")) + sorted((ROOT / "replication" / "report" / "pages").rglob("*.py"))
SOFTWARE = ("jakcheung2018", "metasem2026")


def is_worded(node: ast.AST) -> bool:
    """Whether the words of a claim stand here: `claim.quantity`, or `row["quantity"]`."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value in WORDS
    return isinstance(node, ast.Attribute) and node.attr in WORDS


def by_words(text: str) -> Iterator[int]:
    """The lines that compare, look up, take apart or index the words of a claim."""
    for node in ast.walk(ast.parse(text)):
        asked: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            # Whether there are words at all, or only the usual ones, is no search for a claim.
            asked = [] if _empty_or_all(node) else [node.left, *node.comparators]
        elif isinstance(node, ast.Subscript):
            asked = [node.slice]
        elif isinstance(node, ast.DictComp):
            asked = [node.key]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = [node.func.value, *(node.args if node.func.attr in ("get", "pop") else [])]
        if any(is_worded(part) for part in asked):
            yield node.lineno


def _empty_or_all(node: ast.Compare) -> bool:
    other = node.comparators[0]
    cells = other.elts if isinstance(other, ast.Tuple) else [other]
    return all(isinstance(cell, ast.Constant) and cell.value in ("", "all") for cell in cells)


def test_no_analysis_and_no_page_finds_a_claim_by_its_words() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in CODE for line in by_words(path.read_text(encoding="utf-8"))]
    assert len(CODE) > 40 and found == [], "ask by quantity_key, subgroup_key or about"


@pytest.mark.parametrize(
    "planted",
    [
        "answers = {c.id: found[c.subgroup][c.quantity] for c in claims}",
        "ours = [c for c in claims if c.quantity in answers]",
        "ours = [c for c in claims if c.subgroup == 'one-stage model']",
        "on = [name for name in topics if any(t in claim.quantity for t in topics[name])]",
        "label = claim.note.partition('printed label: ')[2]",
        "other = by_words[claim.quantity.replace('positive', 'negative')]",
        "values = {c.quantity: c.printed for c in claims}",
        "answer = variant.answers.get(claim.quantity)",
        "own = claims[claims['quantity'] == 'model fit: CFI']",
    ],
)
def test_a_claim_found_by_its_words_is_seen(planted: str) -> None:
    assert list(by_words(planted))


def test_what_the_analyses_ask_for_has_a_claim_and_every_key_is_used(dataset: Dataset) -> None:
    keyed = [c for c in claims_of(dataset) if c.quantity_key or c.subgroup_key]
    assert Counter(c.work for c in keyed) == dict.fromkeys(SOFTWARE, 0) | {"jakcheung2018": 121, "metasem2026": 37}
    quantities, parts = {c.quantity_key for c in keyed}, {c.subgroup_key for c in keyed}
    # A word nobody uses would offer a number that no analysis and no row knows.
    assert quantities == set(dataset.vocabulary.words("claim_quantity"))
    assert parts == set(dataset.vocabulary.words("claim_subgroup"))
    variables = list(NAMES.values())
    pairs = {f"{a}_{b}" for i, a in enumerate(variables) for b in variables[i + 1 :]}
    assert {f"{what}_{pair}" for what in ("pooled", "tau2", "i2", "k") for pair in pairs} <= quantities
    swapped = {*INTERCHANGED, *INTERCHANGED.values()}
    assert {*PATH_KEYS.values(), *PATHS.values(), *swapped} <= quantities and set(SUBGROUPS) <= parts


def test_a_key_means_one_thing(dataset: Dataset) -> None:
    """The words of the rows of one key are the same, and the vocabulary says them."""
    for key, words, name in (
        ("quantity_key", "quantity", "claim_quantity"),
        ("subgroup_key", "subgroup", "claim_subgroup"),
    ):
        said = {(getattr(c, key), getattr(c, words)) for c in claims_of(dataset) if getattr(c, key)}
        assert said == set(dataset.vocabulary.lists[name].items())


def keyed(dataset: Dataset) -> dict[str, Claim]:
    """The claims on the saturated one-stage model by key, in words that nobody has used before."""
    own = [c for c in claims_of(dataset, "metasem2026") if c.subgroup_key == "one_stage_saturated"]
    return {c.quantity_key: replace(c, quantity=f"worded anew {i}", subgroup="", note="") for i, c in enumerate(own)}


def test_answers_come_by_key_whatever_the_words_are(dataset: Dataset) -> None:
    claims = keyed(dataset)
    found = {"one_stage_saturated": {key: Recomputed(float(i)) for i, key in enumerate(claims)}}
    answers = answers_by_key([*claims.values(), replace(claims["path_pos_enga"], id="x", quantity_key="")], found)
    assert answers == {c.id: found["one_stage_saturated"][key] for key, c in claims.items()}
    with pytest.raises(DataError, match='metasem2026-002: no analysis computes quantity_key "path_pos_enga" of subgr'):
        answers_by_key(list(claims.values()), {"one_stage_saturated": {}})


def test_the_interchanged_labels_stand_beside_the_other_path(dataset: Dataset) -> None:
    claims = keyed(dataset)
    answers = {c.id: Recomputed(float(i)) for i, c in enumerate(claims.values())}
    ours = {key: answers[c.id].value for key, c in claims.items()}
    rows = {row[0]: row[2:] for row in label_table(list(claims.values()), answers).rows}
    assert rows == {
        "b31 (enga<-neg)": ("0.25513470", ours["path_pos_enga"], ours["path_neg_enga"]),
        "b41 (achiev<-neg)": ("0.04088993", ours["path_pos_achiev"], ours["path_neg_achiev"]),
        "b32 (enga<-pos)": ("-0.24326591", ours["path_neg_enga"], ours["path_pos_enga"]),
        "b42 (achiev<-pos)": ("-0.09342502", ours["path_neg_achiev"], ours["path_pos_achiev"]),
    }


def test_results_are_about_findings_that_have_a_page(dataset: Dataset) -> None:
    menu = make_menu(paths.analyses_dir(), article=True)
    assert set(dataset.vocabulary.words("claim_about")) == set(menu.findings)
    assert {name for c in claims_of(dataset) for name in c.about} == set(menu.findings)


def with_keys(small: Small, *cells: tuple[str, str, str]) -> list[str]:
    """What the check says of the first claims with (about, quantity_key, subgroup_key) filled in so."""
    file = small.root / "alpha2020" / "claims.csv"
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    rows += [{**rows[0], "claim_id": f"alpha2020-{i:03}"} for i in range(900, 900 + len(cells) - len(rows))]
    for row, (about, quantity, part) in zip(rows, cells, strict=False):
        row |= {"about": about, "quantity_key": quantity, "subgroup_key": part}
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    small.write("alpha2020/claims.csv", text.getvalue())
    return small.lines()


def test_an_unknown_key_is_said_with_the_nearest(small: Small) -> None:
    said = with_keys(small, ("engagment", "path_pos_engage", "all_stage3"), ("", "", ""))
    for word, hint in (("engagment", "engagement"), ("path_pos_engage", "path_pos_enga"), ("all_stage3", "all_stage")):
        assert any(f'found "{word}"' in line and f'did you mean "{hint}' in line for line in said), (word, said)
    assert with_keys(small, ("engagement;mediation", "path_pos_enga", "all_stage2")) == []


def test_one_key_of_two_numbers_is_refused(small: Small) -> None:
    said = with_keys(small, ("", "rmsea", "all_stage2"), ("", "rmsea", "all_stage2"))
    assert len(said) == 1 and 'found "rmsea"; expected one number of a work by one key' in said[0], said
    assert with_keys(small, ("", "rmsea", "all_stage1"), ("", "rmsea", "all_stage2")) == []
    # A withdrawn number keeps its keys beside the one that took its place.
    file = small.root / "alpha2020" / "claims.csv"
    head, first, *others = file.read_text(encoding="utf-8").replace("all_stage1", "all_stage2").splitlines()
    small.write("alpha2020/claims.csv", "\n".join([f"{head},until", f"{first},1.0.0", *(f"{o}," for o in others), ""]))
    assert not [line for line in small.lines() if "one-key-twice" in line]


def test_a_topic_needs_none_of_the_lists(tmp_path: Path) -> None:
    topic = make_topic(tmp_path / "mine")
    file = paths.data_dir(topic) / "vocabulary.toml"
    text = file.read_text(encoding="utf-8")
    assert "[claim_quantity]" not in text and "[claim_subgroup]" not in text
    file.write_text(text.replace('[claim_about]\nwellbeing = "well-being"\n', ""), encoding="utf-8")
    vocabulary = load_dataset(paths.data_dir(topic)).vocabulary
    assert vocabulary.words("claim_about") == () and "## claim_" not in codebook(vocabulary).replace("claim_stat", "")
    example = example_row("claims.csv", "a2024", "1.0.0", vocabulary)
    assert example["about"] == "" and example["quantity"].endswith("well-being")


def test_nobody_who_codes_a_work_is_asked_for_keys(dataset: Dataset) -> None:
    vocabulary = dataset.vocabulary
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes("smith2024", Filled({}), vocabulary)))
    cells = {str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row}
    shown = {
        "workbook": cells,
        "form": form_html(vocabulary),
        "template": table_template("claims.csv", "smith2024", "1.2.0", vocabulary),
    }
    for where, text in shown.items():
        assert not [name for name in (*FOR_ANALYSES, "claim_quantity", "path_pos_enga") if name in text], where
        assert "about" in text, where
