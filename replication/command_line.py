"""Running a command: whatever happens is one plain message and an exit code, never a traceback.

Exit codes: 0 done, 1 something to mend, 2 a difference was found (`--check`), 130 stopped at the keyboard.
"""

from __future__ import annotations

import codecs
import gc
import os
import sys
import traceback
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from replication.errors import UserError
from replication.lazily import missing_extra

if TYPE_CHECKING:
    import typer

__all__ = ["plain_letters", "run_command", "typer_command"]

_STOPPED = 130
_PLAIN = str.maketrans({"→": "->", "…": "...", "–": "-", "—": "-", "−": "-", "·": "-", "×": "x", "≤": "<=", "≥": ">="})


def run_command(command: Callable[[], object], stopped: str) -> None:
    """Run a command and exit with its code, or with one plain message and 1; `stopped` is said when interrupted."""
    _speak_plainly()
    # Nearly everything that a command makes lives to its end, so the collector of cycles seldom looks.
    gc.set_threshold(1_000_000, 20, 20)
    try:
        code = command()
        # Leaving, Python would look through all there is for cycles once more: a sixth of a second after a report.
        gc.freeze()
        sys.exit(code if isinstance(code, int) else 0)
    except KeyboardInterrupt:
        sys.exit(_say(stopped, _STOPPED))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # who read the output has gone; nothing more can be said there
        sys.exit(1)
    except Exception as error:
        # python -X dev is for maintainers: they want the traceback that users are spared.
        if sys.flags.dev_mode and not isinstance(error, UserError | OSError):
            raise
        sys.exit(_say(_in_words(error)))


def typer_command(app: typer.Typer) -> Callable[[], object]:
    """What `run_command` runs of an app of commands."""
    import typer  # only here: a run in which nothing has changed takes less time than loading it

    def command() -> object:
        try:
            code = app(standalone_mode=False)
        except typer.Exit as done:
            return done.exit_code
        except typer.Abort:
            raise KeyboardInterrupt from None
        if code == _STOPPED:  # how typer returns from an interrupt
            raise KeyboardInterrupt
        return code

    return command


def _in_words(error: Exception) -> str:
    """What a user can do about an error."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}; check that it exists and may be written to"
    if isinstance(error, MemoryError):
        return "the memory of this machine does not suffice; close other programs, or run with --jobs 1"
    if hasattr(error, "format_message"):
        return f"{error.format_message()} (see --help)"
    return _unforeseen(error)


def plain_letters(error: UnicodeError) -> tuple[str | bytes, int]:
    """What a terminal shows of letters its encoding lacks: arrows and dashes in ASCII, letters without accents, else ?.

    >>> "0,31 → .31 …, Gruzītis, 李".encode("ascii", "plain")
    b'0,31 -> .31 ..., Gruzitis, ?'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(_nearest(letter) for letter in lacking), error.end


def _nearest(letter: str) -> str:
    parts = unicodedata.normalize("NFKD", letter)
    return "".join(part for part in parts if part.isascii()) or ("" if unicodedata.combining(letter) else "?")


codecs.register_error("plain", plain_letters)


def _speak_plainly() -> None:
    """A terminal of cp1252 or ASCII, or a pipe of one, gets the nearest letters in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        # Streams that a test or a notebook has put in place need not be able to do it.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="plain")


def _unforeseen(error: Exception) -> str:
    """A fault of the program itself, with the place a maintainer needs."""
    if isinstance(error, ModuleNotFoundError) and missing_extra(error):
        return missing_extra(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "unknown place"
    words = " ".join(str(error).split())[:200]
    return (
        f"a fault of this program ({type(error).__name__} in {place}: {words}); nothing was left half-written. Please "
        f"report it with the command; python -X dev -m … shows where it comes from"
    )


def _say(message: str, code: int = 1) -> int:
    """A message may hold what stood in a file or on the command line: nothing in it steers the terminal."""
    plain = "".join(c if c.isprintable() or c == "\n" else f"<U+{ord(c):04X}>" for c in message)
    sys.stderr.write(f"error: {plain}\n")
    return code
