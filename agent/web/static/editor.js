// The editor of zones, lines and the two kinds of mask. The agent itself checks every drawing; nothing is saved that it would refuse.

import { ask, el, find, percent, say, svg } from "/dom.js";
import { shape } from "/picture.js";

const STEP = 0.01, STRIDE = 0.05;
const layer = find("drawing");
const STARTS = {
  zone: [[0.35, 0.45], [0.65, 0.45], [0.65, 0.85], [0.35, 0.85]],
  line: [[0.3, 0.6], [0.7, 0.6]],
  privacy: [[0.05, 0.05], [0.3, 0.05], [0.3, 0.2], [0.05, 0.2]],
  motion: [[0.65, 0.05], [0.9, 0.05], [0.9, 0.2], [0.65, 0.2]],
};
const MASKS = ["privacy", "motion"];
const masks = (kind) => `${kind}_masks`; // their key in the config
const isMask = ({ kind }) => MASKS.includes(kind);
const round = (v) => Math.round(Math.min(1, Math.max(0, v)) * 1e4) / 1e4;

export class Editor {
  constructor(picture, camera, saved) {
    Object.assign(this, { picture, camera, saved, shapes: [], chosen: null, timer: 0 });
    find("edit").addEventListener("click", () => (this.open ? this.close() : this.start()));
    find("cancel").addEventListener("click", () => this.close());
    find("save").addEventListener("click", () => this.save());
    find("copy").addEventListener("click", () => this.copy());
    for (const kind of Object.keys(STARTS)) find(`add-${kind}`).addEventListener("click", () => this.add(kind));
    find("shape").addEventListener("submit", (event) => event.preventDefault());
    find("shape-name").addEventListener("input", (event) => this.change((one) => (one.name = event.target.value.trim())));
    find("shape-labels").addEventListener("input", (event) => this.change((one) => (one.labels = event.target.value.split(",").map((v) => v.trim()).filter(Boolean))));
    find("shape-anchor").addEventListener("change", (event) => this.change((one) => (one.anchor = event.target.value)));
    find("shape-turn").addEventListener("click", () => this.change((one) => one.points.reverse()));
    find("shape-remove").addEventListener("click", () => this.remove());
    addEventListener("resize", () => this.open && this.draw());
  }

  get open() { return !find("editor").hidden; }

  async start() {
    const [told, state] = await Promise.all([ask("/api/config"), ask("/api/state")]);
    if (!told.ok) return;
    const camera = state.cameras[this.camera()];
    const area = (kind, name, points, { labels, anchor }) => ({ kind, name, was: name, points, labels: [...labels], anchor });
    this.shapes = [
      ...Object.entries(camera.zones).map(([name, zone]) => area("zone", name, zone.polygon, zone)),
      ...Object.entries(camera.lines).map(([name, line]) => area("line", name, line.points, line)),
      ...MASKS.flatMap((kind) => camera[masks(kind)].map((points, n) => area(kind, `${kind} mask ${n + 1}`, points, { labels: [], anchor: "center" }))),
    ];
    this.base = told.version;
    this.writable = told.writable;
    find("save").hidden = !told.writable;
    for (const id of ["by-hand", "copy"]) find(id).hidden = told.writable;
    say(find("by-hand"), `This page cannot save here: the agent may not write ${told.path}. Put these lines in the place of what it says about the drawings of ${this.camera()}, then run “systemctl reload lookout”.`);
    say(find("copy"), "Copy the lines");
    this.chosen = this.shapes[0] || null;
    find("editor").hidden = false;
    find("picture").classList.add("editing");
    document.body.classList.add("drawing");
    say(find("edit"), "Stop");
    this.verdict("Nothing has changed yet.", "");
    this.draw();
  }

  close() {
    clearTimeout(this.timer);
    find("editor").hidden = true;
    find("picture").classList.remove("editing");
    document.body.classList.remove("drawing");
    say(find("edit"), "Edit");
    layer.replaceChildren();
    this.saving(false);
  }

  add(kind) {
    const names = new Set(this.shapes.map((one) => one.name)), mask = isMask({ kind });
    const called = (n) => (mask ? `${kind} mask ${n}` : `${kind}-${n}`);
    let n = 1;
    while (names.has(called(n))) n += 1;
    const shift = 0.03 * (this.shapes.length % 5);
    const points = STARTS[kind].map(([x, y]) => [round(x + shift), round(y + shift / 2)]);
    this.chosen = { kind, name: called(n), was: "", points, labels: [], anchor: "bottom_center" };
    this.shapes.push(this.chosen);
    this.changed();
    (mask ? layer.querySelector(".handle") : find("shape-name")).focus({ preventScroll: true });
    find("shape-name").select();
  }

  remove() {
    this.shapes = this.shapes.filter((one) => one !== this.chosen);
    this.chosen = this.shapes[0] || null;
    this.changed();
    find("add-zone").focus();
  }

  change(act) {
    if (!this.chosen) return;
    act(this.chosen);
    this.changed();
  }

  changed() {
    this.draw();
    this.verdict("Checking …", "");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), 250);
  }

  drawn() {
    const named = (kind) => Object.fromEntries(this.shapes.filter((one) => one.kind === kind).map(({ name, points, labels, anchor, was }) => [name, { points, labels, anchor, was }]));
    const painted = (kind) => ({ [masks(kind)]: this.shapes.filter((one) => one.kind === kind).map((one) => one.points) });
    return { camera: this.camera(), base: this.base, zones: named("zone"), lines: named("line"), ...painted("privacy"), ...painted("motion") };
  }

  flaw() {
    const names = this.shapes.filter((one) => !isMask(one)).map((one) => one.name);
    const twice = names.find((name, n) => names.indexOf(name) !== n);
    if (twice !== undefined) return `Two are called “${twice}”: each needs a name of its own.`;
    const unknown = this.shapes.flatMap((one) => one.labels).find((label) => !this.picture.labels.includes(label));
    return unknown === undefined ? "" : `The model knows no “${unknown}”.`;
  }

  async check() {
    const asked = JSON.stringify(this.drawn()), flaw = this.flaw();
    if (flaw) return this.verdict(flaw, "bad");
    const { reason, diff, toml } = await ask("/api/drawing/check", this.drawn());
    if (!this.open || asked !== JSON.stringify(this.drawn())) return; // it was drawn on meanwhile
    if (reason) this.verdict(reason, "bad");
    else this.verdict(diff ? `Good. ${this.writable ? "This is what changes in agent.toml" : "These lines belong there"}:` : "Nothing has changed yet.", diff ? "good" : "", diff, toml);
  }

  async save() {
    this.saving(true);
    const { reason, version } = await ask("/api/drawing/save", this.drawn());
    this.saving(false);
    if (reason) return this.verdict(reason, "bad");
    this.base = version;
    for (const one of this.shapes) one.was = one.name;
    await this.saved();
    this.draw();
    this.verdict("Saved, and taken over by the agent.", "good");
    find("verdict").scrollIntoView({ block: "nearest" });
  }

  saving(busy) {
    find("save").disabled = true;
    say(find("save"), busy ? "Saving …" : "Save and take over");
  }

  // Also where the page is not served by https, and the browser has no clipboard to write to.
  copy() {
    find("toml").select();
    say(find("copy"), document.execCommand("copy") ? "Copied" : "Selected: copy with Ctrl+C");
  }

  verdict(text, mood, diff = "", toml = "") {
    const verdict = find("verdict");
    say(verdict, text);
    verdict.className = `verdict ${mood}`;
    find("save").disabled = !(mood === "good" && diff);
    find("copy").disabled = !diff;
    find("toml").value = toml;
    find("toml").rows = Math.min(14, toml.split("\n").length);
    find("toml").hidden = this.writable || !diff;
    find("diff").hidden = !this.writable || !diff;
    find("diff").replaceChildren(...diff.split("\n").filter((line) => !line.startsWith("@@")).map((line) => el("span", { class: line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : "same" }, `${line}\n`)));
  }

  draw() {
    if (!this.open) return;
    const focused = document.activeElement?.dataset?.handle;
    layer.replaceChildren(...this.shapes.map((one) => this.sketch(one)));
    if (this.chosen) layer.append(...this.handles(this.chosen));
    if (focused !== undefined) layer.querySelector(`[data-handle="${focused}"]`)?.focus();
    find("shapes").replaceChildren(...this.shapes.map((one) => el("li", {}, el("button", {
      type: "button", class: `chip ${one.kind}`, "aria-pressed": one === this.chosen, onclick: () => { this.chosen = one; this.draw(); },
    }, one.name || "without a name"))));
    this.form();
  }

  form() {
    const one = this.chosen;
    find("shape").hidden = !one;
    if (!one) return;
    find("shape").className = `of-${one.kind} ${isMask(one) ? "of-mask" : ""}`;
    const put = (id, value) => { if (find(id) !== document.activeElement) find(id).value = value; };
    put("shape-name", one.name);
    find("shape-name").disabled = isMask(one);
    put("shape-labels", one.labels.join(", "));
    put("shape-anchor", one.anchor);
  }

  sketch(one) {
    const group = shape(one.kind, one.points, this.picture.size, isMask(one) ? "" : one.name);
    group.classList.add("sketch");
    group.classList.toggle("chosen", one === this.chosen);
    group.addEventListener("pointerdown", (event) => {
      this.chosen = one;
      const start = one.points.map((p) => [...p]);
      this.drag(event, (dx, dy) => {
        const fits = (i, d) => Math.min(1 - Math.max(...start.map((p) => p[i])), Math.max(-Math.min(...start.map((p) => p[i])), d));
        const [x, y] = [fits(0, dx), fits(1, dy)];
        one.points = start.map((p) => [round(p[0] + x), round(p[1] + y)]);
      });
      this.draw();
    });
    return group;
  }

  handles(one) {
    const [width, height] = this.picture.size, unit = this.picture.unit || 1, made = [];
    const edges = one.kind === "line" ? one.points.length - 1 : one.points.length;
    for (let n = 0; n < edges; n += 1) {
      const [a, b] = [one.points[n], one.points[(n + 1) % one.points.length]], mid = [round((a[0] + b[0]) / 2), round((a[1] + b[1]) / 2)];
      made.push(svg("circle", { class: "adder", cx: mid[0] * width, cy: mid[1] * height, r: 6 * unit, onpointerdown: (event) => {
        one.points.splice(n + 1, 0, [...mid]);
        this.move(event, one, n + 1);
      } }));
    }
    one.points.forEach(([x, y], n) => made.push(svg("circle", {
      class: "handle", cx: x * width, cy: y * height, r: 9 * unit, tabindex: 0, role: "button", "data-handle": n,
      "aria-label": `Corner ${n + 1} of ${one.name}, at ${percent(x)} from the left and ${percent(y)} from the top`,
      onpointerdown: (event) => this.move(event, one, n), onkeydown: (event) => this.key(event, one, n),
    })));
    return made;
  }

  move(event, one, n) {
    const start = [...one.points[n]];
    this.drag(event, (dx, dy) => (one.points[n] = [round(start[0] + dx), round(start[1] + dy)]));
    this.draw();
    layer.querySelector(`[data-handle="${n}"]`)?.focus();
  }

  drag(event, act) {
    event.preventDefault();
    event.stopPropagation();
    const box = find("overlay").getBoundingClientRect(), from = [event.clientX, event.clientY];
    const going = (now) => {
      act((now.clientX - from[0]) / box.width, (now.clientY - from[1]) / box.height);
      this.changed();
    };
    const over = () => {
      removeEventListener("pointermove", going);
      for (const end of ["pointerup", "pointercancel"]) removeEventListener(end, over);
    };
    addEventListener("pointermove", going);
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, over);
  }

  key(event, one, n) {
    const far = event.shiftKey ? STRIDE : STEP, least = one.kind === "line" ? 2 : 3;
    const way = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
    if (way) one.points[n] = one.points[n].map((v, i) => round(v + way[i]));
    else if (event.key === "Delete" && one.points.length > least) one.points.splice(n, 1);
    else if (event.key === "Insert" || event.key === "+") {
      const next = one.points[(n + 1) % one.points.length];
      one.points.splice(n + 1, 0, one.points[n].map((v, i) => round((v + next[i]) / 2)));
    } else return;
    event.preventDefault();
    this.changed();
  }
}
