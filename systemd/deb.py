"""A .deb of the agent with everything it needs in it, for one Debian release: no pip, no internet on the device.

    python systemd/deb.py OUT --release bookworm|trixie [--machine aarch64]

    /usr/lib/lookout/            the wheels, unpacked; /usr/bin/lookout runs them on the system's Python, which may
                                 bring picamera2
    /usr/share/lookout/models/   the shipped model
    /etc/lookout/agent.toml      a configuration file of the package: kept when it was changed
    /usr/lib/systemd/system/lookout.service, /usr/lib/udev/rules.d/60-lookout.rules

Compiled parts fit one minor version of Python, so there is one package for bookworm (3.11) and one for trixie (3.13).
Beside `make deploy` it knows no trial start and no way back: `apt` does what it is told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
RELEASES = {"bookworm": ("3.11", "3.12", "2.36"), "trixie": ("3.13", "3.14", "2.41")}  # Python, the next one, glibc
ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64"}
SITE = "usr/lib/lookout"
_WRITTEN = 1577836800  # 2020-01-01: no file in the package is newer, so that the same input makes the same bytes

PROGRAM = f"""#!/usr/bin/python3
import sys

sys.path.insert(0, "/{SITE}")
from agent.__main__ import main

sys.exit(main())
"""

CONTROL = """Package: lookout
Version: {version}
Architecture: {architecture}
Maintainer: Lookout
Depends: python3 (>= {python}), python3 (<< {below}), libc6 (>= {glibc}), libgomp1, libstdc++6, adduser
Recommends: python3-picamera2
Installed-Size: {kilobytes}
Section: video
Priority: optional
Description: real-time video agent: camera, int8 TFLite, tracks, MQTT
 Captures camera frames, runs an int8 TFLite model (Coral optional), tracks what it sees, notices what is unusual and
 publishes detections, events and anomalies over MQTT.
"""

POSTINST = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
for group in video render plugdev; do getent group $group >/dev/null || addgroup --system --quiet $group; done
python3 -m compileall -q /usr/lib/lookout >/dev/null || true
if [ -e /etc/systemd/system/lookout.service ]; then
  echo "lookout: make deploy's unit in /etc/systemd/system stands before this package's; make undeploy ends that" >&2
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable --quiet lookout
  udevadm control --reload 2>/dev/null || true
  systemctl restart lookout || echo "lookout: not started; lookout check /etc/lookout/agent.toml says why" >&2
fi
"""

PRERM = """#!/bin/sh
set -e
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then systemctl disable --now --quiet lookout || true; fi
find /usr/lib/lookout -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
"""

POSTRM = """#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
[ "$1" != purge ] || rm -rf /var/lib/private/lookout /var/lib/lookout
"""


def main() -> None:
    """Write OUT/lookout_VERSION~RELEASE_ARCHITECTURE.deb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--release", choices=sorted(RELEASES), required=True)
    parser.add_argument("--machine", choices=sorted(ARCHITECTURES), default="aarch64")
    args = parser.parse_args()
    python, below, glibc = RELEASES[args.release]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        bundle, tree = Path(scratch) / "bundle", Path(scratch) / "tree"
        target = ["--python", python, "--machine", args.machine, "--glibc", glibc]
        run([sys.executable, str(ROOT / "systemd" / "bundle.py"), str(bundle), *target])
        fill(tree, bundle, args.release)
        size = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file()) // 1024
        control = CONTROL.format(
            version=f"{version}~{args.release}",
            architecture=ARCHITECTURES[args.machine],
            python=python,
            below=below,
            glibc=glibc,
            kilobytes=size,
        )
        describe(tree / "DEBIAN", control)
        name = f"lookout_{version}~{args.release}_{ARCHITECTURES[args.machine]}.deb"
        env = os.environ | {"SOURCE_DATE_EPOCH": str(_WRITTEN)}
        run(["dpkg-deb", "--root-owner-group", "-Zzstd", "--build", str(tree), str(args.out / name)], env)
    sys.stdout.write(f"{args.out / name}, {(args.out / name).stat().st_size / 1e6:.0f} MB\n")


def fill(tree: Path, bundle: Path, release: str) -> None:
    """What dpkg will unpack, from a bundle's wheels."""
    site = tree / SITE
    site.mkdir(parents=True)
    for wheel in sorted((*(bundle / "wheels").glob("*.whl"), *bundle.glob("*.whl"))):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    for data in site.glob("*.data"):  # what pip would lay under the environment's own folder
        for part in (data / "data").glob("*"):
            shutil.copytree(part, tree / "usr" / part.name, dirs_exist_ok=True)
        shutil.rmtree(data)
    place(tree / "usr/bin/lookout", PROGRAM, 0o755)
    unit = "".join(
        line.replace("/opt/lookout/current/bin/lookout", "/usr/bin/lookout")
        for line in (bundle / "lookout.service").read_text("utf-8").splitlines(keepends=True)
        if "install.sh" not in line  # dpkg sees to that itself
    )
    place(tree / "usr/lib/systemd/system/lookout.service", unit)
    if release != "bookworm":  # systemd 252 knows nothing of what is in it
        restart = (bundle / "restart.conf").read_text("utf-8")
        place(tree / "usr/lib/systemd/system/lookout.service.d/10-restart.conf", restart)
    place(tree / "usr/lib/udev/rules.d/60-lookout.rules", (bundle / "60-lookout.rules").read_text("utf-8"))
    place(tree / "etc/lookout/agent.toml", (bundle / "agent.toml").read_text("utf-8"))
    place(tree / "usr/share/doc/lookout/copyright", (ROOT / "LICENSE").read_text("utf-8"))


def describe(folder: Path, control: str) -> None:
    """The package's control files."""
    place(folder / "control", control)
    place(folder / "conffiles", "/etc/lookout/agent.toml\n")
    for name, script in (("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)):
        place(folder / name, script, 0o755)


def place(path: Path, text: str, mode: int = 0o644) -> None:
    """One file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)


def run(command: list[str], env: dict[str, str] | None = None) -> None:
    """Run it. Raises SystemExit: a tool that is missing or fails has said why."""
    try:
        failed = subprocess.run(command, check=False, env=env, stdout=subprocess.DEVNULL).returncode  # noqa: S603
    except FileNotFoundError:
        raise SystemExit(f"lookout: no {command[0]}; apt install dpkg") from None
    if failed:
        raise SystemExit(f"lookout: {command[0]} failed; the lines above say why")


if __name__ == "__main__":
    main()
