"""Every command that writes: killed, all or nothing; eight at once lose nothing; who may not write is told so."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replication import paths
from replication.dataset import check_dataset
from replication.study.saved_form import FORMAT
from replication.writing import exclusive
from tests.cli.test_study_compute import MEASURES, RECIPES, SAMPLES, simulated
from tests.cli.test_study_matrix import MEANING, REST, TABLE
from tests.cli.test_study_workbook import EFFECT, SAMPLE
from tests.data.small import BIB, EFFECTS, WORK, Small
from tests.hostile.killing import KILLED, STEP, forked, kills, study

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks")

ROWS = tuple(f"alpha2020-e{i}" for i in range(1, 9))
HEADER = "effect_id,sample_id,var_a,var_b,statistic,value,n,informant_a,informant_b,reading,since\n"
CONSTRUCTS = ("engagement", "achievement", "belonging", "victimization", "perpetration", "negative", "relationship")
CONVERT = ("convert", "alpha2020", "--from", "t", "--df", "98", "--sample", "alpha2020_s1", "--a", "positive")
WHO = ("--who", "Ann", "--why", "looked up together")
HANDED_IN = {
    "format": FORMAT,
    "work": {"key": "smith2024", "author": "Smith, Ann", "title": "A thing", "year": "2024"},
    "tables": {"samples": [SAMPLE], "effects": [EFFECT]},
}
CONCEPTUAL = """
[[conceptual]]
id = "simulated"
question = "Does liking go before the test?"
same = ["model"]
differs = ["simulated"]
model = "lagged"
source = "simulated"
file = ["simulated.csv"]
outcome = ["later"]
predictor = "like"
earlier = "before"
verified = "simulated"
measure = [
  { variable = "achievement", measure = "later", items = ["PV1"] },
  { variable = "engagement", measure = "like", items = ["LIKE"] },
  { variable = "achievement", measure = "before", items = ["PV2"] },
]
"""


def coded(value: str) -> str:
    """Eight rows, all with another value than the other coder's."""
    pairs = [("positive", b) for b in CONSTRUCTS] + [("negative", "engagement")]
    rows = [
        f"alpha2020-e{i},alpha2020_s1,{a},{b},r,{value}{i},110,student,student,table,1.0.0\n"
        for i, (a, b) in enumerate(pairs, 1)
    ]
    return HEADER + "".join(rows)


def build(root: Path) -> Small:
    """The small dataset with two coders who differ in eight rows, and with eight questions of plausibility."""
    small = Small.build(root, paths.data_dir())
    for name, value in (("ann", ".2"), ("bo", ".3")):
        (root / "alpha2020" / "coders" / name).mkdir(parents=True)
        small.write(f"alpha2020/coders/{name}/effects.csv", coded(value))
    questioned = EFFECTS.splitlines()[0].replace("note", "p") + "\n"
    for i, construct in enumerate([*CONSTRUCTS, "depth"][:8], 1):
        pair = f"positive,{construct}" if construct != "depth" else "negative,engagement"
        questioned += f"beta2021-e{i},beta2021_s1,{pair},r,.3{i},110,student,student,doi:10/x,Table 2,table,1.0.0,.9\n"
    small.write("beta2021/effects.csv", questioned)
    survey(small)
    (root.parent / "smith2024.json").write_text(json.dumps(HANDED_IN), encoding="utf-8")
    (root.parent / "table.txt").write_text(TABLE, encoding="utf-8")
    return small


def survey(small: Small) -> None:
    """A third work with a recipe and a conceptual record, and the simulated file they read; one of six rows is held."""
    small.write("references.bib", (small.root / "references.bib").read_text(encoding="utf-8") + BIB.format("delta2023"))
    small.write("delta2023/work.toml", WORK.format("delta2023"))
    for name, text in (("recipes.toml", RECIPES), ("measures.csv", MEASURES), ("samples.csv", SAMPLES)):
        small.write(f"delta2023/{name}", text.replace("alpha2020", "delta2023"))
    held = "delta2023_s1-001,delta2023_s1,positive,engagement,r,.1111,470,care,like,computed,1.0.0\n"
    small.write("delta2023/effects.csv", HEADER.replace("informant", "measure") + held)
    small.write("delta2023/conceptual.toml", CONCEPTUAL)
    simulated().to_csv(small.root.parent / "simulated.csv", index=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset built once, to be copied."""
    root = tmp_path_factory.mktemp("prepared") / "references"
    build(root)
    for command in (*COMMANDS.values(), lambda at: study("check", "--data", at)):
        loaded = tmp_path_factory.mktemp("loaded") / "copy" / "references"
        shutil.copytree(root.parent, loaded.parent)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            command(loaded)()  # in this process: what it imports, the forks have, which saves each of them a second
    for number, row in enumerate(ROWS, 1):  # all but one settled, so that one decision more lets `agree` write
        assert number == 8 or forked(settle(root, row)) == 0
    return root


def settle(root: Path, row: str) -> Callable[[], int]:
    return study("settle", "alpha2020", row, "value", f".2{row[-1]}", *WHO, "--data", root)


def answer(root: Path, row: str) -> Callable[[], int]:
    return study("answer", "beta2021", "p", row, "--reason", "printed so", "--who", "Ann", "--data", root)


def convert(root: Path, value: str, construct: str = "belonging") -> Callable[[], int]:
    return study(*CONVERT, "--b", construct, "--value", value, "--write", "--data", root)


def new(root: Path, key: str) -> Callable[[], int]:
    title, author = key * 3, f"Author{key}, A."  # so different that none is taken for another that is held already
    return study("new", key, "--author", author, "--title", title, "--year", "2024", "--data", root)


def agree_write(root: Path) -> Callable[[], int]:
    def act() -> int:
        settle(root, ROWS[-1])()
        return study("agree", "alpha2020", "--write", "--data", root)()

    return act


def compute(root: Path) -> Callable[[], int]:
    file = root.parent / "simulated.csv"
    return study("compute", "delta2023_s1", "--file", file, "--replace", "--write", "--data", root)


def matrix(root: Path) -> Callable[[], int]:
    return study("matrix", "beta2021", root.parent / "table.txt", *MEANING, *REST, "--write", "--data", root)


GENERATED = {
    "form.form_html": "a form",
    "workbook_picture.workbook_svg": "a picture",
    "codebook.schema_files": {"one.json": "{}", "two.json": "{}"},
}
"""What `codebook` writes, in short: making it takes a second, and what is tested is how it is written."""
COMMANDS: dict[str, Callable[[Path], Callable[[], int]]] = {
    "new": lambda root: new(root, "gamma2022"),
    "answer": lambda root: answer(root, "beta2021-e1"),
    "settle": lambda root: settle(root, ROWS[-1]),
    "convert": lambda root: convert(root, "2.31"),
    "agree": agree_write,
    "tidy": lambda root: study("tidy", "alpha2020", "--data", root),
    "take": lambda root: study("take", root.parent / "smith2024.json", "--data", root),
    "matrix": matrix,
    "compute": compute,
    "conceptual": lambda root: study(
        "conceptual", "delta2023", "--file", root.parent / "simulated.csv", "--write", "--data", root
    ),
    "export": lambda root: study("export", "--out", root.parent / "export", "--data", root),
    "codebook": lambda root: study("codebook", "--data", root),
}


def content(root: Path) -> dict[str, bytes]:
    """Every file a reader could see, hidden ones too, but for the locks."""
    files = (path for path in root.parent.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {path.relative_to(root.parent).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_any_write_event_a_command_has_done_all_or_nothing(
    prepared: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = COMMANDS[command]
    for name, made in GENERATED.items():
        monkeypatch.setattr(f"replication.study.{name}", lambda *_, made=made: made)

    def make(event: int) -> Path:
        root = tmp_path / str(event) / "references"
        shutil.copytree(prepared.parent, root.parent)
        if command == "tidy":
            for name in ("effects.csv", "claims.csv"):
                text = (root / "alpha2020" / name).read_text(encoding="utf-8")
                (root / "alpha2020" / name).write_text(text.replace(",", ";"), encoding="utf-8")
        return root

    said = tmp_path / "said"
    old = content(make(0))
    assert forked(act(tmp_path / "0" / "references"), said=said) in (0, 1), said.read_text(encoding="utf-8")
    new_content = content(tmp_path / "0" / "references")
    assert new_content != old
    seen = []
    for event, root in kills(make, act):
        check_dataset(root)  # what a reader does first: a change that was made certain is completed
        for folder in (root, root.parent, root.parent / "schemas"):
            with exclusive(folder) if folder.is_dir() else contextlib.nullcontext():
                pass  # what the next writer does first: leftovers go
        if command == "export":  # a folder of the user's own is swept by who writes it next, that is the same command
            assert {name: text for name, text in content(root).items() if "/." not in f"/{name}"} in (old, new_content)
            assert forked(act(root), said=said) == 0, said.read_text(encoding="utf-8")
        seen.append(content(root))
        assert in_between(command, old, seen[-1], new_content), event
    assert (old in seen or command == "export") and (new_content in seen or command == "codebook" or STEP > 1)


@pytest.mark.parametrize("command", ["take", "practice"])
def test_what_a_killed_command_left_elsewhere_goes_with_the_next(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A copy of the dataset in the folder for temporary files; half a folder to practise in. A running one's stays."""
    place, root = tmp_path / "elsewhere", tmp_path / "copy" / "references"
    shutil.copytree(prepared.parent, root.parent)
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    act = study("practice", place / "made", "--data", root) if command == "practice" else COMMANDS["take"](root)
    assert forked(act, 5, within=place) == KILLED
    (left,) = place.iterdir()
    (running := left.with_name(left.name.replace(left.name.split(".")[2], str(os.getpid())))).mkdir()
    assert forked(act) == 0
    assert {path.name for path in place.iterdir()} == {running.name, *(["made"] if command == "practice" else [])}


def in_between(command: str, old: dict[str, bytes], found: dict[str, bytes], new: dict[str, bytes]) -> bool:
    """Old or new; the codebook's files are each old or new, for the next run makes them anew, and so are the two
    commands that `agree` stands for here: a decision, and the tables that follow from it."""
    if command == "codebook":
        return all(text in (old.get(name), new.get(name)) for name, text in found.items())
    settled = {name: text for name, text in new.items() if name.endswith("settled.csv")}
    return found in (old, new) or (command == "agree" and found == {**old, **settled})


def at_once(acts: list[Callable[[], int]]) -> Iterator[int]:
    """The exit codes of things that eight processes do at the same time."""
    children = []
    for act in acts:
        child = os.fork()
        if child == 0:
            os._exit(forked(act))
        children.append(child)
    yield from (os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def test_eight_writers_of_every_kind_at_once_lose_nothing(prepared: Path, tmp_path: Path) -> None:
    del prepared  # for what it has imported
    root = build(tmp_path / "references").root
    acts: list[Callable[[], int]] = []
    for i, row in enumerate(ROWS, 1):
        acts += [
            settle(root, row),
            answer(root, f"beta2021-e{i}"),
            convert(root, f"2.{i}1"),
            new(root, f"{chr(96 + i) * 9}2024"),
        ]
    acts[:0] = [COMMANDS[name](root) for name in ("take", "matrix", "compute", "conceptual")]
    codes = [code for start in range(0, len(acts), 8) for code in at_once(acts[start : start + 8])]
    assert codes == [0] * len(acts)
    settled = (root / "alpha2020/coders/settled.csv").read_text(encoding="utf-8")
    answers = (root / "beta2021/answers.toml").read_text(encoding="utf-8")
    effects = (root / "alpha2020/effects.csv").read_text(encoding="utf-8")
    bibliography = (root / "references.bib").read_text(encoding="utf-8")
    assert all(f"effects.csv,{row},value" in settled for row in ROWS)
    assert all(f'"beta2021-e{i}"' in answers for i in range(1, 9))
    assert all(f"t = 2.{i}1" in effects for i in range(1, 9))
    assert all(f"{letter * 9}2024" in bibliography and (root / f"{letter * 9}2024").is_dir() for letter in "abcdefgh")
    assert (root / "smith2024/effects.csv").exists() and (root / "delta2023/conceptual.csv").exists()
    assert "beta2021-003," in (root / "beta2021/effects.csv").read_text(encoding="utf-8")
    assert "delta2023_girls-003," in (root / "delta2023/effects.csv").read_text(encoding="utf-8")
    ids = [line.partition(",")[0] for line in effects.splitlines()[1:]]
    assert len(ids) == len(set(ids)) == 10


NOBODY = 65534
other_users = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only a superuser's tests can become another user"
)


@contextlib.contextmanager
def way_to_the_checkout() -> Iterator[None]:
    """Others may pass through the folders above the checkout meanwhile: what is imported late lies below them.

    `mktemp -d` makes a folder that is its owner's alone, and a clone in it cannot be read by anybody else.
    """
    closed = [(folder, folder.stat().st_mode) for folder in paths.project_root().parents]
    closed = [(folder, mode) for folder, mode in closed if not mode & 0o001]
    for folder, mode in closed:
        folder.chmod(stat.S_IMODE(mode) | 0o001)
    try:
        yield
    finally:
        for folder, mode in closed:
            folder.chmod(stat.S_IMODE(mode))


@pytest.fixture
def shared(prepared: Path) -> Iterator[Path]:
    """A copy of the dataset at a place that everybody may go to, which a test's own folder is not."""
    with way_to_the_checkout(), tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(prepared.parent, Path(folder) / "shared", ignore=shutil.ignore_patterns(".lock"))
        (Path(folder) / "mine").mkdir(mode=0o777)
        (Path(folder) / "mine").chmod(0o777)
        yield Path(folder) / "shared" / prepared.name


def opened(root: Path, rights: int) -> None:
    """Folders and files with these rights; a file has none to be entered."""
    for path in (root.parent, *root.parent.rglob("*")):
        path.chmod(rights if path.is_dir() else rights & 0o666)


def as_nobody(act: Callable[[], int], root: Path) -> Callable[[], int]:
    """The same done by another user, with a folder for temporary files of their own."""

    def other() -> int:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        tempfile.tempdir = str(root.parent.parent / "mine")
        return act()

    return other


@other_users
@pytest.mark.parametrize("command", ["new", "answer", "settle", "convert", "take", "matrix", "compute", "export"])
def test_who_may_not_write_is_told_so_and_changes_nothing(shared: Path, tmp_path: Path, command: str) -> None:
    opened(shared, 0o755)
    before, said = content(shared), tmp_path / "said"
    assert forked(as_nobody(COMMANDS[command](shared), shared), said=said) == 1
    text = said.read_text(encoding="utf-8")
    assert "cannot be written to (permission denied)" in text, text
    assert "Traceback" not in text and "a fault of this program" not in text and content(shared) == before


@other_users
def test_who_may_only_read_is_told_the_same_as_the_owner(shared: Path, tmp_path: Path) -> None:
    opened(shared, 0o555)
    check, texts = study("check", "alpha2020", "--data", shared), []
    for act in (check, as_nobody(check, shared)):
        code = forked(act, said=tmp_path / "said")
        texts.append((code, (tmp_path / "said").read_text(encoding="utf-8")))
    assert texts[0] == texts[1] and "alpha2020: " in texts[0][1], texts


@other_users
def test_two_users_who_write_at_once_lose_nothing(shared: Path) -> None:
    """The lock lies in the folder they share, so neither user nor TMPDIR makes it another one."""
    (shared / "alpha2020/coders/settled.csv").unlink()
    opened(shared, 0o777)
    acts = [settle(shared, row) for row in ROWS]
    assert list(at_once([as_nobody(act, shared) if i % 2 else act for i, act in enumerate(acts)])) == [0] * len(acts)
    settled = (shared / "alpha2020/coders/settled.csv").read_text(encoding="utf-8")
    assert all(f"effects.csv,{row},value" in settled for row in ROWS)
