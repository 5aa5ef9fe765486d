"""Whole or not at all: the report folder, the cache and the digests."""

import io
import tokenize
from collections.abc import Callable
from pathlib import Path

import pytest

from replication import paths
from replication.digests import folder_digest, python_digest, without_comments
from replication.errors import UserError
from replication.provenance import Cache
from replication.writing import replace_folder, write_atomic


def fill(folder: Path, text: str) -> None:
    (folder / "run.json").write_text(text, encoding="utf-8")


def test_the_new_folder_takes_the_place_of_the_old_one_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "latest"
    for text in ("first", "second"):
        with replace_folder(target) as folder:
            fill(folder, text)
        assert (target / "run.json").read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["latest"]


def test_a_failure_while_building_leaves_the_old_folder_whole(tmp_path: Path) -> None:
    target = tmp_path / "latest"
    with replace_folder(target) as folder:
        fill(folder, "first")
    with pytest.raises(RuntimeError), replace_folder(target) as folder:
        fill(folder, "second")
        raise RuntimeError
    assert (target / "run.json").read_text(encoding="utf-8") == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["latest"]


def test_the_exchange_works_without_the_system_s_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.writing._exchange", lambda a, b: False)
    test_the_new_folder_takes_the_place_of_the_old_one_in_one_step(tmp_path)


@pytest.mark.parametrize("kind", ["folder of the user's", "file", "link"])
def test_nothing_of_the_user_s_is_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "mine"
    if kind == "file":
        target.write_text("mine", encoding="utf-8")
    elif kind == "link":
        target.symlink_to(tmp_path)
    else:
        target.mkdir()
        (target / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="--out"), replace_folder(target):
        pass
    assert target.exists()


def test_a_cache_entry_is_found_by_name_and_key_only(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("a", "key1", {"x": 1})
    assert cache.get("a", "key1") == {"x": 1}
    assert cache.get("a", "key2") is None
    assert cache.get("b", "key1") is None


def test_a_damaged_cache_entry_counts_as_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("a", "key1", {"x": 1})
    entry = next(tmp_path.rglob("*.json"))
    for damage in ("", '{"key": "key1"', "[]", '{"key": "other", "result": 2}'):
        entry.write_text(damage, encoding="utf-8")
        assert cache.get("a", "key1") is None


def test_a_cache_entry_that_was_edited_counts_as_none(tmp_path: Path) -> None:
    """A number changed in `.cache` must never reach a report, though name and key are right."""
    cache = Cache(tmp_path)
    cache.put("a", "key1", {"estimates": [{"value": 0.31}]})
    entry = next(tmp_path.rglob("*.json"))
    entry.write_text(entry.read_text(encoding="utf-8").replace("0.31", "0.81"), encoding="utf-8")
    assert cache.get("a", "key1") is None


def test_a_fresh_cache_gives_nothing_and_keeps_everything(tmp_path: Path) -> None:
    Cache(tmp_path).put("a", "key1", {"x": 1})
    fresh = Cache(tmp_path, fresh=True)
    assert fresh.get("a", "key1") is None
    fresh.put("a", "key1", {"x": 2})
    assert Cache(tmp_path).get("a", "key1") == {"x": 2}


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_folder_s_digest_depends_on_names_and_bytes(tmp_path: Path) -> None:
    seen = set()
    for name, text in (("a", "1"), ("a", "2"), ("b", "2")):
        for old in tmp_path.iterdir():
            old.unlink()
        (tmp_path / name).write_text(text, encoding="utf-8")
        seen.add(folder_digest(tmp_path))
    assert len(seen) == 3


def test_slow_results_are_read_from_where_they_are_kept_and_renewed_when_asked(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    Cache(tmp_path / "a", kept=kept, renew=True).put("bias-x", "key", {"r": 0.3})
    for name in ("recovery-x", "sampled-x", "other"):
        Cache(tmp_path / "a", kept=kept, renew=True).put(name, "key", 1)
    names = sorted(path.name for path in kept.iterdir())
    assert names == ["bias-x.json", "recovery-x.json"], "neither whole outcomes nor draws on data are kept"
    assert Cache(tmp_path / "b", kept=kept).get("bias-x", "key") == {"r": 0.3}
    assert Cache(tmp_path / "b", kept=kept).get("bias-x", "another key") is None
    assert Cache(tmp_path / "b", kept=kept, fresh=True).get("bias-x", "key") is None, "a release computes afresh"
    file = kept / "bias-x.json"
    file.write_text(file.read_text(encoding="utf-8").replace("0.3", "0.4"), encoding="utf-8")
    assert Cache(tmp_path / "b", kept=kept).get("bias-x", "key") is None, "an edited number counts as none"


def tokens(code: str) -> list[tuple[int, str]]:
    """What Python's own tokenizer finds in a text, but for comments and the ends of lines."""
    beside = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER)
    found = tokenize.generate_tokens(io.StringIO(code).readline)
    return [(token.type, token.string) for token in found if token.type not in beside]


def test_code_without_comments_is_the_code() -> None:
    """Of the package's files every sixth, and of the tests', which hold the stranger strings."""
    files = sorted((paths.project_root() / "replication").rglob("*.py"))[::6]
    files += sorted((paths.project_root() / "tests").rglob("*.py"))[::12]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert tokens(without_comments(text)) == tokens(text), path
        assert "\n\n" not in without_comments(text) or '"""' in text


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("a = 'x' # why\n", "a = 'x'\n"),
        ('a = "\\"#" # why\n', 'a = "\\"#"\n'),
        ("a = 'b\\\n# text' # why\n", "a = 'b\\\n# text'\n"),
        ("a = r'\\\\' # why\n", "a = r'\\\\'\n"),
        ('a = """\n# text\n\n"""\n\n# why\nb\n', 'a = """\n# text\n\n"""\nb\n'),
        ("# 'why\na = 1 # isn't\nb = '#'\n", "a = 1\nb = '#'\n"),
        ('a = f"{b["#"]}" # why\n', 'a = f"{b["#"]}" # why\n'),  # Python 3.12 allows such quotes
        ("a = rf'\\\n#' # why\nb # why\n", "a = rf'\\\n#' # why\nb\n"),
        ("if a:  # why\n    # why\n\n    b\n", "if a:\n    b\n"),
    ],
)
def test_a_comment_is_told_from_text(code: str, left: str) -> None:
    assert without_comments(code) == left


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (lambda text: text.replace("# why\n", "# another reason, over\n\n# lines\n"), True),
        (lambda text: text.replace("x = 1  # here", "x = 1"), True),
        (lambda text: text.replace("x = 1", "x = 2"), False),
        (lambda text: text.replace("# not a comment", "# not one"), False),
        (lambda text: text.replace("line\n\nend", "line\nend"), False),  # a blank line in a string is text
    ],
)
def test_a_comment_costs_no_slow_result_and_a_digit_does(
    tmp_path: Path, edit: Callable[[str], str], same: bool
) -> None:
    code = '# why\n\nx = 1  # here\ny = "# not a comment"\nz = """line\n\nend"""\n'
    (tmp_path / "model.py").write_text(code, encoding="utf-8")
    before = python_digest(tmp_path)
    assert edit(code) != code
    (tmp_path / "model.py").write_text(edit(code), encoding="utf-8")
    assert (python_digest(tmp_path) == before) is same
