// Elements from plain words. Text is always text: nothing that comes from the agent is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const find = (id) => document.getElementById(id);

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const el = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export async function ask(url, body) {
  const options = body ? { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {};
  const answer = await fetch(url, options);
  const told = await answer.json();
  return { ok: answer.ok, ...told };
}

export const percent = (share) => `${Math.round(share * 100)}\u00a0%`;

export function clock(time) {
  const then = new Date(time), today = then.toDateString() === new Date().toDateString();
  const day = today ? "" : `${then.toLocaleDateString([], { day: "numeric", month: "short" })}, `;
  return day + then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

// A steady hue a label; neighbours look different (steps of the golden angle).
export const hue = (index) => Math.round((Math.max(0, index) * 137.508 + 150) % 360);
