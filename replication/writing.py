"""Writing that is whole or not at all, and by one at a time. Everything that writes files goes through here.

Three ideas:

1. Who writes holds the lock of the folder (`exclusive`), and reads what it changes under that lock, so that no change
   of another is lost. The lock file lies in the folder itself: two users, or two settings of TMPDIR, meet at one lock.
2. A file is written beside its place and renamed; a folder is built beside its place and exchanged. So whoever reads,
   or is killed, always finds or leaves a whole one.
3. Several files are written by a journal (`write_together`): all new texts are put aside first, one rename makes the
   change certain, and whoever takes the lock next, or reads (`finish_writing`), completes what a kill interrupted.
"""

from __future__ import annotations

import contextlib
import csv
import ctypes
import errno
import gzip
import json
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from replication.errors import UserError

__all__ = [
    "check_target",
    "differing_rows",
    "exclusive",
    "finish_writing",
    "gzip_packer",
    "replace_folder",
    "table_path",
    "table_rows",
    "take_over",
    "temporary_folder",
    "write_atomic",
    "write_together",
]

_LOCK = ".lock"
_JOURNAL = ".journal"
_STAGED = ".staged."
_HALF = ".half"  # the ending of a file that is being written
_LONGEST_WAIT = 1800.0  # seconds: a release with all samplers takes a few minutes
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux's renameat2
_AT_FDCWD = -100
_A_DAY = 86_400.0  # seconds; no command takes as long
# Rows of the longest table that a report hands out as plain text, 150 to 300 kB. A longer one is compressed to a tenth:
# R and pandas read it as it is, and a report of ten times the works can still be sent.
_MOST_PLAIN = 1000


@contextlib.contextmanager
def exclusive(folder: Path, name: str = _LOCK) -> Iterator[None]:
    """Hold the lock of a folder while reading and changing what is in it; what a killed writer left is put right first.

    The lock may be taken again by whoever holds it. It ends with the process, however that ends.

    Parameters
    ----------
    folder : where the lock file lies.
    name : the lock file's name, for the lock of something in a folder that is not ours.

    Raises
    ------
    UserError
        when the lock cannot be taken: the folder cannot be written to, something else is in the place of the lock file,
        or another command has been writing for half an hour.
    """
    import filelock

    path = folder / name
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder, so nothing can be written in it; check the path")
    try:
        # No soft lock as a way out: it would outlive a killed process and block everybody after it.
        # Who may write in the folder may take its lock, whoever made the lock file.
        rights = stat.S_IMODE(folder.stat().st_mode) & 0o666
        lock = filelock.FileLock(path, mode=rights, is_singleton=True, fallback_to_soft=False)
        if not _taken(lock, 1.0):
            sys.stderr.write(f"waiting: another command is writing to {folder}\n")
            if not _taken(lock, _LONGEST_WAIT):
                raise UserError(f"another command has been writing to {folder} for half an hour; wait for it or end it")
    except OSError as error:
        raise UserError(_why_no_lock(path, error)) from error
    try:
        _complete(folder)
        if name == _LOCK:
            _sweep_files(folder)
        yield
    finally:
        lock.release()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: beside its place, then renamed.

    The umask decides who may read a new file; one that was there keeps its rights, so that nobody is locked out of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}{_HALF}")
    try:
        _write_new(half, content if isinstance(content, bytes) else content.encode("utf-8"))
        _keep_rights(half, path)
        half.replace(path)
        _keep_names(path.parent)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def write_together(folder: Path, texts: Mapping[str, str | None]) -> None:
    """Write several files of a folder, all or none; called by who holds its lock.

    Parameters
    ----------
    folder : whose lock is held.
    texts : contents by path relative to the folder; None removes the file. Folders on the way are made.
    """
    staged = folder / f"{_STAGED}{secrets.token_hex(4)}"
    try:
        staged.mkdir()
        for number, text in enumerate(texts.values()):
            if text is not None:
                _write_new(staged / str(number), text.encode("utf-8"))
        names = [[name, text is not None] for name, text in texts.items()]
        _write_new(staged / "names.json", json.dumps(names).encode())
        _keep_names(staged)
        staged.rename(folder / _JOURNAL)  # from here on the change is certain: whoever comes next completes it
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    _keep_names(folder)
    _complete(folder)


def finish_writing(folder: Path) -> None:
    """Complete a change of several files that a kill interrupted; nothing where there is none.

    Called by who is about to read. One in progress is waited for.

    Raises
    ------
    UserError
        when it cannot be completed here, since what is in the folder is then neither old nor new.
    """
    if (folder / _JOURNAL).exists():
        with exclusive(folder):
            pass  # taking the lock completes it


def _complete(folder: Path) -> None:
    journal = folder / _JOURNAL
    if not journal.exists():
        return
    try:
        for number, (name, stays) in enumerate(json.loads((journal / "names.json").read_text(encoding="utf-8"))):
            target = _inside(folder, name)
            if stays:
                _put_in_place(journal / str(number), target)
            else:
                target.unlink(missing_ok=True)
        _keep_names(folder)
        done = folder / f"{_STAGED}{secrets.token_hex(4)}"
        journal.rename(done)  # in one step: half a journal could not be told from a damaged one
        shutil.rmtree(done)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{journal} is a change that was interrupted and cannot be completed ({error}); if you may not write "
            f"there, ask who may; else delete it and restore {folder} from version control"
        ) from error


@contextlib.contextmanager
def replace_folder(target: Path, mark: str = "run.json") -> Iterator[Path]:
    """A new, empty folder to fill; on success it takes the place of `target` in one step, on failure it vanishes.

    Called by who holds a lock for `target` (`exclusive`): what a killed run left beside it is removed.

    `mark` is the file by which a folder written by this program is known.

    Raises
    ------
    UserError
        when `target` exists and lacks the mark, so that a mistyped `--out` deletes nothing of the user's.
    """
    check_target(target, mark)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep_folders(target)
    building = target.with_name(f".{target.name}.building.{secrets.token_hex(4)}")
    building.mkdir()
    try:
        yield building
        _swap(building, target)
        _keep_names(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def take_over(old: Path, new: Path, content: bytes) -> None:
    """Put a file of an old folder, of which this is the content, into the one that is being built.

    Where the disk can, it is the same file under a second name: nothing is copied, and the old folder is removed in no
    time. Nobody writes into a file of either folder; what changes is a new file.
    """
    for _ in range(2):
        try:
            os.link(old, new)
            return
        except FileNotFoundError:
            new.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            new.unlink()
        except OSError:  # another disk, or one without second names
            break
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_bytes(content)


@contextlib.contextmanager
def temporary_folder(purpose: str, within: Path | None = None) -> Iterator[Path]:
    """A new folder for what nobody keeps, gone at the end; what killed processes left for this purpose goes first.

    `within` is where it is made, in place of the system's folder for temporary files; its name says whose it is.
    """
    above = Path(tempfile.gettempdir()) if within is None else within
    start = f".replication-{purpose}."
    for left in above.glob(f"{start}*"):
        if not left.is_symlink() and not _at_work(left, left.name.removeprefix(start).partition(".")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{start}{os.getpid()}.", dir=above))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_target(target: Path, mark: str = "run.json") -> None:
    """Whether a folder can be written to `target`: tried, and said, before anything is computed.

    Raises
    ------
    UserError
        when it is no folder, holds what this program did not write, or its place cannot be written to.
    """
    above = next((parent for parent in target.parents if parent.exists()), target)
    if not above.is_dir():
        raise UserError(f"{above} is not a folder, so {target} cannot be made in it; choose another --out")
    _refuse_foreign(target, mark)
    probe = above / f".{secrets.token_hex(4)}{_HALF}"
    try:
        probe.mkdir()  # asking for the rights is not enough: a read-only mount refuses the superuser, too
        probe.rmdir()
    except OSError as error:
        reason = (error.strerror or "refused").lower()
        raise UserError(f"{above} cannot be written to ({reason}); choose another --out") from error


def _taken(lock: object, seconds: float) -> bool:
    import filelock

    try:
        lock.acquire(timeout=seconds)  # type: ignore[attr-defined]
    except filelock.Timeout:
        return False
    return True


def _why_no_lock(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP or path.is_symlink():
        return f"{path} is a link where the lock file of this program belongs; delete it and run again"
    if path.exists() and not stat.S_ISREG(path.lstat().st_mode):
        return f"{path} is no file, but the lock file of this program belongs there; delete it and run again"
    reason = (error.strerror or "refused").lower()
    return (
        f"{path.parent} cannot be written to ({reason}): {path.name} cannot be made or opened; check your rights to it"
    )


def _write_new(path: Path, content: bytes) -> None:
    """A file that was not there, on the disk when this returns; made with the rights the umask leaves."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _keep_rights(half: Path, target: Path) -> None:
    """A file that takes the place of another gets its rights, as far as the system lets us."""
    with contextlib.suppress(OSError):
        half.chmod(stat.S_IMODE(target.stat().st_mode))


def _keep_names(folder: Path) -> None:
    """Renames reach the disk with their folder; where a system cannot, it keeps them in its own time."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _inside(folder: Path, name: object) -> Path:
    """A path of the journal; none leads out of the folder, whoever wrote the journal."""
    parts = Path(str(name)).parts
    if not parts or ".." in parts or Path(str(name)).is_absolute():
        raise ValueError(f"a name that leads elsewhere: {str(name)[:60]}")
    return folder.joinpath(*parts)


def _put_in_place(staged: Path, target: Path) -> None:
    """One file of a journal; what an interrupted run has put in place already is there and no longer staged."""
    if staged.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _keep_rights(staged, target)
        staged.replace(target)
    elif not target.exists():
        raise FileNotFoundError(target)


def _sweep_files(folder: Path) -> None:
    """Remove what killed writers left in a folder whose lock is held: nobody is writing there now."""
    for depth in ("", "*/", "*/coders/"):  # where files are written; going through whole reports would take its time
        for left in folder.glob(f"{depth}.*{_HALF}"):
            with contextlib.suppress(OSError):
                left.rmdir() if left.is_dir() and not left.is_symlink() else left.unlink()
    for left in folder.glob(f"{_STAGED}*"):
        shutil.rmtree(left, ignore_errors=True)


def _sweep_folders(target: Path) -> None:
    """Remove what a killed run left beside `target`, whose lock is held; an old report put aside comes back first."""
    for aside in target.parent.glob(f".{target.name}.old.*"):
        if not target.exists():
            aside.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    for left in target.parent.glob(f".{target.name}.building.*"):
        shutil.rmtree(left, ignore_errors=True)


def _at_work(folder: Path, process: str) -> bool:
    """Whether the process that made a temporary folder may still run; a name of another form is not ours to judge."""
    if not process.isascii() or not process.isdigit() or len(process) > 9:
        return True
    if os.name != "posix":  # asking for a process would end it there
        with contextlib.suppress(OSError):
            return time.time() - folder.stat().st_mtime < _A_DAY
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _refuse_foreign(target: Path, mark: str) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UserError(f"{target} is not a folder; choose another --out")
    if target.is_dir() and any(target.iterdir()) and not (target / mark).exists():
        what = "a report" if mark == "run.json" else "an export"
        raise UserError(
            f"{target} holds files that are not {what}; choose an empty or new folder for --out, or delete it"
        )


def _swap(building: Path, target: Path) -> None:
    """Put `building` in the place of `target`: an atomic exchange where the system has one, else two renames."""
    if not target.exists():
        building.rename(target)
    elif not _exchange(building, target):
        aside = building.with_name(building.name.replace("building", "old"))
        target.rename(aside)
        building.rename(target)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(a: Path, b: Path) -> bool:
    """Linux's atomic exchange of two folders; False where it is not available."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), ctypes.c_uint(_EXCHANGE))
    return done == 0


def gzip_packer() -> Any:
    """What packs bytes piece by piece for a gzip file: no time of writing is in it, so equal input is equal bytes."""
    return zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)


def table_path(path: str, rows: int) -> str:
    """The path of a table of so many rows in a report's folder: that of a plain file, or of a compressed one."""
    return f"{path}.gz" if rows > _MOST_PLAIN else path


def table_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table a report hands out, plain or compressed, as text; none where the report has no such table."""
    return _named_cells(_lines(path))


def differing_rows(before: Path, after: Path) -> tuple[Iterator[dict[str, str]], Iterator[dict[str, str]]]:
    """The rows of two tables, as `table_rows` gives them, without those that are the same text in both."""
    old, new = _lines(before), _lines(after)
    # Whole lines are told apart before they are read: of two reports nearly all are alike. Not where columns differ,
    # nor where a cell goes over several lines.
    if old[:1] == new[:1] and not any(line.count(b'"') % 2 for line in chain(old, new)):
        same = set(old[1:]).intersection(new[1:])
        old, new = ([*lines[:1], *(line for line in lines[1:] if line not in same)] for lines in (old, new))
    return _named_cells(old), _named_cells(new)


def _lines(path: Path) -> list[bytes]:
    # As bytes, line by line: decoded at once, half a million rows are a gigabyte.
    packed = path.with_name(f"{path.name}.gz")
    if not path.exists() and not packed.exists():
        return []
    with path.open("rb") if path.exists() else gzip.open(packed, "rb") as stream:
        return list(stream)


def _named_cells(lines: Iterable[bytes]) -> Iterator[dict[str, str]]:
    # As csv.DictReader does, which takes three times as long over thousands of rows.
    reader = csv.reader(line.decode("utf-8") for line in lines)
    names = next(reader, [])
    return (dict(zip_longest(names, cells)) for cells in reader if cells)
