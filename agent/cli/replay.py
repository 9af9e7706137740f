"""Run a clip through the pipeline, every frame, as fast as it goes, and write what came out.

Deterministic: time comes from the clip, nothing is dropped, and two runs write identical bytes.

--events  a JSON object a line: {"kind", "t", "seq", "camera", "source", "track", "detail"}, t = s since the start
--mot     MOTChallenge lines frame,id,left,top,width,height,confidence,-1,-1,-1 in px, frame from 1
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from agent import boxes, config
from agent.data import Event, LookoutError, Scene
from agent.pipeline import Pipeline, open_detector


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="agent.toml")
    parser.add_argument("--source", type=Path, metavar="CLIP", help="this clip instead of the config's camera")
    parser.add_argument("--model", type=Path, help="this model instead of the config's")
    parser.add_argument("--camera", help="which camera of the config (default: the first)")
    parser.add_argument("--events", type=Path, metavar="FILE", help="write the events there")
    parser.add_argument("--mot", type=Path, metavar="FILE", help="write the tracks there")


def run(args: argparse.Namespace) -> int:
    settings = config.load(args.config)
    camera = args.camera or next(iter(settings.cameras))
    settings = _flat_out(settings, camera, args.source)
    if args.model:
        settings = msgspec.structs.replace(settings, model=msgspec.structs.replace(settings.model, file=args.model))
    pipeline = Pipeline(settings, open_detector(settings, args.config), sinks=())
    with written(args.events) as events, written(args.mot) as mot:
        for scene in pipeline.replay(camera):
            if events:
                events.writelines(event_line(camera, event) + "\n" for event in scene.events)
            if mot:
                mot.writelines(mot_lines(scene))
    tally = pipeline.tally
    print(f"{tally.frames} frames, {tally.detections} detections, {tally.tracks} tracks")
    return 0


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
    """A file that appears whole when the block ends well, and not at all otherwise."""
    if path is None:
        yield None
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
