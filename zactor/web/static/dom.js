// Elements from data. Text only ever becomes text: nothing here or elsewhere parses markup.
const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export function h(name, attrs = {}, ...children) {
  const element = document.createElement(name);
  return filled(element, attrs, children);
}

export function svg(name, attrs = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attrs, children);
}

function filled(element, attrs, children) {
  for (const [key, value] of Object.entries(attrs)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.setAttribute("class", value);
    else if (key === "vars") for (const [name, v] of Object.entries(value)) element.style.setProperty(name, v);
    else if (key in element && typeof value !== "string" && key !== "list") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
}

export function text(element, value) {
  const shown = String(value);
  if (element.textContent !== shown) element.textContent = shown;
}

export function toggle(element, name, on) {
  if (element.classList.contains(name) !== Boolean(on)) element.classList.toggle(name, Boolean(on));
}

// Control characters, and those that turn the direction of a line, are shown, not obeyed.
export const plain = (value) => String(value ?? "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
  (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0"));

export function rate(value) {
  if (!value) return "0";
  if (value < 10) return value.toFixed(1).replace(/\.0$/, "");
  if (value < 10000) return String(Math.round(value));
  return value < 1e6 ? (value / 1e3).toFixed(value < 1e5 ? 1 : 0) + "k" : (value / 1e6).toFixed(1) + "M";
}

export function ago(seconds) {
  for (const [limit, unit, word] of [[120, 1, "s"], [7200, 60, "min"], [172800, 3600, "h"]]) {
    if (seconds < limit) return Math.max(0, Math.round(seconds / unit)) + " " + word;
  }
  return Math.round(seconds / 86400) + " d";
}

export function clockTime(seconds) {
  const at = new Date(seconds * 1000);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

export const byName = (a, b) => a.localeCompare(b, "en", { numeric: true });

// A word of the console's grammar, quoted where it must be.
export const word = (value) => /^[\w.:/@#+-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
