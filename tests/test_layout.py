"""The house itself: rooms in the order of the floor plan, nothing too long, names that say what is inside."""

import ast
import re
from pathlib import Path

import pytest

from agent import plugins

ROOT = Path(__file__).parent.parent
SOURCES = sorted(p for folder in ("agent", "convert", "models") for p in (ROOT / folder).rglob("*.py"))
OTHERS = sorted(
    path
    for folder in ("tests", "systemd")
    for path in (ROOT / folder).rglob("*.py")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)  # where benches install their peers
)
PLUGIN_FOLDERS = ("capture/cameras", "detect/backends", "detect/heads", "anomalies", "publish/topics", "cli")
PLUGIN_FOLDERS += ("detect/secondary/kinds",)


def rooms(package: str) -> list[str]:
    """Names of the rooms, top to bottom, from the docstring that is the floor plan."""
    text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))
    assert text
    return re.findall(r"^(\w+)  +\S", text, re.M)


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if len(parts) > 1 else "__init__"


def imported(path: Path) -> list[tuple[str, str]]:
    """(package, room) of every import at module level or below."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            found += [(parts[0], name) for name in names]
        elif isinstance(node, ast.Import):
            found += [tuple(f"{alias.name}.".split(".")[:2]) for alias in node.names]
    return [(package, room) for package, room in found if package in ("agent", "convert", "models")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_up_the_floor_plan(path: Path) -> None:
    package, room = path.relative_to(ROOT).parts[0], room_of(path)
    order = rooms(package)
    if room == "__init__":
        return
    assert room in order, f"{room} has no line in {package}/__init__.py"
    for other_package, other in imported(path):
        if other_package == "convert":
            assert package != "agent", f"{path} imports convert"
        if other_package == "models":
            assert package == "models", f"{path} imports models"
        if other_package == package and other in order:
            assert order.index(other) <= order.index(room), f"{path}: {room} imports {other}, which stands below it"


@pytest.mark.parametrize("path", [*SOURCES, *OTHERS], ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_is_too_long_to_read(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300
    assert path.stem not in ("utils", "helpers", "common", "core", "base", "manager", "misc")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and path.name != "pipeline.py":
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 40, f"{path.name}: {node.name}"


@pytest.mark.parametrize("package", ["agent", "convert", "models"])
def test_every_line_of_the_floor_plan_is_a_room(package: str) -> None:
    for room in rooms(package):
        assert (ROOT / package / f"{room}.py").exists() or (ROOT / package / room).is_dir(), room


@pytest.mark.parametrize("folder", PLUGIN_FOLDERS)
def test_plugins_are_found_by_name_and_explain_themselves(folder: str) -> None:
    assert plugins.names(folder)
    for kind in plugins.names(folder):
        assert (plugins.get(folder, kind).__doc__ or "").strip()


def test_an_unknown_plugin_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match="has no 'nix'; there are: centernet, classify"):
        plugins.get("detect/heads", "nix")
