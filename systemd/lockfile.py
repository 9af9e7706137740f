"""What of requirements.lock some groups of requirements need, each with the hashes of its files, for pip to check.

    python systemd/lockfile.py build agent sim > sim.lock && pip install --require-hashes -r sim.lock

A group is `build` (what builds our own wheel), `agent` (what the agent imports) or an extra of pyproject.toml. The
lock, written by `make lock`, has every package of every group; its comments "# via" say which others need it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@dataclass(eq=False)
class Locked:
    """One version of one package."""

    requirement: Requirement
    hashes: list[str] = field(default_factory=list)  # "sha256:..." of each of its files
    needed_by: set[str] = field(default_factory=set)  # names

    @property
    def name(self) -> str:
        """As all spellings of it are compared."""
        return str(canonicalize_name(self.requirement.name))

    @property
    def version(self) -> str:
        """The one it is pinned to."""
        return str(self.requirement.specifier).removeprefix("==")

    def holds(self, target: Mapping[str, str] | None = None) -> bool:
        """Whether it is for a machine, told by what markers speak of; None: for this one."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(dict(target) if target else None)

    def __str__(self) -> str:
        """A line for pip, without the marker, which holds or it would not be asked for."""
        return " ".join((f"{self.name}=={self.version}", *(f"--hash={one}" for one in self.hashes)))


def entries(text: str) -> list[Locked]:
    """All of a lock file as uv writes it, annotations below each package, or as pip is given it here."""
    found: list[Locked] = []
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            head, *hashes = line.removesuffix("\\").strip().split(" --hash=")
            found.append(Locked(Requirement(head), hashes))
        elif match := re.match(r" +--hash=(\S+)", line):
            found[-1].hashes.append(match[1])
        elif match := re.match(r" +#(?: via)? +([A-Za-z0-9._-]+)", line):
            found[-1].needed_by.add(str(canonicalize_name(match[1])))
    return found


def cut(groups: Iterable[str], target: Mapping[str, str] | None = None, lock: Path | None = None) -> list[Locked]:
    """What the groups need on a machine (None: this one), with all that this needs. Raises SystemExit."""
    text = (lock or ROOT / "requirements.lock").read_text("utf-8")
    there = [one for one in entries(text) if one.holds(target)]
    asked = [one for group in groups for one in requirements(group)]
    chosen = {str(canonicalize_name(one.name)) for one in asked if Locked(one).holds(target)}
    if missing := chosen - {one.name for one in there}:
        raise SystemExit(f"lookout: requirements.lock has no {', '.join(sorted(missing))}; make lock")
    while more := {one.name for one in there if one.needed_by & chosen} - chosen:
        chosen |= more
    return [one for one in there if one.name in chosen]


def requirements(group: str) -> Iterator[Requirement]:
    """Those of pyproject.toml; an extra of our own that another one names stands for its lines. Raises SystemExit."""
    project = _PROJECT["project"]
    lines = {"build": _PROJECT["build-system"]["requires"], "agent": project["dependencies"]}
    if group not in (known := lines | project["optional-dependencies"]):
        raise SystemExit(f"lookout: no requirements {group!r}; there are: {', '.join(known)}")
    for one in map(Requirement, known[group]):
        if one.name != project["name"]:
            yield one
            continue
        for extra in one.extras:
            yield from requirements(extra)


if __name__ == "__main__":
    sys.stdout.write("".join(f"{one}\n" for one in cut(sys.argv[1:])))
