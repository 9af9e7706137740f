"""Tamper: the camera can no longer see what it is there to see. Seven ways, told apart in this order:

    too_dark       hardly anything is bright, and was a minute ago; the edges are where they were
    over_exposed   most of it is at the top of the range, and was not
    noise          everything changes, finely: signal, cable, sensor
    covered        the edges of nearly all blocks are gone
    moved          the edges are elsewhere, all by the same way, or there are others in nearly all blocks
    defocused      the edges are where they were, fine detail is gone
    frozen         all is as usual, but two looks are the same, and never were

What a lorry does to part of the picture, or to all of it as it passes, is none of these: nearly all blocks must be
lost and the picture stand still again, or all be lost. Dusk is none: what is usual follows within a minute
(parts/sight). A view that stays changed is learned anew after `relearn_s`, and the anomaly is over.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from agent.anomalies import Anomaly, Place
from agent.anomalies.parts.episodes import Episodes, Finding
from agent.anomalies.parts.sight import Sight, View
from agent.data import Array, Event, Scene

_EVERY_S = 0.5
_UNLIKE = 0.25  # cosine below which a block shows something else
_ALL = 0.95  # share of lost blocks that no passer-by leaves behind him
_FLAT = 0.1  # of the usual energy: a block with less has lost its edges
_RATHER_UNLIKE, _SOME = 0.5, 0.4  # where so many blocks are so unlike, the whole may have moved aside:
_WAY, _BETTER = 0.025, 0.1  # by so much of the width, and there the cosine of all edges is so much greater
_DIM = 64  # grey levels: nothing is brighter
_STANDS, _STANDS_MOST = 0.3, 0.25  # of the least change that there ever was; grey levels
_GAP_S = 5.0  # without a picture for so long, nothing is said about how it changed
_REASONS = {
    "frozen": "the picture stands still: it changes by {0:.2f} grey levels less than it ever did",
    "noise": "noise of {0:.0f} grey levels; the limit is {1:.0f}",
    "too_dark": "too dark: {0:.0%} of the usual light is missing; the limit is {1:.0%}",
    "over_exposed": "over-exposed: {0:.0%} of the picture is white; the limit is {1:.0%}",
    "covered": "covered: {0:.0%} of the view has lost its edges; the limit is {1:.0%}",
    "defocused": "out of focus: {0:.0%} of the fine detail is gone; the limit is {1:.0%}",
    "moved": "moved: {0:.0%} of the view is not where it was; the limit is {1:.0%}",
}


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """[cameras.CAMERA.anomalies.tamper]."""

    learn_s: Annotated[float, Meta(ge=1, le=3600)] = 10.0  # silent until so much was seen
    hold_s: Annotated[float, Meta(ge=0, le=60)] = 2.5  # wrong for this long
    clear_s: Annotated[float, Meta(ge=0, le=3600)] = 3.0  # and over after this long without
    relearn_s: Annotated[float, Meta(ge=10, le=86400)] = 600.0  # then the new view is the usual one
    noise: Annotated[float, Meta(ge=1, le=128)] = 12.0  # grey levels, and four times the usual
    dark: Annotated[float, Meta(gt=0, lt=1)] = 0.65  # share of the usual light that may be missing
    white: Annotated[float, Meta(gt=0, le=1)] = 0.4  # share of the picture that may be white
    lost: Annotated[float, Meta(gt=0, le=1)] = 0.7  # share of the view that may be lost
    blur: Annotated[float, Meta(gt=0, lt=1)] = 0.6  # share of the fine detail that may be gone


def create(options: Options, place: Place) -> Anomaly:
    """Remembers a small picture of edges and a few numbers."""
    return _Tamper(options, place)


class _Tamper(Anomaly):
    def __init__(self, options: Options, place: Place) -> None:
        self._options, self._glance = options, place.glance
        self._episodes = Episodes(place, clear_s=options.clear_s, hold_s=options.hold_s)
        self._sight, self._looked, self._size = Sight(), -np.inf, (0, 0)
        self._wrong_s = 0.0  # s without a look that was as usual

    def update(self, scene: Scene) -> list[Event]:
        dt = scene.frame.t - self._looked
        if 0 <= dt < _EVERY_S - 0.01:
            return []
        self._looked = scene.frame.t
        if scene.frame.size != self._size or self._wrong_s > self._options.relearn_s:
            self._sight, self._size, self._wrong_s = Sight(), scene.frame.size, 0.0
        view = self._sight.look(scene.frame.image, self._glance.grey(scene.frame))
        found = self._judge(view) if self._sight.age >= self._options.learn_s and dt <= _GAP_S else None
        if found is None:
            self._sight.learn(min(max(dt, 0.0), 1.0))
        self._wrong_s = 0.0 if found is None else self._wrong_s + min(dt, _GAP_S)
        self.score = 0.0 if found is None else 0.5 + found[1].strength / 2
        return self._episodes.update(scene, {} if found is None else {found[0]: found[1]})

    def _judge(self, view: View) -> tuple[str, Finding] | None:
        """What is wrong with a look, if anything is: the first of the list above."""
        wants, (_, clipped, change, noise) = self._options, self._sight.usual
        lost, gone = _share(view.like < _UNLIKE), _share(view.energy < _FLAT)
        is_told = view.change <= 2.5 * change + 1.0 or lost >= _ALL
        is_dark = view.bright < _DIM and lost < wants.lost
        stands = min(_STANDS * self._sight.quiet, _STANDS_MOST)
        cases = (
            ("too_dark", 1 - view.light if is_dark else 0.0, wants.dark),
            ("over_exposed", view.clipped, wants.white + clipped),
            ("noise", view.noise, max(wants.noise, 4 * noise)),
            ("covered", lost if is_told and gone > wants.lost / 2 else 0.0, wants.lost),
            ("moved", max(self._aside(view), lost if is_told else 0.0), wants.lost),
            ("defocused", 1 - view.focus if lost < 0.5 else 0.0, wants.blur),
            ("frozen", stands - view.change, 0.0),
        )
        for fault, value, limit in cases:
            if value > limit:
                reason = _REASONS[fault].format(value, limit)
                return fault, Finding(reason, value, limit, about={"what": fault})
        return None

    def _aside(self, view: View) -> float:
        """Share of the view that shows something else, if it shows what was elsewhere; else 0. Rarely asked in full."""
        unlike = _share(view.like < _RATHER_UNLIKE)
        if unlike < _SOME:
            return 0.0
        way, better = self._sight.aside()
        return 1.0 if way >= _WAY and better >= _BETTER else 0.0


def _share(blocks: Array) -> float:
    return float(blocks.mean()) if len(blocks) else 0.0
