"""The README tells the truth: its commands run, its config parses, its topics are those that are published."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from agent import config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def commands() -> list[str]:
    """Every `python -m agent ...` line of the shell blocks, but those that run until they are stopped."""
    lines = [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("python -m agent") and " run " not in line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the README's files lie: its agent.toml, a picture and a clip."""
    (tmp_path / "agent.toml").write_text(blocks("toml")[0], "utf-8")
    (tmp_path / "models").symlink_to(ROOT / "models")
    picture = cv2.UMat(192, 320, cv2.CV_8UC3, (90, 120, 60)).get()
    cv2.imwrite(str(tmp_path / "street.jpg"), picture)
    writer = cv2.VideoWriter(str(tmp_path / "street.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (320, 192))
    for _ in range(5):
        writer.write(picture)
    writer.release()
    return tmp_path


def test_there_are_commands_to_run() -> None:
    assert {line.split()[3] for line in commands()} >= {"check", "detect", "replay"}


@pytest.mark.parametrize("line", commands())
def test_its_commands_run(line: str, folder: Path) -> None:
    command = [sys.executable, *shlex.split(line)[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)

    assert done.returncode == 0, done.stderr


def test_its_config_is_25_lines_and_good(folder: Path) -> None:
    text = blocks("toml")[0]

    assert len(text.splitlines()) <= 25
    assert config.load(folder / "agent.toml").cameras


def test_its_further_sections_are_good_below_it(folder: Path) -> None:
    (folder / "agent.toml").write_text("\n".join(blocks("toml")), "utf-8")

    assert set(config.load(folder / "agent.toml").cameras["door"].anomalies) == {"night", "tamper"}


def test_its_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`make ([a-z0-9-]+)", README)) | set(
        re.findall(r"^make ([a-z0-9-]+)", "\n".join(blocks("sh")), re.M)
    )

    assert named
    assert named <= targets


def test_its_walk_names_every_room() -> None:
    plan = (ROOT / "agent" / "__init__.py").read_text()
    for room in re.findall(r"^(\w+)  +\S", plan, re.M):
        assert f"`{room}" in README, room


def test_its_topic_table_is_what_is_published() -> None:
    """Row by row the one that is made from the payloads' structs, but for where its links point."""
    table = re.search(r"^\| topic .*?\n\n", README, re.M | re.S)
    made = re.search(r"^\| topic .*?\n\n", (ROOT / "docs" / "mqtt" / "README.md").read_text(), re.M | re.S)
    assert table
    assert made
    assert table[0].replace("](docs/mqtt/", "](") == made[0]


def test_its_pictures_and_links_exist() -> None:
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", README):
        assert (ROOT / target.split("#")[0]).exists(), target


def test_make_alone_prints_help() -> None:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)

    assert "make sim" in done.stdout
    assert "make test" in done.stdout
