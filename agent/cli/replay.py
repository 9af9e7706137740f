"""Run a clip through the pipeline, every frame, as fast as it goes, and write what came out.

Deterministic: time comes from the clip, nothing is dropped, and two runs write identical bytes. A clip is a video, or
a folder of pictures in the order of their names (the numbers in them count as numbers), `--fps` of them a second.

--events  a JSON object a line: {"kind", "t", "seq", "camera", "source", "track", "detail"}, t = s since the start
--scores  a line a frame under the head "frame,score": frame from 1, its strongest anomaly score, 0..1, 0.5 = a limit
--learn   clips to be watched first, as if the camera had seen them before the source: what is normal. What is learned
          is forgotten at the end. A camera that watches for nothing gets `unusual` for --scores.
--mot     MOTChallenge lines frame,id,left,top,width,height,confidence,-1,-1,-1 in px, frame from 1
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from agent import boxes, config, plugins
from agent.cli.detect import read_image
from agent.data import Event, Frame, LookoutError, Scene
from agent.pipeline import Pipeline, open_detector

_PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="agent.toml")
    parser.add_argument("--source", type=Path, metavar="CLIP", help="this clip instead of the config's camera")
    parser.add_argument("--model", type=Path, help="this model instead of the config's")
    parser.add_argument("--camera", help="which camera of the config (default: the first)")
    parser.add_argument("--events", type=Path, metavar="FILE", help="write the events there")
    parser.add_argument("--mot", type=Path, metavar="FILE", help="write the tracks there")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="write each frame's anomaly score there")
    parser.add_argument(
        "--learn", type=Path, metavar="CLIP", nargs="+", action="extend", default=[], help="normal clips"
    )
    parser.add_argument("--fps", type=float, default=10.0, help="of a clip that is a folder of pictures (default: 10)")


def run(args: argparse.Namespace) -> int:
    settings = config.load(args.config)
    camera = args.camera or next(iter(settings.cameras))
    settings = _flat_out(settings, camera, args.source)
    if args.model:
        settings = msgspec.structs.replace(settings, model=msgspec.structs.replace(settings.model, file=args.model))
    if args.scores and not settings.cameras[camera].anomalies:
        settings = _watching(settings, camera)
    detector = open_detector(settings, args.config)
    with tempfile.TemporaryDirectory(prefix="lookout-replay-") as folder:
        state = Path(folder) if args.learn else None
        for clip in args.learn:
            taught = _flat_out(settings, camera, clip)
            learning = Pipeline(taught, detector, sinks=(), state=state, wall=float)
            for _ in learning.replay(camera, _pictures(clip, args.fps)):
                pass
        pipeline = Pipeline(settings, detector, sinks=(), state=state, wall=float)
        _write(args, camera, pipeline)
    tally = pipeline.tally
    print(f"{tally.frames} frames, {tally.detections} detections, {tally.tracks} tracks")
    return 0


def _write(args: argparse.Namespace, camera: str, pipeline: Pipeline) -> None:
    with written(args.events) as events, written(args.mot) as mot, written(args.scores) as scores:
        if scores:
            scores.write("frame,score\n")
        for scene in pipeline.replay(camera, _pictures(args.source, args.fps)):
            if events:
                events.writelines(event_line(camera, event) + "\n" for event in (*scene.events, *scene.anomalies))
            if mot:
                mot.writelines(mot_lines(scene))
            if scores:
                scores.write(f"{scene.frame.seq + 1},{scene.anomaly_score:.6f}\n")


def event_line(camera: str, event: Event) -> str:
    """One event as JSON; times to a millisecond."""
    row = {
        "kind": event.kind,
        "t": round(event.t, 3),
        "seq": event.seq,
        "camera": camera,
        "source": event.source,
        "track": event.track_id,
        "detail": event.detail,
    }
    return msgspec.json.encode(row).decode()


def mot_lines(scene: Scene) -> list[str]:
    """The scene's tracks as MOTChallenge lines."""
    tracks = scene.tracks
    return [
        f"{scene.frame.seq + 1},{number},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{confidence:.4f},-1,-1,-1\n"
        for number, (x, y, w, h), confidence in zip(
            tracks.track_id, boxes.xyxy_to_xywh(tracks.xyxy), tracks.confidence, strict=True
        )
    ]


@contextlib.contextmanager
def written(path: Path | None) -> Iterator[TextIO | None]:
    """A file that appears whole when the block ends well, and not at all otherwise; a pipe or device as it goes."""
    if path is None:
        yield None
        return
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            yield file
        draft.replace(path)
    except OSError as error:
        raise LookoutError(f"output {path}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _watching(settings: config.Config, camera: str) -> config.Config:
    """The same config with a camera that watches for the unusual."""
    unusual = config.Anomaly("unusual", plugins.get("anomalies", "unusual").Options())
    chosen = msgspec.structs.replace(settings.cameras[camera], anomalies={"unusual": unusual})
    return msgspec.structs.replace(settings, cameras={**settings.cameras, camera: chosen})


def _pictures(clip: Path | None, fps: float) -> Iterator[Frame] | None:
    """The pictures of a folder as frames; None for what is not a folder."""
    return _read_folder(clip, fps) if clip and clip.is_dir() else None


def _read_folder(folder: Path, fps: float) -> Iterator[Frame]:
    files = [file for file in folder.iterdir() if file.suffix.lower() in _PICTURES]
    if not files:
        raise LookoutError(f"replay: there are no pictures in {folder}")
    for seq, file in enumerate(sorted(files, key=_by_number)):
        yield Frame(read_image(file), seq, seq / fps)


def _by_number(file: Path) -> list[tuple[int, str]]:
    """frame2.png stands before frame10.png."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]


def _flat_out(settings: config.Config, camera: str, source: Path | None) -> config.Config:
    """The same config with one camera that gives every frame without waiting."""
    if camera not in settings.cameras:
        raise LookoutError(f"replay: there is no camera {camera!r}; there are: {', '.join(settings.cameras)}")
    chosen: config.Camera = settings.cameras[camera]
    if source:
        clip = config.camera("file", path=source)
        chosen = msgspec.structs.replace(chosen, kind=clip.kind, options=clip.options)
    if not hasattr(chosen.options, "pace"):
        raise LookoutError(f"replay: camera {camera} is live ({chosen.kind}); give a clip with --source CLIP")
    options = msgspec.structs.replace(chosen.options, pace="max")
    if hasattr(options, "loop"):
        options = msgspec.structs.replace(options, loop=False)
    return msgspec.structs.replace(settings, cameras={camera: msgspec.structs.replace(chosen, options=options)})
