"""python -m tests.bench.latency [--seconds 30]: from the camera to a subscriber, and from start to first word.

glass-to-MQTT     a synthetic camera stamps each frame when it is drawn; a subscriber of a real mosquitto notes when the
                  message of that frame arrives. What the model itself took for this frame is taken off.
start             `python -m agent run` as a process on a clip: from its start to the first message with a track; its
                  files are in the page cache and compiled, as the package and the deployment leave them
peak memory       of that process, one camera, no web page
install           what the agent and its libraries take on the disk of this environment
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackagePath, distribution
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho

from agent import config
from agent.capture.cameras import synthetic
from agent.data import CameraState, Scene
from agent.pipeline import Pipeline, open_detector
from agent.publish.publisher import Publisher
from tests.conftest import ROOT
from tests.fakes.mosquitto import Broker, until

_WARM_S = 3.0
_LIBRARIES = ("numpy", "opencv-python-headless", "ai-edge-litert", "paho-mqtt", "msgspec")


class Notes:
    """What the pipeline knew of each frame: when it was drawn, what it carries, ms of the model."""

    def __init__(self) -> None:
        self.frames: dict[int, tuple[float, float]] = {}  # seq -> s, ms

    def on_scene(self, scene: Scene) -> None:
        assert synthetic.stamped_seq(scene.frame.image) == scene.frame.seq % 2**16
        self.frames[scene.frame.seq] = scene.frame.t, scene.times["invoke"]

    def on_camera(self, state: CameraState) -> None:
        pass


def subscriber(port: int, arrived: list[tuple[float, dict[str, Any]]]) -> paho.Client:
    """Notes the time of every `detections` message."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _u, m: arrived.append((time.monotonic(), json.loads(m.payload)))
    client.on_connect = lambda c, *_: c.subscribe("lookout/+/+/detections")
    client.connect("127.0.0.1", port)
    client.loop_start()
    until(client.is_connected, "subscriber")
    return client


def glass_to_mqtt(port: int, seconds: float, fps: float, folder: Path) -> dict[str, float]:
    """ms from a frame's time stamp to its message's arrival, and the same less the model's own time."""
    settings = config.Config(
        cameras={"bench": config.camera("synthetic", rate=fps, objects=6)},
        tracker=config.Tracker(high=0.1, low=0.1),  # blocks are no people: whatever the model takes them for
        model=config.Model(confidence=0.1),
        detect=config.Detect(mode="full"),
        mqtt=config.Mqtt(port=port),
        state_dir=folder,
    )
    arrived: list[tuple[float, dict[str, Any]]] = []
    client, notes, detector = subscriber(port, arrived), Notes(), open_detector(settings)
    with Publisher(settings, detector.model) as publisher:
        Pipeline(settings, detector, [publisher, notes]).run(seconds + _WARM_S)
    client.loop_stop()
    first = min(t for t, _ in notes.frames.values()) + _WARM_S
    whole, beyond = [], []
    for at, message in arrived:
        drawn, model = notes.frames[message["seq"]]
        if drawn >= first:
            whole.append((at - drawn) * 1e3)
            beyond.append((at - drawn) * 1e3 - model)
    return {
        "messages": len(whole),
        **{f"whole_p{p}": float(np.percentile(whole, p)) for p in (50, 99)},
        **{f"beyond_p{p}": float(np.percentile(beyond, p)) for p in (50, 99)},
    }


def start_and_memory(clip: Path, port: int, folder: Path) -> dict[str, float]:
    """s from the start of the process to the first message with a track, and MB at most."""
    file = folder / "agent.toml"
    file.write_text(
        f'state_dir = "{folder / "state"}"\n[mqtt]\nport = {port}\n'
        f'[cameras.street]\nkind = "file"\npath = "{clip}"\nloop = true\n'
    )
    arrived: list[tuple[float, dict[str, Any]]] = []
    client, begin = subscriber(port, arrived), time.monotonic()
    compiled = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "run", str(file)], cwd=ROOT, stderr=subprocess.DEVNULL, env=compiled
    )
    try:
        until(lambda: arrived, "a detection", 60)
        first, message = arrived[0]
        time.sleep(10)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.terminate()
        process.wait()
        client.loop_stop()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return {"start_s": first - begin, "first_seq": message["seq"], "peak_rss_mb": peak / 1024}


def install_mb() -> float:
    """MB of the libraries' files and of the agent's own."""
    files: list[PackagePath] = [f for name in _LIBRARIES for f in distribution(name).files or []]
    paths = [Path(str(f.locate())) for f in files] + [
        *(ROOT / "agent").rglob("*.py"),
        *(ROOT / "models").glob("*.tflite"),
    ]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--json", type=Path, default=ROOT / "tests" / ".artifacts" / "latency.json")
    args = parser.parse_args()
    clip = args.data / "video" / "vtest.avi"
    result: dict[str, Any] = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "install_mb": install_mb()}
    with tempfile.TemporaryDirectory() as name:
        folder, broker = Path(name), Broker(Path(name)).start()
        result["glass_to_mqtt_ms"] = glass_to_mqtt(broker.port, args.seconds, args.fps, folder / "glass")
        starts = [start_and_memory(clip, broker.port, folder) for _ in range(args.starts + 1)][1:]  # the first compiles
        result["start"] = {key: float(np.median([one[key] for one in starts])) for key in starts[0]}
        broker.kill()
    print(json.dumps(result, indent=1))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
