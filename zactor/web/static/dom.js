// Elements from data. Text only ever becomes text: nothing here or elsewhere parses markup, and
// what isn't seen, or turns the direction of a line, is shown as what it is, whoever brings it.
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
    else element.setAttribute(key, value === true ? "" : SEEN.has(key) ? plain(value) : value);
  }
  element.append(...shown(children));
  return element;
}

const SEEN = new Set(["aria-label", "title", "placeholder", "alt"]);

const shown = (children) => children.flat(Infinity)
  .filter((each) => each !== null && each !== undefined && each !== false)
  .map((each) => (each instanceof Node ? each : plain(each)));

// What stands there already isn't moved: it would lose the focus, and where it is scrolled to.
export function put(element, ...children) {
  const wanted = shown(children);
  const there = element.childNodes;
  if (wanted.length !== there.length || wanted.some((each, place) => each !== there[place])) element.replaceChildren(...wanted);
}

export function text(element, value) {
  const shown = plain(String(value));
  if (element.textContent !== shown) element.textContent = shown;
}

export function toggle(element, name, on) {
  if (element.classList.contains(name) !== Boolean(on)) element.classList.toggle(name, Boolean(on));
}

// Control characters and all others that aren't seen, but for ends of lines and tabs. Twice is as once.
export const plain = (value) => String(value ?? "").replace(/(?![\n\t])[\p{C}\p{Zl}\p{Zp}]/gu, (char) => {
  const digits = char.codePointAt(0).toString(16);
  return digits.length > 4 ? `\\u{${digits}}` : `\\u${digits.padStart(4, "0")}`;
});

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

// A wire's signal and action: "inc" is both, "reading>store" one each.
export const signalOf = (wire) => wire.action.split(">")[0];
export const portOf = (wire) => `${wire.emitter}.${signalOf(wire)}`;
export const reactorOf = (wire) => { const [signal, action = signal] = wire.action.split(">"); return action === signal ? wire.reactor : `${wire.reactor}.${action}`; };

export const byName = (a, b) => a.localeCompare(b, "en", { numeric: true });

// A word of the console's grammar, quoted where it must be.
export const word = (value) => /^[\w.:/@#+-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
