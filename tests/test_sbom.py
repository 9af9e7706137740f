"""`make sbom`: it validates, lists every locked package and every shipped model, and is the same each time."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parent.parent


def written(out: Path) -> str:
    subprocess.run([sys.executable, ROOT / "systemd" / "sbom.py", out], check=True, cwd=out.parent, timeout=60)
    return out.read_text("utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("sbom") / "lookout.cdx.json")


@pytest.fixture(scope="module")
def components(text: str) -> dict[str, dict[str, Any]]:
    """By their references."""
    return {one["bom-ref"]: one for one in json.loads(text)["components"]}


def test_it_validates_and_is_the_same_each_time(text: str, tmp_path: Path) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert written(tmp_path / "again.json") == text


def test_every_locked_package_is_in_it_with_all_its_hashes(components: dict[str, dict[str, Any]]) -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    blocks = re.findall(r"^(\S+)==(\S+)(.*?)(?=^\S|\Z)", lock, re.M | re.S)
    assert len(blocks) > 80
    for name, version, rest in blocks:
        (files,) = components[f"pkg:pypi/{name}@{version}"]["externalReferences"]
        assert {one["content"] for one in files["hashes"]} == set(re.findall(r"sha256:([0-9a-f]{64})", rest)), name


def test_what_a_pi_gets_is_told_from_what_builds_and_tests(components: dict[str, dict[str, Any]]) -> None:
    scopes: dict[str, set[str]] = {}
    for one in components.values():
        scopes.setdefault(one["name"], set()).add(one["scope"])
    assert all(scopes[name] == {"required"} for name in ("ai-edge-litert", "paho-mqtt", "pynacl", "uvicorn"))
    assert scopes["pytest"] == scopes["tensorflow"] == scopes["setuptools"] == {"excluded"}
    numpy = {one["version"] for one in components.values() if (one["name"], one["scope"]) == ("numpy", "required")}
    assert "1.26.4" in numpy, "of bookworm, whose picamera2 wants it"
    assert len(numpy) == 2


def test_every_shipped_model_is_in_it_with_its_origin_and_licence(components: dict[str, dict[str, Any]]) -> None:
    shipped = list((ROOT / "models").glob("*.tflite"))
    assert shipped
    for path in shipped:
        model = components[f"model:{path.stem}"]
        assert model["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}]
        card = json.loads(path.with_suffix(".json").read_text("utf-8"))
        assert card["licence"] in json.dumps(model["licenses"])
        assert card["source"]["file"] in json.dumps(model["properties"])
        assert path.name in model["copyright"]


def test_what_needs_what_leads_from_the_agent_to_every_package_of_a_pi(text: str) -> None:
    told = json.loads(text)
    needs = {one["ref"]: one.get("dependsOn", []) for one in told["dependencies"]}
    reached, more = set(), {told["metadata"]["component"]["bom-ref"]}
    while more:
        reached |= more
        more = {ref for one in more for ref in needs[one]} - reached
    names = {ref.partition("@")[0] for ref in reached}  # bookworm's NumPy stands where the lock's would
    required = {one["bom-ref"].partition("@")[0] for one in told["components"] if one["scope"] == "required"}
    assert required <= names


def test_what_a_pi_runs_is_listed_for_who_looks_up_vulnerabilities(components: dict[str, dict[str, Any]]) -> None:
    told = " ".join((ROOT / "docs" / "dependencies.md").read_text("utf-8").split())
    required = [one for one in components.values() if (one["scope"], one["type"]) == ("required", "library")]
    assert len(required) > 15
    assert [one["name"] for one in required if f"{one['name']} {one['version']}" not in told] == []
