// The model's card and its accuracy report, for people.

import { ask, el, find, percent } from "/dom.js";

const row = (name, ...value) => el("div", { class: "row" }, el("dt", {}, name), el("dd", {}, ...value));
const three = (value) => (typeof value === "number" ? value.toFixed(3) : "–");

function accuracy(report) {
  const rows = Object.entries(report?.accuracy || {}).filter(([, v]) => v && typeof v === "object" && "map" in v);
  if (!rows.length) return null;
  const body = rows.map(([name, v]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, three(v.map)), el("td", {}, three(v.map50))));
  const head = el("tr", {}, el("th", { scope: "col" }, "weights"), el("th", { scope: "col" }, "mAP"), el("th", { scope: "col" }, "mAP at IoU .5"));
  return el("table", {}, el("caption", {}, `Accuracy on ${report.accuracy.images ?? "?"} labelled images`), el("thead", {}, head), el("tbody", {}, ...body));
}

function agreement(report) {
  const told = report?.agreement;
  if (!told?.int8) return null;
  return el("p", {}, `In ${told.images} pictures the int8 model finds the same as the float one: `, el("strong", {}, `F1 ${three(told.int8.f1)}`),
    `, boxes overlap by ${percent(told.int8.mean_iou)} on average (${told.objects} objects).`);
}

export async function showModel() {
  const { name, card, report } = await ask("/api/model");
  find("model-name").textContent = name;
  const [width, height] = card.input.size, source = card.source || {};
  const labels = el("details", {}, el("summary", {}, `${card.labels.length} labels`), el("p", { class: "labels" }, card.labels.join(", ")));
  const facts = el("dl", { class: "facts" },
    row("Task", `${card.task}, read by the head “${card.head}”`), row("Input", `${width} × ${height}, ${card.input.color}, ${card.input.resize}`),
    row("Weights", `${card.quant.scheme}${card.quant.ranges ? `, ranges ${card.quant.ranges}` : ""}`),
    row("Recommended confidence", percent(card.confidence)), row("Licence", card.licence || "not told"),
    row("From", source.origin || source.file || "not told"), row("sha256", el("code", {}, (card.sha256 || "").slice(0, 16) || "not told")));
  const parts = [agreement(report), accuracy(report)].filter(Boolean);
  if (!parts.length) parts.push(el("p", { class: "muted" }, "This model file carries no accuracy report; models converted by Lookout do."));
  const whole = report ? el("details", {}, el("summary", {}, "The whole report"), el("pre", { tabindex: 0 }, JSON.stringify(report, null, 1))) : null;
  find("model").replaceChildren(el("div", { class: "twice" }, el("div", {}, facts, labels), el("div", {}, ...parts, ...(whole ? [whole] : []))));
}
