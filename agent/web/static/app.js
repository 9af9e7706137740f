// The page: asks for the state once, then listens.

import { ask, el, find, say } from "/dom.js";
import { bars, Tile } from "/charts.js";
import { Editor } from "/editor.js";
import { filtered, forget, happened } from "/feed.js";
import { showModel } from "/model.js";
import { Picture } from "/picture.js";
import { tell, why } from "/why.js";

const tiles = {
  fps: new Tile("Looked at", "fps", { digits: 1 }),
  age: new Tile("Frame age", "ms"),
  work: new Tile("Work a frame", "ms"),
  objects: new Tile("Objects", ""),
  dropped: new Tile("Frames dropped", ""),
  soc: new Tile("Processor", "°C", { low: 20 }),
  cpu: new Tile("Processor busy", "%"),
  rss: new Tile("Memory", "MB"),
  waiting: new Tile("Outbox", "events"),
};

let state = null, camera = null, source = null, looked = 0, boot = null;
const picture = new Picture((id) => why(picture, camera, id, state.limits), scene);
const editor = new Editor(picture, () => camera, load);

async function load() {
  state = await ask("/api/state");
  say(find("device"), state.device);
  document.title = `${state.device} · Lookout`;
  picture.labels = state.labels;
  find("labels").replaceChildren(...state.labels.map((label) => el("option", { value: label })));
  const names = Object.keys(state.cameras), wanted = decodeURIComponent(location.hash.slice(1));
  const chosen = names.includes(wanted) ? wanted : names.includes(camera) ? camera : names[0];
  find("cameras").replaceChildren(...names.map((name) =>
    el("button", { type: "button", "aria-pressed": name === chosen, onclick: () => (location.hash = encodeURIComponent(name)) }, name)));
  find("cameras").hidden = names.length < 2;
  picture.areas(state.cameras[chosen]);
  say(find("live-title"), chosen);
  if (chosen !== camera) watch(chosen);
}

function watch(name) {
  camera = name;
  editor.close();
  picture.watch(name);
  source?.close();
  source = new EventSource("/events"); // scenes come with the pictures
  source.onopen = () => pill("page", "live", "good");
  source.onerror = () => pill("page", "no connection", "bad");
  const on = (kind, act) => source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
  on("happened", (message) => {
    if (message.boot_id !== boot && boot) forget();
    boot = message.boot_id;
    happened(message);
    if (message.kind === "config_changed") load();
  });
  on("health", health);
  on("cameras", cameras);
}

function scene(told) {
  tell();
  const work = Object.values(told.times_ms).reduce((sum, ms) => sum + ms, 0), now = Date.now();
  const names = {};
  for (const track of told.tracks) names[track.label] = (names[track.label] || 0) + 1;
  const seen = Object.entries(names).map(([label, n]) => `${n} × ${label}`).join(", ");
  const read = Object.entries(told.readings || {}).map(([name, { value }]) => `${name}: ${value ?? "unknown"}`).join(", ");
  say(find("summary"), [seen || "nothing in sight", read].filter(Boolean).join(" · "));
  if (now - looked < 1000) return;
  looked = now;
  tiles.fps.tell(told.fps);
  tiles.age.tell(told.age_ms);
  tiles.work.tell(work);
  tiles.objects.tell(told.tracks.length);
  if (!find("stages").dataset.mean) find("stages").replaceChildren(...bars(told.times_ms));
}

function health({ board, mqtt }) {
  tiles.waiting.tell(mqtt.waiting);
  pill("broker", mqtt.state === "online" ? "broker online" : `broker: ${mqtt.state}`, { online: "good", connecting: "" }[mqtt.state] ?? "bad");
  if (!board) return;
  tiles.dropped.tell(board.dropped_frames);
  tiles.soc.tell(board.soc_c);
  tiles.cpu.tell(board.cpu === null ? null : board.cpu * 100);
  tiles.rss.tell(board.rss_mb);
  const slow = board.thermal_level ? `, slowed by heat (level ${board.thermal_level})` : "";
  say(find("runs-on"), `${board.runs_on ? `on ${board.runs_on}` : ""}${slow}`);
  find("stages").dataset.mean = "1";
  find("stages").replaceChildren(...bars(board.stage_ms));
}

function cameras(told) {
  const one = told[camera];
  const away = one && !one.online;
  pill("camera", away ? "camera away" : one ? "camera online" : "camera opening", away ? "bad" : one ? "good" : "");
  find("away").hidden = !away;
  say(find("away"), away ? `The camera is not there: ${one.reason}. It is tried again and again.` : "");
}

function pill(which, text, mood) {
  say(find(`pill-${which}`), text);
  find(`pill-${which}`).className = `pill ${mood}`;
}

for (const layer of ["boxes", "trails", "areas"]) {
  const button = find(`show-${layer}`);
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    find("picture").classList.toggle(`no-${layer}`, !on);
  });
}

find("tiles").append(...Object.values(tiles).map((tile) => ((tile.element.hidden = true), tile.element)));
addEventListener("hashchange", load);
document.addEventListener("visibilitychange", () => camera && picture.watch(camera)); // nobody looks: nothing is encoded
filtered();
load();
showModel();
