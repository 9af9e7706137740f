// "Why?": what speaks for an object: its picture, its confidence over time beside the limits, its way through the zones.

import { el, find, percent } from "/dom.js";
import { spark } from "/charts.js";

const AGAIN_MS = 1000;
const dialog = find("why");
let showing = null;

export function why(picture, camera, id, limits) {
  showing = { picture, camera, id, limits };
  for (const part of ["why-crop", "why-input"]) find(part).hidden = true;
  load("why-crop", find("why-crop"), "crop");
  load("why-given", find("why-input"), "given");
  tell();
  dialog.showModal();
}

// Not in every frame is each object looked at: it is asked for until there is a picture.
function load(id, part, kind) {
  const image = find(id), of = showing;
  image.onload = () => (part.hidden = false);
  image.onerror = () => setTimeout(() => showing === of && of.picture.drawn.has(of.id) && ask(), AGAIN_MS);
  const ask = () => (image.src = `/${kind}/${encodeURIComponent(of.camera)}/${of.id}?${Date.now()}`);
  ask();
}

// Called with each scene while the dialog is open.
export function tell() {
  if (!showing) return;
  const { picture, id, limits } = showing, past = picture.history.get(id) || [], last = past[past.length - 1];
  if (!last) return;
  const scores = past.map((p) => [p.t, p.confidence]), values = past.map((p) => p.confidence).sort((a, b) => a - b);
  const median = values[Math.floor(values.length / 2)];
  find("why-title").textContent = `Why ${last.label} ${id}?`;
  const gone = picture.drawn.has(id) ? "is followed now" : "is not followed any more";
  find("why-told").replaceChildren(
    el("p", {}, `It ${gone}; it was known for ${last.age.toFixed(1)} s. The model called it “${last.label}” with ${percent(last.confidence)} last, ${percent(median)} in the middle of ${past.length} looks since this page was opened.`),
    el("p", {}, `A detection founds an object from ${percent(limits.high)} on; from ${percent(limits.low)} to that it may only keep one going. The dashed line is the upper limit.`));
  find("why-scores").replaceChildren(spark(scores, { width: 600, height: 90, low: 0, high: 1, limit: limits.high, label: `Confidence of ${last.label} ${id} over time, last ${percent(last.confidence)}` }));
  find("why-path").replaceChildren(...path(past).map(({ zones, from, to }) =>
    el("li", {}, el("strong", {}, zones || "in no zone"), ` for ${(to - from).toFixed(1)} s`)));
}

function path(past) {
  const steps = [];
  for (const { t, zones } of past) {
    const here = zones.join(" and "), last = steps[steps.length - 1];
    if (last && last.zones === here) last.to = t;
    else steps.push({ zones: here, from: last ? last.to : t, to: t });
  }
  return steps;
}

find("why-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => (showing = null));
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
