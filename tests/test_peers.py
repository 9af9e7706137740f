"""What other camera agents had CVEs for: each tried here. Paths, logins and foreign pages are tried in tests/web."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import config
from agent.capture.cameras import CameraError, file, rtsp
from agent.toml import ConfigError
from tests.conftest import ROOT
from tests.fakes import tcp

SOURCES = sorted(p for folder in ("agent", "convert") for p in (ROOT / folder).rglob("*.py"))
RUNNING = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"}
LOADING = {"pickle", "cPickle", "dill", "shelve", "marshal", "yaml", "ruamel", "joblib", "commands"}
GOOD = '[cameras.yard]\nkind = "synthetic"\n'


def called(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_runs_text_or_loads_objects(path: Path) -> None:
    """Frigate's CVE-2023-45672 (a YAML loader that makes any object) and motionEye's CVE-2025-60787 (a shell)."""
    tree = ast.parse(path.read_text())
    for name, call in called(tree):
        assert name not in RUNNING, f"{name} at line {call.lineno}"
        options = {option.arg: ast.unparse(option.value) for option in call.keywords}
        assert options.get("shell", "False") == "False", f"a shell at line {call.lineno}"
        if name.endswith(("np.load", "numpy.load")):
            assert options.get("allow_pickle", "False") == "False", f"np.load at line {call.lineno}"
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & LOADING, f"imports {names}"


@pytest.mark.parametrize(
    "url",
    [
        *("exec:touch x", "ffmpeg:exec:touch x", "file:///etc/passwd", "pipe:0", "concat:/etc/passwd|x", "/etc/passwd"),
        *("rtsp:exec:sh", "data:text/plain,x", "gopher://x/", "smb://x/y", " exec:sh", "\nrtsp://x/"),
    ],
)
def test_a_source_that_is_a_command_or_a_file_is_refused(url: str) -> None:
    """Frigate's CVE-2026-25643: go2rtc's `exec:` in a camera's address."""
    text = f"[cameras.yard]\nkind = 'rtsp'\nurl = {url!a}\n".replace("'", '"')
    with pytest.raises(ConfigError, match="must be an rtsp:// or http:// address"):
        config.parse(text, Path("agent.toml"))


@pytest.mark.parametrize("kind", ["exec", "ffmpeg", "../cli/run", "os", "gstreamer"])
def test_a_kind_of_camera_is_one_of_ours(kind: str) -> None:
    with pytest.raises(ConfigError):
        config.parse(f'[cameras.yard]\nkind = "{kind}"\n', Path("agent.toml"))


@pytest.mark.parametrize(
    "name", ["$(touch x)", "`id`", "%Y-%m-%d", "../yard", "/etc", "a b", "{0.__class__}", "a;b", ""]
)
def test_a_name_that_becomes_part_of_paths_and_topics_is_plain(name: str) -> None:
    """motionEye's CVE-2025-60787: names of files as templates of a shell. Here no file is named by a template."""
    for text in (GOOD.replace("yard", f'"{name}"'), f'device = "{name}"\n{GOOD}'):
        with pytest.raises(ConfigError):
            config.parse(text, Path("agent.toml"))


@pytest.mark.parametrize(
    "path", ["| touch x", "exec:touch x", "concat:a|b", "http://127.0.0.1/x", "pipe:0", "$(touch x)"]
)
def test_a_clip_is_a_file_and_nothing_else(path: str) -> None:
    with pytest.raises(CameraError, match="no such file"):
        next(file.frames(file.Options(Path(path))))


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{port}/x.ts\n",
        "ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/x.ts'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:rtsp://127.0.0.1:{port}/x\n"
        "m=video 0 RTP/AVP 26\n",
        '<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation id="1"><BaseURL>http://127.0.0.1:{port}/x'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>",
    ],
    ids=["hls", "concat", "sdp", "dash"],
)
def test_a_clip_that_is_a_list_reaches_no_server(tmp_path: Path, text: str) -> None:
    """A file that FFmpeg takes for a list of others: none of them is fetched from the network."""
    server = tcp.Server(lambda sock: None)
    (tmp_path / "clip").write_text(text.format(port=server.port))
    (tmp_path / "agent.toml").write_text('[cameras.a]\nkind = "file"\npath = "clip"\n')
    command = [sys.executable, "-m", "agent", "replay", str(tmp_path / "agent.toml")]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert server.connections == 0
    server.close()


def test_a_server_that_answers_with_a_list_reads_no_file_of_ours(tmp_path: Path) -> None:
    """A camera's address leads to a list of local files: they are not shown as its pictures."""
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 64))
    for shade in range(5):
        writer.write(np.full((64, 64, 3), 40 * shade, np.uint8))
    writer.release()
    assert next(file.frames(file.Options(clip))).size == (64, 64)
    told = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{clip}\n#EXT-X-ENDLIST\n".encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\nContent-Length: %d\r\n\r\n" % len(told)

    def answer(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(head + told)

    server = tcp.Server(answer)
    url = f"http://127.0.0.1:{server.port}/x.m3u8"

    with pytest.raises(CameraError):
        next(rtsp.frames(rtsp.Options(url=url, open_timeout_s=2.0, read_timeout_s=2.0)))

    assert server.connections
    server.close()
