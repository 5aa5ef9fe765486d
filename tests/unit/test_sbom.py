"""The bill of materials: every package with a licence that may stand beneath ours; what may not is found."""

from __future__ import annotations

import re
from email.message import Message
from pathlib import Path

import pytest

from replication import paths
from replication.errors import UserError
from replication.report.sbom import COMPATIBLE, Package, bill_of_materials, licence_of, needed_packages

ROOT = paths.project_root()
JOINED = ("AND", "OR", "WITH")


@pytest.fixture(scope="module")
def packages() -> tuple[Package, ...]:
    return needed_packages(ROOT)


def test_every_package_a_run_needs_has_a_licence_that_may_stand_beneath_ours(packages: tuple[Package, ...]) -> None:
    assert {"numpy", "pymc", "filelock", "typst", "pyreadstat"} <= {package.name for package in packages}
    for package in packages:
        words = set(re.findall(r"[A-Za-z0-9.-]+", package.licence)) - set(JOINED)
        assert words and words <= COMPATIBLE, package


def test_every_package_stands_in_the_lock_with_a_hash(packages: tuple[Package, ...]) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    hashed = re.findall(r"^([\w.-]+)==.*\\\n +--hash=sha256:", lock, re.MULTILINE)
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in hashed}
    every = set(re.findall(r"^([\w.-]+)==", lock, re.M))
    assert len(pinned) == len(every)
    missing = {package.name for package in packages} - pinned
    assert not missing, f"make requirements.lock anew (CONTRIBUTING.md): {sorted(missing)}"


class Stated:
    """A package as its metadata states it."""

    files = None

    def __init__(self, **fields: str) -> None:
        self.metadata = Message()
        for name, value in fields.items():
            self.metadata[name.replace("_", "-")] = value


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License_Expression": "MIT OR Apache-2.0", "License": "GPL"}, "MIT OR Apache-2.0"),
        ({"License": "GNU AFFERO GENERAL PUBLIC LICENSE Version 3"}, "AGPL-3.0-or-later"),
        ({"License": "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007"}, "GPL-3.0-only"),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "who knows"}, ""),
    ],
)
def test_a_licence_is_read_as_it_is_stated_and_never_guessed(fields: dict[str, str], licence: str) -> None:
    assert licence_of(Stated(**fields)) == licence  # type: ignore[arg-type]
    assert licence in ("MIT", "MIT OR Apache-2.0") or licence not in COMPATIBLE


def test_the_bill_is_cyclonedx_and_the_same_each_time(packages: tuple[Package, ...]) -> None:
    bill = bill_of_materials(packages, "1.2.0")
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.5", 1)
    components = bill["components"]
    assert isinstance(components, list) and len(components) == len(packages)
    assert all(
        c["purl"] == f"pkg:pypi/{c['name']}@{c['version']}" and c["licenses"][0]["expression"] for c in components
    )
    assert bill == bill_of_materials(needed_packages(ROOT), "1.2.0")


def test_without_anybody_to_say_what_is_needed_there_is_no_empty_bill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    def unknown(_name: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr("replication.report.sbom.__file__", str(tmp_path / "a" / "b" / "c" / "sbom.py"))
    monkeypatch.setattr(metadata, "requires", unknown)
    with pytest.raises(UserError, match="nobody says"):
        needed_packages(tmp_path)
