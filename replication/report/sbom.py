"""The bill of materials of a release: every package a run needs, its version and its licence, as CycloneDX 1.5.

The licence is what the package itself declares as an SPDX expression; older packages declare it in words or in the
licence file alone, which are read here. `COMPATIBLE` are those that may stand beneath code under MIT. The same
environment gives the same bytes: neither a date nor a random number goes in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from replication.errors import UserError

__all__ = ["COMPATIBLE", "Package", "bill_of_materials", "needed_packages"]

COMPATIBLE = frozenset(
    (
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "HPND",
        "ISC",
        "LGPL-3.0-only",  # imported as it stands and never changed, as that licence asks: cons, beneath PyMC alone
        "LLVM-exception",
        "MIT",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
        "Unlicense",
        "Zlib",
    )
)
"""Licences, and exceptions to them, that may stand beneath code under MIT; GPL and AGPL are none of them."""

_IN_WORDS = (
    (r"GNU AFFERO", "AGPL-3.0-or-later"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3", "LGPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "GPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 2", "GPL-2.0-only"),
    (r"Mozilla Public License", "MPL-2.0"),
    (r"Apache(-2\.0| License,? *(Version )?2\.0| Software License)", "Apache-2.0"),
    (r"\bISC\b", "ISC"),
    (r"Neither the name|\bBSD[- ]3|3-Clause BSD|names? of (its|the) contributors", "BSD-3-Clause"),
    (r"Redistributions? in binary form|\bBSD[- ]2|2-clause BSD", "BSD-2-Clause"),
    (r"Permission is hereby granted, free of charge|\bMIT\b", "MIT"),
    (r"PSFL?\b|Python Software Foundation", "PSF-2.0"),
)
"""How a licence is known by its words, the strictest first."""
_HEAD = 1700  # letters: a package's own licence; those of what it bundles (of compilers, say) stand behind it


_APART = ("docs", "dev", "report")  # extras that bring nothing an analysis runs, or nothing of their own


@dataclass(frozen=True, slots=True)
class Package:
    """One package: its name as the index writes it, version, SPDX expression ("" where nobody can tell)."""

    name: str
    version: str
    licence: str


def needed_packages(root: Path) -> tuple[Package, ...]:
    """Every package a run needs, with what those need in turn, as they are installed here.

    Parameters
    ----------
    root : the checkout, whose `pyproject.toml` names what is needed; away from one the installed package does.
    """
    found: dict[str, Package] = {}
    waiting = [(requirement, "") for requirement in _declared(root)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        name, extras = _read(requirement, extra)
        for wanted in ("", *extras) if name else ():
            # A package can be asked for again with an extra, which brings requirements of its own.
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                distribution = _installed(name)
                found[name] = Package(name, distribution.version, licence_of(distribution))
                waiting += [(further, wanted) for further in distribution.requires or ()]
    return tuple(found[name] for name in sorted(found))


def _installed(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise UserError(
            f"{name} is not installed, so its licence cannot be stated; a release needs every extra: "
            "pip install 'tsr-replication[dev]', or make test, which installs it"
        ) from None


def licence_of(distribution: metadata.Distribution) -> str:
    """The licence a package declares, as an SPDX expression; "" where neither it nor its licence file says."""
    about = distribution.metadata
    # asked by membership: a field that is not there is an error in some versions of the library, None in others
    if "License-Expression" in about:
        return str(about["License-Expression"])
    classified = [c for c in about.get_all("Classifier") or () if c.startswith("License")]
    texts = (*_licence_files(distribution), str(about["License"] or "") if "License" in about else "", *classified)
    for text in (text[:_HEAD] for text in texts):
        known = next((spdx for words, spdx in _IN_WORDS if re.search(words, text, re.IGNORECASE)), "")
        if known:
            return known
    return ""


def bill_of_materials(packages: Sequence[Package], version: str) -> Mapping[str, object]:
    """The bill as CycloneDX writes it, ready for JSON; `version` is that of the release it belongs to."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "tsr-replication",
                "version": version,
                "licenses": [{"expression": "MIT AND CC-BY-4.0"}],
            }
        },
        "components": [
            {
                "type": "library",
                "name": package.name,
                "version": package.version,
                "purl": f"pkg:pypi/{package.name}@{package.version}",
                "licenses": [{"expression": package.licence}],
            }
            for package in packages
        ],
    }


def _declared(root: Path) -> list[str]:
    """What this project needs, with the extras a run can use, by `pyproject.toml` or by the installed package."""
    beside = Path(__file__).parents[2]  # where the checkout has it, whatever folder a run is made for
    for project in (root / "pyproject.toml", beside / "pyproject.toml"):
        if project.exists():
            declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
            extras = declared.get("optional-dependencies", {})
            return [*declared["dependencies"], *(r for name in extras if name not in _APART for r in extras[name])]
    try:
        every = metadata.requires("tsr-replication") or ()
        return [r.partition(";")[0] for r in every if not any(f'"{name}"' in r for name in _APART)]
    except metadata.PackageNotFoundError:
        raise UserError("nobody says what this project needs: no pyproject.toml and no installed package") from None


def _read(requirement: str, extra: str) -> tuple[str, tuple[str, ...]]:
    """The name and the extras a requirement asks for; "" where it does not count on this system."""
    from packaging.requirements import Requirement

    # By the packaging library: markers such as `python_version < "3.11"` are a language of their own.
    parsed = Requirement(requirement)
    if parsed.marker is not None and not parsed.marker.evaluate({"extra": extra}):
        return "", ()
    return re.sub(r"[-_.]+", "-", parsed.name).lower(), tuple(sorted(parsed.extras))


def _licence_files(distribution: metadata.Distribution) -> Iterator[str]:
    for file in distribution.files or ():
        if re.search(r"dist-info/(licenses/)?(LICEN[CS]E|COPYING)[^/]*$", str(file), re.IGNORECASE):
            yield file.read_text(encoding="utf-8")
