"""`python -m replication.run`: check the data, run every analysis, write `reports/latest/` and print the verdicts."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from replication import paths
from replication.command_line import run_command
from replication.errors import UserError

__all__ = ["main"]

_ABOUT = """Recompute the published numbers and write the report.

Exit codes: 0 done, 1 something to mend (said in one line) or an analysis failed, 2 --check found a difference."""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are those of every command: one line, exit code 1."""

    def error(self, message: str) -> NoReturn:
        """Say what was not understood, and which option it looks like."""
        word = message.rpartition(" ")[2].partition("=")[0]
        close = get_close_matches(word, self._option_string_actions, 1) if "unrecognized" in message else []
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UserError(f"{message}{hint} (see --help)")


def _parser() -> argparse.ArgumentParser:
    """What may stand on the command line.

    By argparse, where the other commands have typer: that one takes longer to load than seeing that nothing changed.
    """
    parser = _Parser(
        "python -m replication.run",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_deeds(parser)
    add = parser.add_argument
    add("ids", nargs="*", metavar="ID", help="analyses to run; all when none is named")
    add(
        "--out",
        type=_path,
        metavar="DIR",
        help="folder of the report (default: reports/latest, or reports/partial when analyses are named)",
    )
    add(
        "--data",
        type=_path,
        metavar="DIR",
        help="a project (a topic of your own), or a folder of works (default: data/references)",
    )
    add("--jobs", type=_count, default=0, metavar="N", help="processes; 0, the default, means one per core")
    add("--seed", type=_count, default=2024, metavar="N", help="seed of every random number (default: 2024)")
    add(
        "--sampling",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the models that sample (PyMC), the default; without, seconds",
    )
    add("--as-of", default="", metavar="X.Y.Z", help="use the dataset as it stood at that version")
    add(
        "--keep",
        action="store_true",
        help="renew analyses/kept, the slow results that a fresh checkout starts with",
    )
    add("--quiet", "-q", action="store_true", help="print only errors")
    return parser


def _add_deeds(parser: argparse.ArgumentParser) -> None:
    """What else than making the report may be asked for."""
    add, version = parser.add_argument, "X.Y.Z"
    add("--list", action="store_true", help="list the analyses and stop")
    add("--check", action="store_true", help="recompute and compare with the stored report; exit 2 on a difference")
    add("--release", metavar=version, help="freeze the report as reports/vX.Y.Z and list it")
    add("--withdraw", metavar=version, help="flag a released report as withdrawn; give a --reason")
    add("--reason", default="", metavar="WHY", help="why a release is withdrawn")


def _count(text: str) -> int:
    """A whole number from 0; argparse words a ValueError by the type's name, so this one words its own."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0")
    return int(text)


def _path(text: str) -> Path:
    # An empty name would be the folder one stands in.
    if not text:
        raise argparse.ArgumentTypeError("found nothing, expected a folder")
    return Path(text)


def _run() -> int:
    """Do what the command line asks: the exit code."""
    from replication import workflow

    given = _parser().parse_intermixed_args()
    dataset = paths.dataset_of(given.data)  # before anything else is asked of paths: it may name another project
    request = workflow.Request(
        ids=tuple(given.ids),
        data=dataset,
        # A run of some analyses must not take the place of the whole report.
        out=given.out.absolute() if given.out else paths.reports_dir() / _folder(given),
        jobs=given.jobs,
        seed=given.seed,
        sampling=given.sampling,
        as_of=given.as_of,
        quiet=given.quiet,
        keep=given.keep,
    )
    _refuse_together(given)
    # A release elsewhere, or of other data, would stand in the list of this project's releases.
    if given.release is not None and (given.out is not None or dataset != paths.data_dir()):
        raise UserError("--release writes the project's own dataset to reports/vX.Y.Z: leave out --out and --data")
    if given.list:
        workflow.print_analyses(request)
    elif given.check:
        return workflow.compare(request)
    elif given.withdraw is not None:
        workflow.withdraw_release(given.withdraw, given.reason)
    elif given.release is not None:
        return workflow.make_release(request, given.release)
    else:
        return workflow.make_report(request)
    return 0


def _refuse_together(given: argparse.Namespace) -> None:
    """Options that each ask for another deed are refused together: one of them would be ignored in silence."""
    deeds = {"--list": given.list, "--check": given.check, "--release": given.release, "--withdraw": given.withdraw}
    asked = [name for name, value in deeds.items() if value not in (False, None)]
    if len(asked) > 1:
        raise UserError(f"{asked[0]} and {asked[1]} ask for two different things; run them one after the other")


def _folder(given: argparse.Namespace) -> str:
    if given.as_of:
        return f"as-of-{given.as_of}"
    return "partial" if given.ids and not given.check else "latest"


def main() -> None:
    """Run the command."""
    run_command(_run, stopped="stopped; the previous report is whole")


if __name__ == "__main__":
    main()
