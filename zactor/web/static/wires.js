// Wires: curves from a signal's row to the reactor, and a rubber band for a new one.
import { onBeat } from "./beat.js";
import { $, h, portOf, put, rate, signalOf, svg, toggle } from "./dom.js";
import { cardOf, isDead, shown } from "./network.js";
import { chosen, choose, neighbours } from "./selection.js";
import { healed, state } from "./store.js";
import { wireDialog } from "./dialogs.js";

const made = new Map(); // wire -> its elements
const isNarrow = () => matchMedia("(max-width: 760px)").matches;

function place(element, origin) {
  const box = element.getBoundingClientRect();
  return { left: box.left - origin.left, right: box.right - origin.left, middle: box.top - origin.top + box.height / 2 };
}

function ends(wire, origin, slots) {
  const from = cardOf(wire.emitter);
  const to = cardOf(wire.reactor);
  if (!from || !to) return null;
  const row = from.anchors.get(signalOf(wire));
  const a = place(from.element, origin);
  const start = { ...a, y: row ? place(row, origin).middle : place(from.main, origin).middle };
  const b = place(to.element, origin);
  const taken = slots.get(wire.reactor) || 0;
  slots.set(wire.reactor, taken + 1);
  const end = { ...b, y: place(to.main, origin).middle + Math.min(taken, 4) * 7 - 6 };
  return { start, end };
}

function curve({ start, end }, bulge) {
  if (isNarrow()) {
    const reach = Math.max(start.right, end.right) + 18 + Math.min(52, Math.abs(start.y - end.y) / 9) + bulge;
    return { d: `M${start.right} ${start.y}C${reach} ${start.y} ${reach} ${end.y} ${end.right + 8} ${end.y}`, tip: [end.right + 1, end.y, -1], at: [reach - 18, (start.y + end.y) / 2], port: [start.right, start.y] };
  }
  if (Math.abs(start.left - end.left) < 40) { // one lane, or one actor
    const reach = start.right + 30 + Math.min(60, Math.abs(start.y - end.y) / 3) + bulge;
    return { d: `M${start.right} ${start.y}C${reach} ${start.y} ${reach} ${end.y} ${end.right + 8} ${end.y}`, tip: [end.right + 1, end.y, -1], at: [reach - 14, (start.y + end.y) / 2], port: [start.right, start.y] };
  }
  const isRight = end.left > start.left;
  const x1 = isRight ? start.right : start.left;
  const x2 = isRight ? end.left - 8 : end.right + 8;
  const bend = Math.max(44, Math.min(150, Math.abs(x2 - x1) * 0.45));
  const sign = isRight ? 1 : -1;
  return { d: `M${x1} ${start.y}C${x1 + bend * sign} ${start.y} ${x2 - bend * sign} ${end.y} ${x2} ${end.y}`, tip: [x2 + 7 * sign, end.y, sign], at: [x2 - 44 * sign, end.y + (start.y - end.y) * 0.09], port: [x1, start.y] };
}

const isBroken = (wire) => wire.state === "down" || [wire.emitter, wire.reactor].some((name) => !state.actors[name] || isDead(state.actors[name]));

export function drawWires() {
  const layer = $("wires");
  const lanes = $("lanes");
  const origin = $("stage").getBoundingClientRect();
  layer.setAttribute("width", Math.max(lanes.scrollWidth + 40, $("stage").clientWidth));
  layer.setAttribute("height", $("stage").scrollHeight);
  const keys = Object.keys(state.wires).sort((a, b) => a.localeCompare(b));
  const slots = new Map();
  const labels = [];
  const near = neighbours();
  toggle($("stage"), "focus", near.wires.size > 0);
  for (const [key, each] of made) if (!keys.includes(key)) { each.element.remove(); made.delete(key); }
  keys.forEach((key, number) => {
    const wire = state.wires[key];
    const between = ends(wire, origin, slots);
    let each = made.get(key);
    if (!between) { if (each) { each.element.remove(); made.delete(key); } return; }
    if (!each) made.set(key, each = make(key, layer));
    const line = curve(between, (number % 4) * 9);
    for (const path of [each.base, each.core, each.flow, each.hit]) path.setAttribute("d", line.d);
    const [x, y, sign] = line.tip;
    each.tip.setAttribute("d", `M${x} ${y}L${x - 8 * sign} ${y - 4.6}V${y + 4.6}Z`);
    each.port.setAttribute("cx", line.port[0]);
    each.port.setAttribute("cy", line.port[1]);
    const broken = isBroken(wire);
    const heals = healed.has(key);
    const isNear = near.wires.has(key);
    const sel = chosen.kind === "wire" && chosen.key === key;
    each.element.setAttribute("class", ["wire", wire.service, broken && "down", heals && "healed", isNear && "near", sel && "sel"].filter(Boolean).join(" "));
    pace(key, each);
    if (isNarrow()) line.at[0] = Math.min(line.at[0], origin.width - 34);
    const word = broken ? (state.lost[key] ? `${state.lost[key]} lost` : "down") : heals ? "back" : wire.service !== "fifo" ? wire.service : "";
    if (word) labels.push({ word, x: line.at[0], y: line.at[1], names: [broken && "down", heals && "healed", isNear && "near", sel && "sel"] });
  });
  apart(labels);
  put($("chips"), labels.map(({ word, x, y, names }) => h("span", { class: names.filter(Boolean).join(" "), vars: { left: `${x}px`, top: `${y}px` } }, word)));
}

function apart(labels) { // words on each other can't be read
  labels.sort((a, b) => a.y - b.y);
  for (let i = 1; i < labels.length; i++) {
    for (let j = 0; j < i; j++) if (Math.abs(labels[i].x - labels[j].x) < 54 && labels[i].y - labels[j].y < 19) labels[i].y = labels[j].y + 19;
  }
}

function make(key, layer) {
  const parts = { base: svg("path", { class: "base" }), core: svg("path", { class: "core" }), flow: svg("path", { class: "flow" }), tip: svg("path", { class: "tip" }), port: svg("circle", { class: "port", r: "3.2" }), hit: svg("path", { class: "hit", onclick: () => choose("wire", key) }) };
  const element = svg("g", { class: "wire" }, parts.base, parts.core, parts.flow, parts.tip, parts.port, parts.hit);
  layer.append(element);
  return { element, phase: 0, speed: 0, ...parts };
}

function pace(key, each) {
  const wire = state.wires[key];
  const now = wire && !isBroken(wire) ? state.rates.signals[portOf(wire)] || 0 : 0;
  const isWide = wire && wire.service !== "fifo" && wire.service !== "reliable" && wire.service !== "unreliable";
  const width = 1.8 + Math.min(4, Math.log10(1 + now) * 1.15) + (isWide ? 2.4 : 0);
  each.base.style.strokeWidth = width.toFixed(1);
  each.core.style.strokeWidth = isWide ? (width - 2.4).toFixed(1) : "0";
  each.speed = now > 0 ? DOTS_APART / Math.max(0.35, Math.min(3, 2.4 / Math.log10(2 + now))) : 0; // px a second
  toggle(each.element, "still", !now);
}

// The dots on wires move with the beat. An animation of the browser's own would paint all of the
// wires sixty times a second, for as few steps.
const DOTS_APART = 18;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let moved = 0;

function moveDots() {
  const at = performance.now();
  const took_s = Math.min(0.3, (at - moved) / 1000);
  moved = at;
  let isMoving = false;
  if (!document.hidden && !calm.matches && !$("stage").hidden) {
    for (const each of made.values()) {
      if (!each.speed) continue;
      isMoving = true;
      each.phase = (each.phase + each.speed * took_s) % DOTS_APART;
      each.flow.style.strokeDashoffset = (-each.phase).toFixed(1);
    }
  }
  if (isMoving) onBeat("dots", moveDots); // else with the next rates
}

export function updateWires() {
  for (const [key, each] of made) pace(key, each);
  onBeat("dots", moveDots);
}

// -- a new wire, by hand -------------------------------------------------------------------------
export function startDrag(event, emitter, signal) {
  event.preventDefault();
  const layer = $("wires");
  const origin = $("stage").getBoundingClientRect();
  const rubber = svg("path", { class: "rubber" });
  layer.append(rubber);
  layer.classList.add("over");
  const box = event.currentTarget.getBoundingClientRect();
  const x1 = box.left + box.width / 2 - origin.left;
  const y1 = box.top + box.height / 2 - origin.top;
  let over = null;
  const move = (at) => {
    const now = $("stage").getBoundingClientRect();
    const x2 = at.clientX - now.left;
    const y2 = at.clientY - now.top;
    rubber.setAttribute("d", `M${x1} ${y1}C${x1 + (x2 - x1) / 2} ${y1} ${x2 - (x2 - x1) / 2} ${y2} ${x2} ${y2}`);
    const card = document.elementFromPoint(at.clientX, at.clientY)?.closest(".card") || null;
    if (card !== over) { over?.classList.remove("drop"); card?.classList.add("drop"); over = card; }
  };
  const end = (at) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("keydown", stop);
    rubber.remove();
    layer.classList.remove("over");
    over?.classList.remove("drop");
    if (at && over) wireDialog(`${emitter}.${signal}`, over.dataset.card);
  };
  const stop = (key) => { if (key.key === "Escape") { over?.classList.remove("drop"); over = null; end(null); } };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  addEventListener("keydown", stop);
}

export { rate, shown };
