"""The software bill of materials, as CycloneDX 1.6 JSON: python systemd/sbom.py OUT.json. Same tree, same bytes.

Every package of requirements.lock with the hashes of its files, and every model that is shipped with where it came
from. `scope` is "required" for what a Raspberry Pi gets and "excluded" for what only builds or tests; versions that
only other machines or Pythons get are in it too, since they are locked.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import bundle
import lockfile
import msgspec
from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).parent.parent
PIS = (("3.11", "aarch64"), ("3.13", "aarch64"))  # bookworm, trixie


def main(out: Path) -> None:
    """Write the file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    agent = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        licenses=[DisjunctiveLicense(id=project["license"])],
        bom_ref=project["name"],
    )
    bom = Bom()
    bom.metadata.component = agent
    wanted = list(packages())
    made = [(one, component(one, is_on_pi)) for one, is_on_pi in wanted]
    for whose, parent in [(project["name"], agent), *((one.name, part) for one, part in made)]:
        bom.register_dependency(parent, [part for one, part in made if whose in one.needed_by])
    shipped = list(models())
    bom.register_dependency(agent, shipped)
    bom.components = {*(part for _, part in made), *shipped}
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(f"{one} {is_on_pi}" for one, is_on_pi in wanted))
    text = msgspec.json.decode(JsonV1Dot6(bom).output_as_string())
    del text["metadata"]["timestamp"]  # when it was written says nothing about what is in it
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(text), indent=1) + b"\n")


def packages() -> Iterator[tuple[lockfile.Locked, bool]]:
    """Each that is locked, for whatever machine, and whether a Pi gets it: bookworm's NumPy is not in the lock."""
    on_pis = {str(one): one for pi in PIS for one in lockfile.entries(bundle.pins(*pi))}
    for one in lockfile.entries((ROOT / "requirements.lock").read_text("utf-8")):
        yield one, on_pis.pop(str(one), None) is not None
    yield from ((one, True) for one in on_pis.values())


def component(one: lockfile.Locked, is_on_pi: bool) -> Component:
    """A package with the hashes of all its files."""
    url = PackageURL("pypi", name=one.name, version=one.version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=text.removeprefix("sha256:")) for text in one.hashes]
    files = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(url)), hashes=hashes)
    marker = one.requirement.marker
    return Component(
        name=one.name,
        version=one.version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        scope=ComponentScope.REQUIRED if is_on_pi else ComponentScope.EXCLUDED,
        external_references=[files],
        properties=[Property(name="lookout:only", value=str(marker))] if marker else [],
    )


def models() -> Iterator[Component]:
    """Each .tflite in models/: its card says from what it was made, models/NOTICE whose work it is."""
    notice = (ROOT / "models" / "NOTICE").read_text("utf-8").split("\n\n")
    for path in sorted((ROOT / "models").glob("*.tflite")):
        card = msgspec.json.decode(path.with_suffix(".json").read_bytes())
        origin = {key: value for key, value in card["source"].items() if isinstance(value, str)}
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield Component(
            name=path.stem,
            version=digest[:16],
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"model:{path.stem}",
            scope=ComponentScope.REQUIRED,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            licenses=[LicenseFactory().make_from_string(card["licence"])],
            copyright=" ".join(" ".join(part for part in notice if path.name in part).split()),
            properties=[Property(name=f"lookout:source:{key}", value=value) for key, value in origin.items()],
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
