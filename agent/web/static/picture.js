// What was found, drawn over the live picture: boxes, labels, trails, zones and lines.

import { find, hue, percent, say, set, svg } from "/dom.js";
import { watch } from "/stream.js";

const TRAIL_S = 6;
const KEPT_S = 120; // of a track's history, for "why"
const areas = find("areas"), trails = find("trails"), tracks = find("tracks");

export class Picture {
  constructor(onTrack, onScene) {
    Object.assign(this, { onTrack, onScene });
    this.size = [16, 9];
    this.drawn = new Map(); // track id -> its elements
    this.history = new Map(); // track id -> [{t, confidence, foot, zones, label}]
    this.labels = [];
    this.counts = {};
    new ResizeObserver(() => this.fit()).observe(find("picture"));
    this.canvas = find("image").getContext("2d", { alpha: false });
    this.pen = document.createElement("canvas").getContext("2d");
    this.pen.font = "650 12.5px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
  }

  watch(camera) {
    if (this.camera !== camera) {
      this.history.clear();
      this.show([], 0);
    }
    this.camera = camera;
    this.stop?.();
    if (!document.hidden) this.stop = watch(`/stream/${encodeURIComponent(camera)}?scenes=1`, (image, told) => this.frame(image, told));
  }

  // A picture and what was found in it, at the same moment.
  frame(image, told) {
    const canvas = find("image");
    if (canvas.width !== image.width || canvas.height !== image.height) Object.assign(canvas, { width: image.width, height: image.height });
    this.canvas.drawImage(image, 0, 0);
    image.close();
    this.scene(told);
    this.onScene(told);
  }

  fit() {
    const [width, height] = this.size, overlay = find("overlay");
    set(overlay, { viewBox: `0 0 ${width} ${height}` });
    find("picture").style.aspectRatio = `${width} / ${height}`;
    find("picture").style.width = `min(100%, calc(74vh * ${width / height}))`;
    this.unit = width / (overlay.clientWidth || width); // frame px a CSS px
    this.letter = overlay.clientWidth < 500 ? 10.5 : 12.5; // CSS px
    overlay.style.fontSize = `${this.letter * this.unit}px`;
    overlay.style.setProperty("--unit", this.unit);
  }

  scene(told) {
    if (told.size[0] !== this.size[0] || told.size[1] !== this.size[1]) {
      this.size = told.size;
      this.fit();
      this.areas(this.section);
    }
    this.show(told.tracks, Date.parse(told.time) / 1000);
  }

  show(list, t) {
    const [width, height] = this.size, unit = this.unit || 1, now = new Set(list.map((track) => track.id));
    for (const [id, one] of this.drawn) {
      if (!now.has(id)) {
        one.group.remove();
        one.trail.remove();
        this.drawn.delete(id);
      }
    }
    for (const track of list) {
      const one = this.drawn.get(track.id) || this.born(track);
      const [x1, y1, x2, y2] = track.box.map((v, i) => v * (i % 2 ? height : width));
      const known = Object.values(track.recognised || {}).flatMap(({ value }) => (value === null ? [] : [value]));
      const text = [track.label, percent(track.confidence), ...known].join(" ");
      set(one.box, { x: x1, y: y1, width: Math.max(1, x2 - x1), height: Math.max(1, y2 - y1) });
      say(one.text, text);
      set(one.group, { "aria-label": `${track.label} ${track.id}, ${percent(track.confidence)}: why?` });
      const wide = (this.pen.measureText(text).width * (this.letter / 12.5) * 1.04 + 10) * unit, high = (this.letter + 6.5) * unit, top = y1 > high ? y1 - high : y1;
      const left = Math.min(Math.max(0, x1 - unit), Math.max(0, width - wide));
      set(one.plate, { x: left, y: top, width: wide, height: high, rx: 3 * unit });
      set(one.text, { x: left + 5 * unit, y: top + (this.letter + 1) * unit });
      const past = this.remember(track, t, [(x1 + x2) / 2, y2]);
      set(one.trail, { points: past.filter((p) => t - p.t <= TRAIL_S).map((p) => p.foot.map(Math.round).join()).join(" ") });
    }
    for (const [id, past] of this.history) if (!now.has(id) && t - past[past.length - 1].t > KEPT_S) this.history.delete(id);
  }

  born(track) {
    const color = `hsl(${hue(this.labels.indexOf(track.label))} 90% 62%)`;
    const one = { box: svg("rect", { class: "box" }), plate: svg("rect", { class: "plate" }), text: svg("text", { class: "name" }) };
    const why = () => this.onTrack(track.id);
    const key = (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), why());
    one.group = svg("g", { class: "track", tabindex: 0, role: "button", onclick: why, onkeydown: key }, one.box, one.plate, one.text);
    one.trail = svg("polyline", { class: "trail" });
    for (const part of [one.group, one.trail]) part.style.setProperty("--color", color);
    tracks.append(one.group);
    trails.append(one.trail);
    this.drawn.set(track.id, one);
    return one;
  }

  remember(track, t, foot) {
    const past = this.history.get(track.id) || [];
    this.history.set(track.id, past);
    const last = past[past.length - 1];
    if (!last || t > last.t) past.push({ t, confidence: track.confidence, foot, zones: track.zones, label: track.label, age: track.age });
    while (past.length && t - past[0].t > KEPT_S) past.shift();
    return past;
  }

  // The zones, lines and masks of the config.
  areas(section) {
    this.section = section;
    areas.replaceChildren();
    if (!section) return;
    for (const mask of section.privacy_masks) areas.append(shape("privacy", mask, this.size, ""));
    for (const mask of section.motion_masks) areas.append(shape("motion", mask, this.size, ""));
    for (const [name, zone] of Object.entries(section.zones)) areas.append(shape("zone", zone.polygon, this.size, name));
    for (const [name, line] of Object.entries(section.lines)) areas.append(shape("line", line.points, this.size, name));
  }
}

// One zone, line or mask of either kind: points in 0..1 -> a group.
export function shape(kind, points, [width, height], name, index = 0) {
  const px = points.map(([x, y]) => [x * width, y * height]);
  const joined = px.map((p) => p.map((v) => Math.round(v * 10) / 10).join()).join(" ");
  const group = svg("g", { class: `area ${kind}` });
  group.append(svg(kind === "line" ? "polyline" : "polygon", { class: "edge", points: joined }));
  if (kind === "line") group.append(...way(px, width));
  if (name) {
    const left = Math.min(...px.map((p) => p[0])), top = Math.min(...px.map((p) => p[1]));
    const at = kind === "line" ? px[0] : px.reduce((best, p) => (p[0] + p[1] < best[0] + best[1] ? p : best), [left + width, top + height]);
    group.append(svg("text", { class: "area-name", x: at[0], y: at[1], dx: ".45em", dy: kind === "line" ? "-.55em" : "1.25em" }, name));
  }
  return group;
}

// The arrow that says which side is "in": to the right of who walks from the first point to the last.
function way(px, width) {
  const n = Math.floor((px.length - 1) / 2), [a, b] = [px[n], px[n + 1]];
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1, far = width * 0.05;
  const mid = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const normal = [-(b[1] - a[1]) / length, (b[0] - a[0]) / length];
  const end = [mid[0] + normal[0] * far, mid[1] + normal[1] * far];
  return [
    svg("line", { class: "way", x1: mid[0], y1: mid[1], x2: end[0], y2: end[1], "marker-end": "url(#arrow)" }),
    svg("text", { class: "area-name", x: end[0], y: end[1], dx: ".5em", dy: ".35em" }, "in"),
  ];
}
