"""A command in a process of its own that is killed, for good, at its n-th write event.

The process is a fork of the test's, so it starts in no time; what kills it is `os._exit`, which runs no clean-up of any
kind: what lies on the disk afterwards is what a power cut of the process leaves.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

__all__ = ["KILLED", "STEP", "forked", "kills", "study"]

KILLED, NETWORK = 99, 97
STEP = int(os.environ.get("KILL_STEP", "3"))
"""Every how many-th event a test kills at: `make fuzz` takes each of them."""
_EVENTS = ("mkdir", "open", "replace", "rename", "rmdir", "unlink", "fsync", "link")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_PROCESS = Path("/proc/self/fd")


def study(*arguments: object) -> Callable[[], int]:
    """`python -m replication.study ARGUMENTS` as something to do; gives its exit code."""

    def act() -> int:
        from replication.study.commands import main

        sys.argv = ["study", *map(str, arguments)]
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return act


def forked(act: Callable[[], int], event: int = 0, said: Path | None = None, *, within: Path | None = None) -> int:
    """Do something in a fork and give its exit code; at the `event`-th write event it is killed (0: never).

    `within` is the folder whose write events count; all where none is given.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 98
    try:
        stream = os.open(said or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        sys.addaudithook(_stay_at_home)
        if event:
            _arm(event, within)
        code = act()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def kills(
    make: Callable[[int], Path], act: Callable[[Path], Callable[[], int]], most: int = 200
) -> Iterator[tuple[int, Path]]:
    """Kill what is done at its first, second, … write event, each time in a place of its own, until it gets to its end.

    Parameters
    ----------
    make : the place for the n-th kill, freshly made.
    act : what is done there.
    most : events after which a test gives up.

    Yields each event and its place, as the kill left it.
    """
    for event in range(1, most, STEP):
        place = make(event)
        if forked(act(place), event, within=place.parent) != KILLED:
            return
        yield event, place
    raise AssertionError(f"more than {most} write events")


def _stay_at_home(event: str, arguments: tuple[object, ...]) -> None:
    """No command asks the network for anything: what does is ended, which no test takes for success."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        sys.stderr.write(f"the command asked the network: {event} {arguments}\n")
        sys.stderr.flush()
        os._exit(NETWORK)


def _arm(event: int, within: Path | None) -> None:
    """From now on every event that changes the disk is counted; the process is gone before the `event`-th happens.

    Events elsewhere than `within` are not: a command may do its thinking in a copy that nobody ever sees.
    """
    count = 0

    def counted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            if _writes(name, arguments) and (within is None or _place(arguments[0], options).is_relative_to(within)):
                count += 1
                if count >= event:
                    os._exit(KILLED)
            return real(*arguments, **options)

        return call

    for name in _EVENTS:
        setattr(os, name, counted(name, getattr(os, name)))
    io.open = builtins.open = counted("text", io.open)  # type: ignore[assignment]


def _writes(name: str, arguments: tuple[object, ...]) -> bool:
    """Whether a call changes the disk; opening does in some modes only."""
    how = arguments[1] if len(arguments) > 1 else ""
    if name == "open":
        return isinstance(how, int) and bool(how & _WRITES)
    return name != "text" or (isinstance(how, str) and bool(set(how) & set("wax+")))


def _place(path: object, options: Mapping[str, object]) -> Path:
    """Where a call changes the disk: its first argument, which may be a handle, or relative to one."""
    if isinstance(path, int):
        return (_PROCESS / str(path)).readlink()
    folder = options.get("dir_fd")
    above = Path.cwd() if folder is None else (_PROCESS / str(folder)).readlink()
    return above / os.fsdecode(path)  # type: ignore[arg-type]
