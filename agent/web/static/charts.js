// Small charts, drawn by hand: a line over time, bars of stages.

import { el, set, svg } from "/dom.js";

// values: [[t, value]], oldest first -> an SVG; `limit` is a dashed line.
export function spark(values, { width = 220, height = 44, low = null, high = null, limit = null, label = "" } = {}) {
  const chart = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  const known = values.filter(([, value]) => Number.isFinite(value));
  if (known.length < 2) return chart;
  const numbers = known.map(([, value]) => value);
  const floor = low ?? Math.min(...numbers), ceiling = Math.max(high ?? Math.max(...numbers), floor + 1e-9);
  const [first, last] = [known[0][0], known[known.length - 1][0]];
  const x = (t) => ((t - first) / (last - first || 1)) * width;
  const y = (v) => height - 3 - ((v - floor) / (ceiling - floor)) * (height - 6);
  const points = known.map(([t, v]) => `${x(t).toFixed(1)},${y(v).toFixed(1)}`);
  chart.append(svg("polygon", { class: "under", points: `0,${height} ${points.join(" ")} ${width},${height}` }));
  if (limit !== null) chart.append(svg("line", { class: "limit", x1: 0, x2: width, y1: y(limit), y2: y(limit) }));
  chart.append(svg("polyline", { class: "over", points: points.join(" ") }));
  return chart;
}

// {name: ms} -> a bar a stage, the slowest first.
export function bars(stages) {
  const all = Object.entries(stages).sort((a, b) => b[1] - a[1]);
  const most = Math.max(1e-9, ...all.map(([, ms]) => ms));
  return all.map(([name, ms]) => {
    const bar = svg("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
    bar.append(svg("rect", { class: "rail", width: 100, height: 8, rx: 1 }), svg("rect", { class: "fill", width: Math.max(0.5, (ms / most) * 100), height: 8, rx: 1 }));
    return el("div", { class: "stage" }, el("span", {}, name), bar, el("span", { class: "value" }, `${ms.toFixed(ms < 10 ? 1 : 0)} ms`));
  });
}

// One number with its past; tell(value) keeps the last minutes.
export class Tile {
  constructor(name, unit, { digits = 0, low = 0 } = {}) {
    Object.assign(this, { name, unit, digits, low, past: [] });
    this.value = el("strong", {}, "–");
    this.chart = el("div", { class: "chart" });
    this.element = el("div", { class: "tile" }, el("span", { class: "muted" }, name), el("p", {}, this.value, el("span", { class: "unit" }, unit)), this.chart);
  }

  tell(value) {
    const now = Date.now() / 1000;
    this.element.hidden = value === null || value === undefined;
    if (this.element.hidden) return;
    this.past.push([now, value]);
    while (now - this.past[0][0] > 300) this.past.shift();
    this.value.textContent = value.toFixed(this.digits);
    this.chart.replaceChildren(spark(this.past, { low: this.low, label: `${this.name} over the last minutes` }));
  }
}
