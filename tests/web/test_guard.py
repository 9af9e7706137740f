"""Everything is closed but to who may: password, host, origin; and no answer leaves without its headers."""

from __future__ import annotations

import asyncio
import io
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import config
from agent.__main__ import main
from agent.data import LookoutError
from agent.toml import ConfigError
from agent.web import site
from agent.web.password import Password, hashed
from agent.web.server import routes, static
from tests.web.served import PASSWORD, TOML, Served

Serve = Callable[..., Served]
STREAMS = ("/stream/{camera}", "/events")


def all_routes(served: Served) -> list[tuple[str, str]]:
    """(method, path) of everything there is, read from the application itself."""
    app = routes(served.site._now, served.path, lambda: "")
    found = [(method, route.path) for route in app.routes for method in sorted(route.methods)]
    assert len(found) > 30
    return found


def filled(path: str) -> str:
    return (
        path.replace("{camera}", "yard")
        .replace("{number:int}", "1")
        .replace("{id:uuid}", "019ab3c4-d5e6-7000-8000-000000000000")
        .replace("{track:int}", "1")
    )


@pytest.fixture
def closed(serve: Serve, tmp_path: Path) -> Served:
    (tmp_path / "web-password").write_text(hashed(PASSWORD) + "\n")
    return serve('password_file = "web-password"\n')


def test_every_route_is_closed_without_the_password(closed: Served) -> None:
    for method, path in [*all_routes(closed), ("GET", "/nothing"), ("POST", "/"), ("DELETE", "/api/state")]:
        answer = closed.ask(filled(path), method)
        assert answer.status == 401, (method, path)
        assert "Basic" in answer.headers["www-authenticate"]
        assert answer.read() in (b"", b"password required\n")


def test_every_route_opens_with_it(closed: Served) -> None:
    for method, path in all_routes(closed):
        if path not in STREAMS:
            assert closed.status(filled(path), method, password=PASSWORD, Origin=f"http://127.0.0.1:{closed.port}") in (
                *(200, 404, 422),
            ), (method, path)
    assert closed.status("/healthz", Authorization=f"Bearer {PASSWORD}") == 200


def test_a_wrong_password_opens_nothing_before_or_after_the_right_one(closed: Served) -> None:
    assert closed.status("/", password=PASSWORD + "x") == 401
    assert closed.status("/", password=PASSWORD) == 200
    assert closed.status("/", password=PASSWORD + "x") == 401
    assert closed.status("/", Authorization="Basic %%%") == 401
    assert closed.status("/", Authorization="Bearer") == 401
    assert closed.status("/", password="x" * 5000) == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[", "a:b:c"]
)
def test_a_name_that_is_not_ours_is_refused(serve: Serve, host: str) -> None:
    assert serve().status("/api/state", Host=host) == 421


def test_our_own_names_are_taken(serve: Serve) -> None:
    served = serve('names = ["Yard.Example.org"]\n')
    for host in (
        "localhost",
        f"localhost:{served.port}",
        "192.168.1.7:8484",
        "[::1]:8484",
        "yard.example.org",
        platform.node(),
    ):
        assert served.status("/api/state", Host=host) == 200, host


def test_another_pages_requests_are_refused(serve: Serve) -> None:
    served = serve()
    ours = f"http://127.0.0.1:{served.port}"
    assert served.status("/api/state", Origin="http://evil.example") == 403
    assert served.status("/api/state", Origin="null") == 403
    assert served.status("/api/state", Origin=ours) == 200
    assert served.status("/stream/yard", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors") == 403
    assert served.status("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 200
    assert served.status("/api/drawing/save", "POST", body={}) == 403  # a form without Origin
    assert served.status("/api/drawing/save", "POST", body={}, Origin="http://127.0.0.1:1") == 403
    assert served.status("/api/drawing/save", "POST", body={}, Origin=ours) == 422


def test_every_answer_carries_the_headers(serve: Serve) -> None:
    served = serve()
    for path, more in (("/", {}), ("/nothing", {}), ("/app.js", {}), ("/", {"Host": "evil.example"})):
        headers = served.ask(path, **more).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_the_page_needs_nothing_inline_and_nobody_else() -> None:
    for url, (body, kind) in static().items():
        text = body.decode()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), url
        if kind == "text/html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)
        if kind == "text/javascript":
            assert "innerHTML" not in text
            assert "eval(" not in text


@pytest.mark.parametrize(
    "path",
    ["/../agent.toml", "/%2e%2e/%2e%2e/agent.toml", "/static/app.js", "/app.js/", "//etc/passwd", "/server.py",
     "/stream/..%2f..%2fagent.toml", "/stream/nix", "/picture/-1", "/picture/1.jpg", "/crop/yard/99", "/crop/..%2f/1"],
)  # fmt: skip
def test_no_path_of_a_clients_leads_anywhere(serve: Serve, path: str) -> None:
    assert serve().status(path) in (404, 307)


def test_an_address_for_others_needs_a_password() -> None:
    with pytest.raises(ConfigError) as refused:
        config.parse('[cameras.a]\nkind = "synthetic"\n[web]\nhost = "0.0.0.0"\n', Path("agent.toml"))
    assert str(refused.value) == (
        "agent.toml:3: web host '0.0.0.0' lets others in: it needs a password_file (`lookout password`)"
    )


def test_a_password_file_must_hold_a_hash(tmp_path: Path) -> None:
    with pytest.raises(LookoutError, match="No such file"):
        Password(tmp_path / "none")
    (tmp_path / "plain").write_text(PASSWORD)
    with pytest.raises(LookoutError, match="not an argon2 hash; `lookout password` makes one"):
        Password(tmp_path / "plain")


def test_the_command_makes_a_hash_that_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\n"))
    assert main(["password"]) == 0
    (tmp_path / "hash").write_text(capsys.readouterr().out)
    assert asyncio.run(Password(tmp_path / "hash").matches(PASSWORD))
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert main(["password"]) == 2


def test_an_address_that_is_taken_leaves_the_agent_without_a_page(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve()
    path = served.path.with_name("second.toml")
    path.write_text(TOML.replace("port = 0", f"port = {served.port}"))
    assert site.opened(config.load(path), served.model, path, lambda tell: tell("")) is None
    assert f"no live page: web: cannot listen on 127.0.0.1:{served.port}: Address already in use" in caplog.text
    path.write_text(TOML.replace("enabled = true", "enabled = false"))
    assert site.opened(config.load(path), served.model, path, lambda tell: tell("")) is None


def test_without_the_extra_the_agent_runs_and_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(TOML)
    script = """
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
sys.modules |= dict.fromkeys(("argon2", "starlette", "tomlkit", "uvicorn"))
import agent.cli.run, agent.cli.sim
from agent import config, logs
from agent.web import site
logs.setup("auto", 20)
path = Path("agent.toml")
assert site.opened(config.load(path), SimpleNamespace(), path, lambda tell: tell("")) is None
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no live page: argon2 is not installed; pip install 'lookout-agent[web]'" in done.stderr
