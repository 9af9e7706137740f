"""Each test has a PATH of its own: with no apt-get, with one that is a script, or with the machine's."""

import gzip
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sim.clip import NAME, ClipError, default_clip
from tests.sim.conftest import wait_until

ROOT = Path(__file__).parent.parent.parent
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb on this machine")
FOLDER = "usr/share/doc/opencv-doc/examples/data"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH; what scripts and dpkg-deb need is in it, apt-get is not."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cp", "cat", "dpkg-deb", "tar", "sleep", "rm"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def apt_get(tools: Path, script: str) -> Path:
    """An apt-get that logs how it was called and then does `script`; the log."""
    log = tools / "calls"
    program = tools / "apt-get"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n{script}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return log


Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Builds an opencv-doc package that holds the given files."""

    def build(**files: bytes) -> Path:
        tree, package = tmp_path / "tree", tmp_path / "opencv-doc_1_all.deb"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            "Package: opencv-doc\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <n@example.com>\nDescription: x\n"
        )
        (tree / FOLDER).mkdir(parents=True)
        for name, data in files.items():
            (tree / FOLDER / name.replace("_", ".")).write_bytes(data)
        (tree / FOLDER / "zz-more.bin").write_bytes(os.urandom(1_000_000))
        subprocess.run(["dpkg-deb", "-Znone", "--build", str(tree), str(package)], check=True, capture_output=True)
        return package

    return build


@pytest.fixture(scope="session")
def genuine(data_dir: Path) -> bytes:
    return (data_dir / "video" / NAME).read_bytes()


def refusal(cache: Path) -> str:
    with pytest.raises(ClipError) as error:
        default_clip(cache)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith("street clip: ")
    assert line.endswith("; going on with the synthetic scene")
    return line.removeprefix("street clip: ").removesuffix("; going on with the synthetic scene")


def verbs(log: Path) -> list[str]:
    """What apt-get was asked for, call by call."""
    return [word for word in log.read_text().split() if word in ("download", "update")]


def left_in(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir())


def test_without_apt_it_says_so(tools: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "cache") == "apt-get is not on this machine, and vtest.avi comes from Debian's opencv-doc"


def test_an_apt_that_refuses_is_quoted(tools: Path, tmp_path: Path) -> None:
    log = apt_get(tools, "echo 'E: Unable to locate package opencv-doc' >&2; exit 100")
    assert refusal(tmp_path / "cache") == "apt-get download opencv-doc: Unable to locate package opencv-doc"
    assert verbs(log) == ["download", "update", "download"]
    assert left_in(tmp_path / "cache") == ["lock"]


def test_why_the_archive_was_not_reached_is_told_rather_than_what_followed_from_it(tools: Path, tmp_path: Path) -> None:
    apt_get(
        tools,
        'case "$*" in *" update "*) echo "E: Failed to fetch http://x/InRelease  Could not resolve x" >&2;;'
        ' *) echo "E: Unable to locate package opencv-doc" >&2;; esac; exit 100',
    )
    assert refusal(tmp_path / "cache") == (
        "apt-get download opencv-doc: Failed to fetch http://x/InRelease Could not resolve x"
    )


def test_an_apt_that_fails_without_a_word_is_told_by_its_exit_code(tools: Path, tmp_path: Path) -> None:
    apt_get(tools, "exit 7")
    assert refusal(tmp_path / "cache") == "apt-get download opencv-doc: exit code 7"


def test_an_apt_that_succeeds_and_brings_nothing(tools: Path, tmp_path: Path) -> None:
    apt_get(tools, "exit 0")
    assert refusal(tmp_path / "cache") == "apt-get download opencv-doc: brought nothing"


@needs_dpkg
@pytest.mark.parametrize("name", ["vtest_avi", "vtest_avi_gz"])
def test_a_clip_that_is_not_the_known_one_is_refused_and_removed(
    tools: Path, pack: Pack, tmp_path: Path, name: str
) -> None:
    data = b"RIFF" + bytes(10_000_000)
    package = pack(**{name: gzip.compress(data) if name.endswith("gz") else data})
    apt_get(tools, f"cp {package} .")
    assert refusal(tmp_path / "cache") == (
        "vtest.avi in opencv-doc_1_all.deb is not the one that is known (sha256 differs); refused and removed"
    )
    assert left_in(tmp_path / "cache") == ["lock"]


@needs_dpkg
def test_a_package_without_the_clip(tools: Path, pack: Pack, tmp_path: Path) -> None:
    apt_get(tools, f"cp {pack()} .")
    assert refusal(tmp_path / "cache") == "there is no vtest.avi in opencv-doc_1_all.deb"


@needs_dpkg
@pytest.mark.parametrize("damage", ["cut", "garbage", "bad gzip"])
def test_a_damaged_package(tools: Path, pack: Pack, tmp_path: Path, damage: str) -> None:
    package = pack(vtest_avi_gz=b"no gzip at all") if damage == "bad gzip" else pack(vtest_avi=os.urandom(8_131_690))
    if damage != "bad gzip":
        data = package.read_bytes()
        package.write_bytes(data[: len(data) // 2] if damage == "cut" else b"no package")
    apt_get(tools, f"cp {package} .")
    assert refusal(tmp_path / "cache").startswith("opencv-doc_1_all.deb cannot be read (")
    assert left_in(tmp_path / "cache") == ["lock"]


@needs_dpkg
@pytest.mark.parametrize("name", ["vtest_avi", "vtest_avi_gz"])
def test_the_clip_is_fetched_once_and_only_it_stays(
    tools: Path, pack: Pack, genuine: bytes, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "agent.sim.clip")
    package = pack(**{name: gzip.compress(genuine, 1) if name.endswith("gz") else genuine})
    log = apt_get(tools, f"cp {package} .")
    first, second = default_clip(tmp_path / "cache"), default_clip(tmp_path / "cache")
    assert first == second == tmp_path / "cache" / NAME
    assert first.read_bytes() == genuine
    assert len(log.read_text().splitlines()) == 1
    assert left_in(tmp_path / "cache") == ["lock", NAME]
    assert caplog.messages == ["fetching the street clip from Debian's opencv-doc (95 MB, once)"]


@needs_dpkg
def test_package_lists_of_our_own_are_tried_where_the_machine_has_none(
    tools: Path, pack: Pack, genuine: bytes, tmp_path: Path
) -> None:
    package = pack(vtest_avi=genuine)
    log = apt_get(
        tools,
        'case "$*" in *Dir::State::lists=*) ;; *) echo "E: Unable to locate package opencv-doc" >&2; exit 100;; esac\n'
        f'case "$*" in *" download "*) cp {package} .;; esac',
    )
    default_clip(tmp_path / "cache")
    assert verbs(log) == ["download", "update", "download"]
    calls = log.read_text().splitlines()
    assert all(f"Dir::State::lists={tmp_path}/cache/" in call for call in calls[1:])


@needs_dpkg
def test_a_clip_that_was_damaged_in_the_cache_is_fetched_again(
    tools: Path, pack: Pack, genuine: bytes, tmp_path: Path
) -> None:
    apt_get(tools, f"cp {pack(vtest_avi=genuine)} .")
    clip = default_clip(tmp_path / "cache")
    clip.write_bytes(genuine[:-1] + bytes([genuine[-1] ^ 1]))
    assert default_clip(tmp_path / "cache").read_bytes() == genuine


FETCH = """
import logging, sys
from pathlib import Path
from agent.sim.clip import default_clip
logging.basicConfig(format="%(message)s", level="INFO")
print(default_clip(Path(sys.argv[1])))
"""


@needs_dpkg
def test_two_processes_at_once_fetch_it_once(tools: Path, pack: Pack, genuine: bytes, tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", FETCH, str(tmp_path / "cache")]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    log = apt_get(tools, f"while ! [ -e {tmp_path}/go ]; do sleep 0.05; done; cp {pack(vtest_avi=genuine)} .")
    with start() as first:
        assert wait_until(log.exists, 30)  # the first is inside apt-get
        with start() as second:
            assert second.stderr is not None
            assert second.stderr.readline() == "another Lookout is fetching the street clip; waiting for it\n"
            (tmp_path / "go").touch()
            assert second.communicate(timeout=60) == (f"{tmp_path}/cache/{NAME}\n", "")
        assert first.communicate(timeout=60)[0] == f"{tmp_path}/cache/{NAME}\n"
    assert verbs(log) == ["download"]
    assert left_in(tmp_path / "cache") == ["lock", NAME]


@needs_dpkg
def test_what_a_killed_fetch_left_behind_is_cleared_away(
    tools: Path, pack: Pack, genuine: bytes, tmp_path: Path
) -> None:
    apt_get(tools, f"cp {pack(vtest_avi=genuine)} .")
    (tmp_path / "cache/fetching").mkdir(parents=True)
    (tmp_path / "cache/fetching/opencv-doc_0_all.deb").write_bytes(b"half of it")
    default_clip(tmp_path / "cache")
    assert left_in(tmp_path / "cache") == ["lock", NAME]


def test_a_cache_that_cannot_be_written_is_one_line(tools: Path, tmp_path: Path) -> None:
    apt_get(tools, "exit 0")
    dpkg = tools / "dpkg-deb"
    dpkg.unlink(missing_ok=True)
    dpkg.symlink_to(tools / "apt-get")
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert refusal(tmp_path / "cache") == f"{tmp_path}/cache: File exists"


@pytest.mark.parametrize(
    ("chosen", "folder"),
    [("{tmp}/own", "{tmp}/own/lookout"), ("", "{tmp}/.cache/lookout"), ("rel", "{tmp}/.cache/lookout")],
)
@needs_dpkg
def test_the_cache_is_where_users_keep_theirs(
    tools: Path, pack: Pack, genuine: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, folder: str
) -> None:
    apt_get(tools, f"cp {pack(vtest_avi=genuine)} .")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", chosen.format(tmp=tmp_path))
    assert default_clip() == Path(folder.format(tmp=tmp_path)) / NAME


def reach_archive(folder: Path) -> None:
    """Skip unless this machine's apt-get can fetch a package that every release has."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("no apt-get on this machine")
    done = subprocess.run(
        ["apt-get", "-q", "-o", "Acquire::Retries=0", "download", "netbase"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"apt-get does not reach its archive here: {done.stderr.strip()[:120]}")


def test_debians_package_brings_the_clip_even_where_apt_get_update_was_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach_archive(tmp_path)
    (tmp_path / "empty/partial").mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(f'Dir::State::lists "{tmp_path}/empty";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    clip = default_clip(tmp_path / "cache")
    assert clip.stat().st_size == 8_131_690
    assert left_in(tmp_path / "cache") == ["lock", NAME]
