"""systemd/: the unit is what systemd understands and as tight as promised; agent.toml tells the truth."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from agent import config, plugins
from agent.sections import Snapshots

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "systemd" / "lookout.service"
SHIPPED = (ROOT / "systemd" / "agent.toml").read_text("utf-8")
SETTING = re.compile(r"^#(?=[a-z_]+ = |\[)", re.M)
UNSET = re.compile(r"^#[a-z_]+ = .*# unset.*\n", re.M)


def analyze(*arguments: object) -> "subprocess.CompletedProcess[str]":
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (apt install systemd)")
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def directives() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    program = tmp_path / "lookout"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "lookout.service"
    unit.write_text(UNIT.read_text().replace("/opt/lookout/current/bin/lookout", str(program)))
    done = analyze("verify", "--man=no", unit)

    assert [line for line in done.stderr.splitlines() if str(unit) in line] == []
    assert done.returncode == 0, done.stderr


def test_exposure_is_at_most_1_5() -> None:
    tight = analyze("security", "--offline=true", "--threshold=15", UNIT)
    assert tight.returncode == 0, tight.stdout[-300:]
    assert analyze("security", "--offline=true", "--threshold=10", UNIT).returncode != 0  # the gate can close


def test_what_would_break_inference_or_cameras_is_not_in_it() -> None:
    unit = directives()
    for key in ("ProcSubset", "PrivateDevices", "PrivateUsers", "PrivateNetwork"):
        assert key not in unit, key
    assert "AF_NETLINK" in unit["RestrictAddressFamilies"][0]
    assert unit["SupplementaryGroups"] == ["video render plugdev"]


def test_it_is_watched_and_never_given_up() -> None:
    unit = directives()
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert int(unit["WatchdogSec"][0]) >= 10


def test_what_bookworms_systemd_252_does_not_know_stands_in_a_drop_in() -> None:
    """Which tests/system/run.sh verify shows to 252 and 257 themselves."""
    assert not {"RestartSteps", "RestartMaxDelaySec"} & set(directives())
    dropped = (ROOT / "systemd" / "restart.conf").read_text()
    assert re.findall(r"^([A-Za-z]+)=", dropped, re.M) == ["RestartSteps", "RestartMaxDelaySec"]


def shipped(text: str) -> config.Config:
    return config.parse(text, Path("/etc/lookout/agent.toml"))


def test_the_shipped_config_uncommented_is_what_is_built_in() -> None:
    built_in = shipped('[cameras.front]\nkind = "picamera"\n')
    settings = shipped(SETTING.sub("", UNSET.sub("", SHIPPED)))

    assert set(settings.mqtt.topics) <= set(plugins.names("publish/topics"))
    for name, options in settings.mqtt.topics.items():
        assert options == plugins.get("publish/topics", name).Options(), name
    settings = msgspec.structs.replace(settings, mqtt=msgspec.structs.replace(settings.mqtt, topics={}))
    for section in config.Config.__struct_fields__:
        ours, theirs = getattr(settings, section), getattr(built_in, section)
        for key in getattr(theirs, "__struct_fields__", ()):  # first, for the word of what differs
            assert getattr(ours, key) == getattr(theirs, key), f"systemd/agent.toml: [{section}] {key}"
        assert ours == theirs, section


def test_the_shipped_config_as_it_is_is_good() -> None:
    assert list(shipped(SHIPPED).cameras) == ["front"]


def test_its_examples_are_good() -> None:
    assert shipped(SETTING.sub("", SHIPPED)).mqtt.username == "lookout"
    drawn = re.sub(r"^#   (?=[\[a-z])", "", SETTING.sub("", SHIPPED), flags=re.M)
    cameras = shipped(drawn).cameras
    assert list(cameras) == ["front", "yard", "gate"]
    assert list(cameras["front"].zones) == ["porch"]
    assert list(cameras["front"].lines) == ["door"]
    assert list(shipped(drawn).second) == ["sign"]


def test_every_key_there_is_stands_in_it() -> None:
    sections = {"": config.Config, "[model]": config.Model, "[mqtt]": config.Mqtt, "[mqtt.tls]": config.Tls}
    sections |= {"[detect]": config.Detect, "[tracker]": config.Tracker, "[thermal]": config.Thermal}
    sections |= {"[web]": config.Web, "[updates]": config.Updates, "[web.snapshots]": Snapshots}
    sections |= {"[mqtt.outbox]": config.Outbox, "[cameras.front]": config.Camera}
    sections |= {
        f"[mqtt.topics.{n}]": plugins.get("publish/topics", n).Options for n in plugins.names("publish/topics")
    }
    tables = ("cameras", "model", "detect", "tracker", "thermal", "web", "updates", "second")
    tables += ("mqtt", "snapshots", "tls", "outbox", "topics", "options")
    text: dict[str, str] = {}
    for part in re.split(r"^#?(?=\[)", SHIPPED, flags=re.M):
        head, _, body = part.partition("\n") if part.startswith("[") else ("", "", part)
        text[head] = body
    for section, kind in sections.items():
        for field in msgspec.structs.fields(kind):
            if field.encode_name not in (*tables, "zones", "lines", "anomalies"):
                assert re.search(rf"^#?{field.encode_name} = ", text.get(section, ""), re.M), (
                    f"systemd/agent.toml: {section} {field.encode_name} is not in it"
                )
