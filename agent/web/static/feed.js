// What happened, newest first: events of tracks, zones and lines, anomalies with their reason and picture.

import { clock, el, find, percent } from "/dom.js";

const MOST = 120;
const list = find("happened");
const seen = new Set();

const WORDS = {
  zone_enter: (m) => `${who(m)} entered ${m.source}`,
  zone_exit: (m) => `${who(m)} left ${m.source}`,
  line_cross: (m) => `${who(m)} crossed ${m.source} (${m.detail.direction})`,
  track_start: (m) => `${who(m)} appeared`,
  track_end: (m) => `${who(m)} is gone`,
  track_update: (m) => `${who(m)}: ${known(m)}`,
  reading: (m) => `${m.source}: ${m.detail.value ?? "unknown"}`,
  config_changed: () => "The config was taken over",
  config_rejected: () => "A config was not taken over",
};

const known = (m) => Object.entries(m.detail.recognised || {}).map(([name, { value }]) => `${name} ${value ?? "unknown"}`).join(", ");
const who = (m) => `${m.label || "object"} ${m.track ?? ""}`.trim();

function kind(message) {
  if (message.schema.startsWith("lookout/anomaly")) return message.active ? "anomaly" : "over";
  return { zone_enter: "enter", zone_exit: "exit", line_cross: "cross" }[message.kind] || "other";
}

function told(message) {
  const sort = kind(message);
  if (sort === "anomaly" || sort === "over") {
    const name = message.source === message.kind ? message.kind : `${message.source} (${message.kind})`;
    return [`${name.replaceAll("_", " ")}${sort === "over" ? " is over" : ""}`, message.reason];
  }
  const words = WORDS[message.kind];
  const { count_all: count, dwell_s: stayed, age_s: age } = message.detail;
  const more = stayed !== undefined ? `after ${stayed.toFixed(1)} s` : count ? `${count} so far` : message.kind === "track_end" ? `after ${age.toFixed(1)} s` : "";
  return [words ? words(message) : message.kind.replaceAll("_", " "), message.detail.reason && !words ? message.detail.reason : more];
}

// The small picture of this run, else the one on the disk; a click opens the latter.
function shown({ picture, snapshot, number }, title) {
  if (!picture && !snapshot) return null;
  const kept = `/snapshot/${snapshot}`, src = picture ? `/picture/${number}` : kept;
  const gone = () => (snapshot && !image.src.endsWith(kept) ? (image.src = kept) : (image.hidden = true));
  const image = el("img", { src, alt: `Picture: ${title}`, loading: "lazy", onerror: gone });
  return snapshot ? el("a", { href: kept, target: "_blank", rel: "noopener" }, image) : image;
}

export function happened(message) {
  if (seen.has(message.number)) return;
  seen.add(message.number);
  const [title, more] = told(message), sort = kind(message);
  const picture = shown(message, title);
  const when = el("time", { datetime: message.time }, clock(message.time));
  const severity = sort === "anomaly" ? el("span", { class: "badge" }, `severity ${percent(message.severity)}`) : null;
  const item = el("li", { class: `item ${sort}`, "data-kind": message.kind }, el("span", { class: "dot", "aria-hidden": "true" }),
    el("div", { class: "words" }, el("p", { class: "title" }, title), more ? el("p", { class: "muted" }, more) : null,
      el("p", { class: "when" }, when, ` · ${message.camera ?? "device"} `, severity)), picture);
  list.prepend(item);
  while (list.children.length > MOST) list.lastChild.remove();
  filtered();
}

export function filtered() {
  const wanted = find("filter").value;
  let shown = 0;
  for (const item of list.children) {
    const anomaly = item.classList.contains("anomaly") || item.classList.contains("over");
    item.hidden = wanted === "anomalies" ? !anomaly : wanted === "areas" ? item.classList.contains("other") && item.dataset.kind.startsWith("track") : false;
    shown += !item.hidden;
  }
  find("quiet").hidden = shown > 0;
}

find("filter").addEventListener("change", filtered);

// The agent was started anew: its numbers begin again.
export function forget() {
  seen.clear();
  list.replaceChildren();
  filtered();
}
