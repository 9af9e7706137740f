"""agent.toml: what it becomes, and the exact words for each way to get it wrong."""

from pathlib import Path

import pytest

from agent import config
from agent.capture.cameras import file, synthetic

SYNTHETIC = '[cameras.a]\nkind = "synthetic"\n'

ERRORS = [
    ("empty file", "", "1: cameras has none; add a [cameras.NAME] section with a kind"),
    ("not TOML", "a = [", "1: not TOML: invalid value"),
    ("a key twice", "a = 1\na = 2", "2: not TOML: cannot overwrite a value"),
    ("cameras is no table", "cameras = 3", "1: cameras has none; add a [cameras.NAME] section with a kind"),
    ("no kind", "[cameras.a]\n", "1: cameras.a.kind is missing; there are: file, picamera, rtsp, synthetic, v4l2"),
    (
        "unknown kind",
        '[cameras.a]\nkind = "fiel"',
        "2: cameras.a.kind has no 'fiel'; there are: file, picamera, rtsp, synthetic, v4l2",
    ),
    ("missing key", '[cameras.a]\nkind = "file"', "1: cameras.a.path is missing"),
    (
        "unknown key, near one",
        '[cameras.a]\nkind = "file"\npath = "x"\nlop = true',
        "4: cameras.a.lop is not a known key; did you mean 'loop'?",
    ),
    ("wrong type", '[cameras.a]\nkind = "file"\npath = 3', "3: cameras.a.path must be a path, not 3"),
    (
        "item of a list",
        SYNTHETIC + "size = [640, 10]",
        "3: cameras.a.size[1] must be a whole number >= 120, not 10",
    ),
    ("out of range", SYNTHETIC + "rate = 0", "3: cameras.a.rate must be a number > 0, not 0"),
    ("not one of", SYNTHETIC + 'pace = "fast"', "3: cameras.a.pace must be one of 'realtime', 'max', not 'fast'"),
    (
        "name that no topic can hold",
        '[cameras."a/b"]\nkind = "synthetic"',
        "1: cameras.a/b must be 1 to 64 letters, digits, '-' and '_', not 'a/b'",
    ),
    ("text for a number", SYNTHETIC + 'fps = "3"', "3: cameras.a.fps must be a number, not '3'"),
    ("port", SYNTHETIC + "[mqtt]\nport = 99999", "4: mqtt.port must be a whole number <= 65535, not 99999"),
    (
        "unknown section",
        SYNTHETIC + "[mqt]\nport = 1",
        "3: mqt is not a known key; did you mean 'mqtt'?",
    ),
    (
        "second look at nobody and nothing",
        SYNTHETIC + '[second.seeds]\nkind = "count"',
        "3: second.seeds needs either labels, for tracks, or a region, for one place",
    ),
    (
        "region turned inside out",
        SYNTHETIC + '[second.seeds]\nkind = "count"\nregion = [0.5, 0, 0.2, 1]',
        "3: second.seeds region must be x_min, y_min, x_max, y_max, each max above its min",
    ),
    (
        "kind of second look",
        SYNTHETIC + '[second.seeds]\nkind = "counts"\nregion = [0, 0, 1, 1]',
        "4: second.seeds.kind has no 'counts'; there are: classify, count, match, segment",
    ),
    (
        "key of another kind of second look",
        SYNTHETIC + '[second.seeds]\nkind = "count"\nregion = [0, 0, 1, 1]\nlimt = 1',
        "6: second.seeds.limt is not a known key; did you mean 'split'?",
    ),
    (
        "second look at a camera that is not there",
        SYNTHETIC + '[second.seeds]\nkind = "count"\nregion = [0, 0, 1, 1]\ncameras = ["b"]',
        "6: second.seeds.cameras names 'b'; there are: a",
    ),
    (
        "second look without a name",
        SYNTHETIC + '[second]\nkind = "count"',
        "4: second.kind must be a table: [second.NAME]",
    ),
    ("second is no table", "second = 3\n" + SYNTHETIC, "1: second must be a table, not 3"),
    ("fraction", SYNTHETIC + "[model]\nconfidence = 2", "4: model.confidence must be a number <= 1, not 2"),
    ("label", SYNTHETIC + '[model]\nlabels = ["x", 3]', "4: model.labels[1] must be a text, not 3"),
    ("bool for a number", SYNTHETIC + "[model]\nthreads = true", "4: model.threads must be a whole number, not True"),
    ("value for a section", "model = 3\n" + SYNTHETIC, "1: model must be a table, not 3"),
    (
        "device",
        'device = "a b"\n' + SYNTHETIC,
        "1: device must be 1 to 64 letters, digits, '-' and '_', not 'a b'",
    ),
    (
        "address",
        '[cameras.a]\nkind = "rtsp"\nurl = "camera"',
        "3: cameras.a.url must be an rtsp:// or http:// address, not 'camera'",
    ),
    (
        "dotted key",
        SYNTHETIC + 'mqtt.port = "x"',
        "3: cameras.a.mqtt is not a known key; known here: ",
    ),
    (
        "a manifest without a key",
        SYNTHETIC + '[updates]\nmanifest = "https://x/m.manifest.json"',
        "3: updates manifest needs a public_key; `python -m convert sign --new-key FILE` prints one",
    ),
    (
        "a manifest over http",
        SYNTHETIC + '[updates]\nmanifest = "http://x/m.manifest.json"',
        "4: updates.manifest must be an https:// address that ends in NAME.manifest.json, not 'http://x/m.manifest.json'",
    ),
    (
        "a key that is none",
        SYNTHETIC + '[updates]\npublic_key = "abc"',
        "4: updates.public_key must be 32 bytes in base64, not 'abc'",
    ),
    (
        "inline table",
        'cameras = {a = {kind = "synthetic", rate = -1}}',
        "1: cameras.a.rate must be a number > 0, not -1",
    ),
]


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_error_names_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(config.ConfigError) as error:
        config.parse(text, Path("agent.toml"))

    told = str(error.value)
    assert told.startswith(f"agent.toml:{message}") if message.endswith(" ") else told == f"agent.toml:{message}"


def test_a_whole_config_is_read_with_paths_from_its_own_folder(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        'device = "hall"\n[model]\nfile = "m.tflite"\nlabels = ["person"]\n[mqtt]\nhost = "broker.lan"\n'
        '[cameras.door]\nkind = "file"\npath = "/clips/a.mp4"\nfps = 5\n[cameras.yard]\nkind = "synthetic"\n'
    )

    settings = config.load(path)

    assert settings.device == "hall"
    assert settings.model.file == tmp_path / "m.tflite"
    assert settings.mqtt.host == "broker.lan"
    assert settings.cameras["door"].fps == 5
    assert settings.cameras["door"].options == file.Options(path=Path("/clips/a.mp4"))
    assert settings.cameras["yard"].options == synthetic.Options()


def test_default_device_can_stand_in_a_topic() -> None:
    device = config.parse(SYNTHETIC, Path("agent.toml")).device

    assert device
    assert not set(device) & set("/+# .")


@pytest.mark.parametrize("content", [b"\xff\xfe[", None])
def test_unreadable_file_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "agent.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(config.ConfigError) as error:
        config.load(path)

    assert str(error.value).startswith(f"config {path}: ")
    assert "\n" not in str(error.value)


def test_a_later_room_can_complain_with_the_same_place(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(SYNTHETIC + '[model]\nlabels = ["persom"]\n')

    assert str(config.complaint(path, ("model", "labels"), "no such label")) == f"{path}:4: model.labels: no such label"
