"""What a real https server offers: told when new and signed, fetched when asked, refused in one line else."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import config
from agent.__main__ import main
from agent.device import manifest, offers, updates
from agent.device.fetch import FetchError
from agent.device.manifest import Manifest, ManifestError, Standing
from agent.device.offers import Offers
from agent.device.updates import Store, UpdateError
from tests.conftest import ROOT
from tests.device.test_updates import NEW, OLD, good
from tests.fakes.https import Server
from tests.fakes.mosquitto import until

pytest.importorskip("nacl", reason="PyNaCl is not installed")


class Maker:
    """Signs models and lays them on a server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.private, self.public = manifest.new_key()
        self.options = config.Updates(f"{server.url}/mine.manifest.json", self.public, 6.0, server.ca)

    def publishes(self, version: int, data: bytes = NEW, private: bytes | None = None) -> None:
        model = self.server.folder / "mine.tflite"
        model.write_bytes(data)
        text, signature = manifest.signed(model, private or self.private, version)
        (self.server.folder / "mine.manifest.json").write_bytes(text)
        (self.server.folder / "mine.manifest.json.sig").write_bytes(signature)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("tls"), tmp_path_factory.mktemp("served"))
    yield served
    served.close()


@pytest.fixture
def maker(server: Server) -> Maker:
    for path in server.folder.iterdir():
        path.unlink()
    return Maker(server)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With OLD as version 5, proved."""
    store = Store(tmp_path / "state" / "models")
    (tmp_path / "old.tflite").write_bytes(OLD)
    store.install(tmp_path / "old.tflite", test=good, version=5)
    store.keep()
    return store


def take(maker: Maker, store: Store) -> None:
    with offers.newest(maker.options, store) as (file, found):
        store.install(file, found.sha256, good, version=found.version)


def running(store: Store) -> bytes:
    path = store.begin()
    return path.read_bytes() if path else b""


def test_the_newest_is_fetched_and_installed_and_nothing_else_is_left(maker: Maker, store: Store) -> None:
    maker.publishes(6)
    take(maker, store)
    assert (running(store), store.state.version) == (NEW, 6)
    assert {path.name for path in store.folder.iterdir()} == {
        *("state.json", hashlib.sha256(NEW).hexdigest()[:16], hashlib.sha256(OLD).hexdigest()[:16])
    }


def wrong_key(maker: Maker) -> None:
    maker.publishes(6, private=manifest.new_key()[0])


def replayed(maker: Maker) -> None:
    maker.publishes(4)


def same(maker: Maker) -> None:
    maker.publishes(5)


def other_bytes(maker: Maker) -> None:
    maker.publishes(6)
    (maker.server.folder / "mine.tflite").write_bytes(NEW[:-1] + b"x")


def too_long(maker: Maker) -> None:
    maker.publishes(6)
    (maker.server.folder / "mine.tflite").write_bytes(NEW + b"x")


def no_model(maker: Maker) -> None:
    maker.publishes(6)
    (maker.server.folder / "mine.tflite").unlink()


def no_signature(maker: Maker) -> None:
    maker.publishes(6)
    (maker.server.folder / "mine.manifest.json.sig").unlink()


def long_manifest(maker: Maker) -> None:
    maker.publishes(6)
    (maker.server.folder / "mine.manifest.json").write_bytes(b" " * (manifest.LARGEST + 1))


def garbage(maker: Maker) -> None:
    maker.publishes(6, b"signed, but no model")


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (wrong_key, ManifestError, "manifest: its signature is not good (changed, or signed with another key)"),
        (replayed, UpdateError, "update: version 4 is older than 5, which was taken; refused"),
        (same, UpdateError, "update: version 5 is the newest there is, and was taken before"),
        (other_bytes, ManifestError, "model mine.tflite: its bytes are not those of its manifest"),
        (too_long, FetchError, f"localhost/mine.tflite: larger than {len(NEW)} bytes; refused"),
        (no_model, FetchError, "localhost/mine.tflite: cannot be fetched (File not found)"),
        (no_signature, FetchError, "localhost/mine.manifest.json.sig: cannot be fetched (File not found)"),
        (long_manifest, FetchError, "localhost/mine.manifest.json: larger than 16384 bytes; refused"),
        (garbage, offers.LookoutError, "not a TFLite file"),
    ],
)
def test_what_is_not_right_changes_nothing(
    maker: Maker, store: Store, spoil: Callable[[Maker], None], kind: type[Exception], words: str
) -> None:
    spoil(maker)
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    with pytest.raises(kind) as error:
        take(maker, store)
    assert words in str(error.value)
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before
    assert running(store) == OLD


def test_without_an_address_nothing_is_asked_for(store: Store) -> None:
    with pytest.raises(UpdateError, match=r"\[updates\] names no manifest"), offers.newest(config.Updates(), store):
        pass


def test_a_new_offer_is_told_once_and_an_install_ends_it(maker: Maker, store: Store) -> None:
    told: list[Manifest] = []
    made = Offers(maker.options, store, told.append)
    assert made.standing() == Standing(5, 5)
    maker.publishes(6)
    for _ in range(3):
        made._look()
        assert made.standing() == Standing(5, 6)
    assert [offer.version for offer in told] == [6]
    with made.fetched() as (file, found):
        store.install(file, found.sha256, good, version=found.version)
    made.take_over(maker.options)
    assert made.standing() == Standing(6, 6)
    store.roll_back("test")
    made.take_over(maker.options)
    made._look()
    assert made.standing() == Standing(5, 5), "what was refused is not offered again"
    maker.publishes(7)  # the same bytes
    made._look()
    assert made.standing() == Standing(5, 5)
    maker.publishes(8, NEW + b"mended")
    made._look()
    assert (made.standing(), len(told)) == (Standing(5, 8), 2)


def test_trouble_is_shown_and_said_once(maker: Maker, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    made = Offers(maker.options, store, lambda _: None)
    maker.publishes(6)
    made._look()
    wrong_key(maker)
    with caplog.at_level(logging.WARNING):
        made._look()
        made._look()
    words = "manifest: its signature is not good (changed, or signed with another key)"
    assert made.standing() == Standing(5, 6, words)
    assert [record.getMessage() for record in caplog.records] == [f"updates: {words}; looked for again in 6 h"]
    maker.publishes(6)
    made._look()
    assert made.standing() == Standing(5, 6)


def test_the_thread_looks_soon_after_the_start_and_where_a_new_config_says(
    maker: Maker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "_FIRST_S", 0.01)
    told, looked = list[Manifest](), threading.Event()
    made = Offers(config.Updates(), store, lambda offer: (told.append(offer), looked.set())[0])
    maker.publishes(6)
    made.start()
    assert not looked.wait(0.3), "nobody is named, nobody is asked"
    made.take_over(maker.options)
    until(lambda: made.standing() == Standing(5, 6), "the offer")
    assert looked.wait(20)


def test_the_command_takes_the_newest(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(updates, "self_test", good)
    agent, asked = tmp_path / "agent.toml", maker.options
    agent.write_text(
        f'state_dir = "{tmp_path}/kept"\n[cameras.a]\nkind = "synthetic"\n'
        f'[updates]\nmanifest = "{asked.manifest}"\npublic_key = "{maker.public}"\nca_file = "{asked.ca_file}"\n'
    )
    maker.publishes(7)

    assert main(["update", "--newest", str(agent), "--back"]) == 2
    assert main(["update", "--newest", str(agent)]) == 0
    assert "from the next start on: mine.tflite" in capsys.readouterr().out
    assert running(Store(tmp_path / "kept" / "models")) == NEW
    assert main(["update", "--newest", str(agent)]) == 2
    assert "update: version 7 is the newest there is, and was taken before" in capsys.readouterr().err
    maker.publishes(8)
    assert main(["update", "--newest", str(agent), "--state", str(tmp_path / "other")]) == 0
    assert running(Store(tmp_path / "other" / "models")) == NEW


KILLED = """
import sys
from pathlib import Path
from agent import config
from agent.device import offers
from tests.device import killed

pristine, home, url, key, ca = sys.argv[1:]
options, fetch = config.Updates(url, key, 6.0, Path(ca)), offers.fetch
offers.fetch = lambda *a, **k: (fetch(*a, **k), killed.step())

def take(store):
    with offers.newest(options, store) as (file, found):
        store.install(file, found.sha256, lambda _: 1.0, version=found.version)

def running(store):
    return [store.begin().read_bytes()[8:].decode(), store.state.version]

def again(store):
    if store.state.version == 5:
        take(store)

killed.at_every_step(Path(pristine), Path(home), take, running, again)
"""


def test_killed_at_any_step_of_fetching_leaves_the_old_model_or_the_new(
    maker: Maker, store: Store, tmp_path: Path
) -> None:
    maker.publishes(6)
    places = [str(path) for path in (store.folder.parent, tmp_path / "home")]
    command = [sys.executable, "-c", KILLED, *places, str(maker.options.manifest), maker.public, str(maker.server.ca)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, cwd=ROOT)
    code, outcomes = json.loads(done.stdout.splitlines()[-1])
    left = [tuple(after_kill) for after_kill, _ in outcomes]

    assert code == 0  # the last round was not killed any more
    assert len(outcomes) > 30
    assert [again for _, again in outcomes] == [["new", 6]] * len(outcomes)
    assert set(left) == {("old", 5), ("new", 6)}, "a model and its version go together"
    assert left == sorted(left, reverse=True)
