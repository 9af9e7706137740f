"""Everything a device needs, in one folder: the agent's wheel, the wheels it depends on, a lock with their hashes.

    python systemd/bundle.py OUT --python 3.13 --machine aarch64 --glibc 2.41

Made on the workstation for the device's Python, processor and C library, so that the device needs no internet and
compiles nothing. Versions and hashes are those of requirements.lock; its markers are evaluated for the device.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import lockfile

ROOT = Path(__file__).parent.parent
OLDEST_GLIBC = 17  # manylinux_2_17, the oldest that wheels are built for
KEPT = ("wheels", "wanted.lock", "requirements.lock")  # in OUT, from one time to the next
NOT_BUILT = (".*", "build", "*.egg-info", "tests", "__pycache__")
# What Pi OS bookworm's picamera2 comes with is compiled for NumPy 1, and does not load beside NumPy 2. All others do
# with NumPy 1.26, OpenCV's own word (numpy>=2) notwithstanding.
NUMPY_OF_THE_SYSTEM = {
    "3.11": "numpy==1.26.4"
    " --hash=sha256:7ab55401287bfec946ced39700c053796e7cc0e3acbef09993a9ad2adba6ca6e"  # aarch64
    " --hash=sha256:666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5\n"  # x86_64
}
GROUPS = ("agent", "signed", "web")  # of pyproject.toml, that every device gets
INSTALLED = ("lookout.service", "60-lookout.rules", "restart.conf", "agent.toml", "install.sh")


def main() -> None:
    """Fill the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--python", required=True, help="the device's, as 3.13")
    parser.add_argument("--machine", required=True, help="the device's, as `uname -m` says")
    parser.add_argument("--glibc", required=True, help="the device's, as 2.41")
    args = parser.parse_args()
    for old in args.out.glob("*"):
        if old.name not in KEPT:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    collect(args.out, args.python, args.machine, args.glibc)
    with tempfile.TemporaryDirectory() as clean:  # setuptools would pack what an older build/ left behind
        tree = Path(clean) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_BUILT))
        pip("wheel", "--no-deps", "--wheel-dir", str(args.out), str(tree))
    for name in INSTALLED:
        shutil.copy2(ROOT / "systemd" / name, args.out / name)


def collect(out: Path, python: str, machine: str, glibc: str) -> None:
    """OUT/wheels and the lock of their hashes: those of the last time, if they are whole and nothing else is wanted."""
    wheels, wanted, lock = (out / name for name in KEPT)
    text = f"# for {python}, {machine}, glibc {glibc}\n{pins(python, machine)}"
    had = [path.read_text("utf-8") if path.is_file() else None for path in (wanted, lock)]
    if had == [text, locks(wheels)]:
        return
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    wanted.write_text(text, "utf-8")
    lock.unlink(missing_ok=True)
    tags = [f"--platform={tag}" for tag in platforms(machine, glibc)]
    tags += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", f"--dest={wheels}"]
    pip("download", *tags, "--no-deps", "--require-hashes", "--requirement", str(wanted))
    lock.write_text(locks(wheels), "utf-8")


def locks(wheels: Path) -> str:
    """The lines of all wheels in a folder."""
    return "".join(map(locked, sorted(wheels.glob("*.whl"))))


def environment(python: str, machine: str) -> dict[str, str]:
    """What markers are evaluated with: the device's values."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def pins(python: str, machine: str) -> str:
    """A line with hashes for each package that the device gets."""
    older = NUMPY_OF_THE_SYSTEM.get(python)
    found = lockfile.cut(GROUPS, environment(python, machine))
    return "".join(older if older and one.name == "numpy" else f"{one}\n" for one in found)


def platforms(machine: str, glibc: str) -> list[str]:
    """Tags of wheels that run there, newest first."""
    newest = int(glibc.split(".")[1])
    return [f"manylinux_2_{n}_{machine}" for n in range(newest, OLDEST_GLIBC - 1, -1)] + [f"manylinux2014_{machine}"]


def locked(wheel: Path) -> str:
    """Its line of a lock that pip checks."""
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def pip(*arguments: str) -> None:
    """Run it. Raises SystemExit, which ends the deploy before anything was sent."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise SystemExit(f"lookout: {' '.join(command[2:6])} ... failed; the lines above say why")


if __name__ == "__main__":
    main()
