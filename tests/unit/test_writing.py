"""Whole or not at all, and one at a time: files, journals, folders and locks, killed at every write event."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.errors import UserError
from replication.writing import (
    check_target,
    differing_rows,
    exclusive,
    finish_writing,
    replace_folder,
    write_atomic,
    write_together,
)

OLD = {"a.csv": "old a", "work/b.csv": "old b", "work/c.csv": "old c"}
NEW = {"a.csv": "new a", "work/b.csv": "new b", "new/d.csv": "new d", "work/c.csv": None}
AFTER = {name: text for name, text in NEW.items() if text is not None}
EVENTS = ("mkdir", "open", "replace", "rename", "rmdir", "fsync", "unlink")


class Killed(BaseException):
    """Stands for a kill: nothing that runs after it may write (see `killed_at`)."""


def put(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def content(folder: Path) -> dict[str, str]:
    """Everything a reader would see: no lock, and no leftover either."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in files}


def killed_at(event: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Do something in a process that is gone at its n-th write event; whether it was killed before the end.

    From the event on every further one fails, too: a killed process cleans nothing up.
    """
    count = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count >= event:
                raise Killed
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in EVENTS:
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            act()
        except Killed:
            return True
    return False


def every_event(make: Callable[[int], Callable[[], None]], monkeypatch: pytest.MonkeyPatch) -> int:
    """Kill at the first, second, … event until one run comes to its end; how many events there were."""
    for event in range(1, 200):
        if not killed_at(event, make(event), monkeypatch):
            return event
    raise AssertionError("it never came to an end")


def test_several_files_are_all_old_or_all_new_wherever_the_writer_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def make(event: int) -> Callable[[], None]:
        folder = tmp_path / str(event)
        put(folder, OLD)
        return lambda: write_together(folder, NEW)

    events = every_event(make, monkeypatch)
    for event in range(1, events):
        folder = tmp_path / str(event)
        finish_writing(folder)  # what a reader does first
        with exclusive(folder):
            pass  # what the next writer does first
        seen.append(content(folder))
        assert seen[-1] in (OLD, AFTER), event
    assert OLD in seen and AFTER in seen and events > 10


def test_one_file_is_old_or_new_wherever_the_writer_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(event: int) -> Callable[[], None]:
        put(tmp_path / str(event), {"work/a.csv": "old"})
        return lambda: write_atomic(tmp_path / str(event) / "work" / "a.csv", "new")

    for event in range(1, every_event(make, monkeypatch)):
        with exclusive(tmp_path / str(event)):
            pass
        assert content(tmp_path / str(event)) in ({"work/a.csv": "old"}, {"work/a.csv": "new"}), event


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_old_or_new_wherever_the_writer_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr("replication.writing._exchange", lambda a, b: False)

    def write(above: Path) -> None:
        with exclusive(above), replace_folder(above / "latest") as building:
            put(building, {"run.json": "new", "page": "new"})

    def make(event: int) -> Callable[[], None]:
        put(tmp_path / str(event) / "latest", {"run.json": "old", "page": "old"})
        return lambda: write(tmp_path / str(event))

    for event in range(1, every_event(make, monkeypatch)):
        above = tmp_path / str(event)
        write(above)  # the next run finds its way, whatever was left
        assert content(above) == {"latest/run.json": "new", "latest/page": "new"}, event


def test_a_journal_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data" / ".journal").mkdir(parents=True)
    put(tmp_path / "data" / ".journal", {"names.json": '[["../outside", true]]', "0": "planted"})
    with pytest.raises(UserError, match="cannot be completed"):
        finish_writing(tmp_path / "data")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_is_planted_in_the_place_of_the_lock_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    victim, place = tmp_path / "victim", tmp_path / "data" / ".lock"
    victim.write_text("precious", encoding="utf-8")
    place.parent.mkdir()
    if kind == "link":
        place.symlink_to(victim)
    else:
        place.mkdir()
    with pytest.raises(UserError, match=r"\.lock"), exclusive(place.parent):
        pass
    assert victim.read_text(encoding="utf-8") == "precious"


def test_a_second_process_waits_for_the_lock_and_it_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, time\nfrom replication.writing import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    second = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert second.stderr is not None and "another command is writing" in second.stderr.readline()
    first.kill()
    assert second.stdout is not None and second.stdout.readline() == "held\n"
    for process in (first, second):
        process.kill()
        process.communicate()


def test_the_lock_lies_beside_the_data_whatever_tmpdir_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    (tmp_path / "data").mkdir()
    with exclusive(tmp_path / "data"):
        assert [p.name for p in (tmp_path / "data").iterdir()] == [".lock"]
        with exclusive(tmp_path / "data"):
            pass  # who holds it may take it again
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o022])
def test_the_umask_decides_who_may_read(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "a.json", "x")
        with replace_folder(tmp_path / "latest") as building:
            put(building, {"run.json": "x"})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "latest").stat().st_mode) == 0o777 & ~umask


@pytest.mark.skipif(os.name != "posix", reason="rights of a file")
def test_a_file_that_is_written_anew_keeps_its_rights(tmp_path: Path) -> None:
    """A colleague with another umask must not lock everybody else out of the tables both write."""
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("old", encoding="utf-8")
        (tmp_path / name).chmod(0o664)
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "one.csv", "new")
        write_together(tmp_path, {"two.csv": "new", "three.csv": "new"})
    finally:
        os.umask(before)
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.csv")}
    assert rights == {"one.csv": 0o664, "two.csv": 0o664, "three.csv": 0o600}


def test_a_place_that_cannot_be_written_to_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        place = Path("/proc/latest")  # the superuser may write nearly everywhere; here nobody may
    else:
        (tmp_path / "mine").mkdir(mode=0o555)
        place = tmp_path / "mine" / "latest"
    with pytest.raises(UserError, match="cannot be written to"):
        check_target(place)


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ("id,n\na,1\nb,2\n", "id,n\na,1\nb,3\nc,4\n", (["b2"], ["b3", "c4"])),
        ("id,n\na,1\n", "id,n\na,1\n", ([], [])),
        # the same line says other things where columns have changed places
        ("id,n\na,1\n", "n,id\na,1\n", (["a1"], ["1a"])),
        # lines of a cell that goes over several are no rows
        ('id,n\na,"1\nz,9\n"\nz,9\n', "id,n\nz,9\n", (["a1\nz,9\n", "z9"], ["z9"])),
        ("", "id,n\na,1\n", ([], ["a1"])),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_rows_that_differ_are_all_but_those_of_the_same_text(
    old: str, new: str, left: tuple[list[str], list[str]], packed: bool, tmp_path: Path
) -> None:
    if old:
        (tmp_path / "old.csv").write_text(old, encoding="utf-8")
    if packed:
        (tmp_path / "new.csv.gz").write_bytes(gzip.compress(new.encode()))
    else:
        (tmp_path / "new.csv").write_text(new, encoding="utf-8")
    found = differing_rows(tmp_path / "old.csv", tmp_path / "new.csv")
    assert tuple([row["id"] + row["n"] for row in rows] for rows in found) == left
