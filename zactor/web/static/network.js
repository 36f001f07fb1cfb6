// Lanes and cards: one lane a node, one card an actor, one row a signal.
import { draw, spark } from "./charts.js";
import { $, ago, byName, h, plain, put, rate, signalOf, text, toggle } from "./dom.js";
import { mini } from "./panel.js";
import { chosen, choose, neighbours } from "./selection.js";
import { now, sparks, state } from "./store.js";
import { drawWires, startDrag } from "./wires.js";

export const DEEP = 30; // messages that wait: more is worth a colour
export const LANES_MAX = 8;
export const CARDS_MAX = 150;
const SIGNALS_SHOWN = 6;

const lanes = new Map(); // node -> its elements
const cards = new Map(); // actor -> its elements

export const isBig = () => laneNodes().length > LANES_MAX || Object.keys(state.actors).length > CARDS_MAX;

export const hosted = (node) => Object.values(state.actors).filter((row) => row.node === node);

// Nodes that have a lane: those that host actors, or might.
export function laneNodes() {
  const hosts = new Set(Object.values(state.actors).map((row) => row.node));
  const listed = Object.values(state.nodes).filter((row) => row.name && (row.role !== "master" || hosts.has(row.name)));
  const names = new Set(listed.map((row) => row.name));
  for (const name of hosts) if (!names.has(name)) listed.push({ name, state: "gone", role: "", address: "" });
  return listed.sort((a, b) => byName(a.name, b.name));
}

export function signalsOf(actor) {
  const wired = Object.values(state.wires).filter((wire) => wire.emitter === actor).map(signalOf);
  return [...new Set([...(state.kinds[actor]?.signals || []), ...wired])].sort(byName);
}

export const isUp = (row) => row && row.state === "up";
export const toneOf = (row) => (row.state === "up" ? "ok" : row.state === "stuck" || row.state === "disk full" ? "warn" : "bad");
export const isDead = (row) => row.state === "lost" || row.state === "unreachable" || row.state === "gone" || row.state === "stopped";

export function drawNetwork() {
  const isEmpty = !Object.keys(state.actors).length && laneNodes().length === 0;
  drawBar();
  if (isEmpty) return put($("lanes"));
  const nodes = laneNodes().filter((row) => !shownNodes || shownNodes.has(row.name));
  const focused = document.activeElement?.closest("#lanes") ? document.activeElement : null;
  put($("lanes"), nodes.map((row) => lane(row)));
  for (const name of lanes.keys()) if (!nodes.some((row) => row.name === name)) lanes.delete(name);
  const there = new Set(nodes.map((row) => row.name));
  for (const name of cards.keys()) if (!state.actors[name] || !there.has(state.actors[name].node)) cards.delete(name);
  // A card that was made anew, or moved, keeps the focus.
  const keeps = focused && (focused.isConnected ? focused : cards.get(focused.dataset.actor)?.main);
  if (keeps && document.activeElement !== keeps) keeps.focus({ preventScroll: true });
  updateNumbers();
  drawWires();
}

let shownNodes = null; // of a big network: the lanes that were asked for
export function showNodes(names) { shownNodes = names; }
export const shown = () => shownNodes;

function drawBar() {
  const masters = Object.values(state.nodes).filter((row) => row.role === "master" && !hosted(row.name).length);
  const waiting = Object.values(state.nodes).filter((row) => row.state === "unconfigured");
  const line = (width, core) => {
    const ns = "http://www.w3.org/2000/svg";
    const element = document.createElementNS(ns, "svg");
    element.setAttribute("viewBox", "0 0 30 10");
    for (const [stroke, w] of [["var(--wire)", width], ...(core ? [[core, width - 2.4]] : [])]) {
      const path = document.createElementNS(ns, "path");
      path.setAttribute("d", "M1 5H29");
      path.style.stroke = stroke;
      path.style.strokeWidth = w;
      element.append(path);
    }
    return element;
  };
  put($("stagebar"),
    shownNodes ? h("button", { class: "btn sm", onclick: () => { showNodes(null); import("./page.js").then((page) => page.redraw()); } }, "← all nodes") : null,
    masters.map((row) => h("span", { class: "chip" }, h("b", { class: "mono" }, plain(row.name)), `master, ${row.state}`)),
    waiting.length ? h("span", { class: "chip" }, `${waiting.length} waiting for a name`) : null,
    h("div", { class: "legend", "aria-hidden": "true" },
      h("span", {}, line(2), "fifo"), h("span", {}, line(5, "var(--bg)"), "causal, agreed"), h("span", {}, line(5, "var(--accent-soft)"), "safe"), h("span", {}, "thicker is busier")));
}

function lane(row) {
  let made = lanes.get(row.name);
  if (!made) {
    const st = h("span", { class: "st" }, h("i", { "aria-hidden": "true" }), h("span", {}));
    const small = h("small", {});
    const head = h("button", { class: "lane-head", "data-node": row.name, onclick: () => choose("node", row.name) }, h("b", {}, plain(row.name)), st, small);
    const list = h("div", { class: "cards" });
    made = { element: h("section", { class: "lane", "aria-label": `node ${row.name}` }, head, list), head, st, small, list };
    lanes.set(row.name, made);
  }
  const tone = toneOf(row);
  toggle(made.element, "gone", tone === "bad");
  toggle(made.element, "look", tone === "warn");
  toggle(made.element, "sel", chosen.kind === "node" && chosen.key === row.name);
  made.st.className = `st ${tone}`;
  text(made.st.lastChild, row.state === "up" ? "up" : row.state);
  const actors = hosted(row.name).sort((a, b) => byName(a.name, b.name));
  put(made.list, actors.map((actor) => card(actor)));
  if (!actors.length) put(made.list, h("p", { class: "nothing" }, "no actors"));
  return made.element;
}

function shape(row) { // what the card is built from: when it differs the card is made anew
  return JSON.stringify([row.state, row.reason, row.type, row.uid, signalsOf(row.name), Boolean(state.panels[row.name]?.controls.length), hears(row.name), state.me.may_change]);
}

const hears = (actor) => Object.values(state.wires).some((wire) => wire.reactor === actor);

function card(row) {
  const wanted = shape(row);
  let made = cards.get(row.name);
  if (!made || made.shape !== wanted) {
    made = makeCard(row);
    made.shape = wanted;
    cards.set(row.name, made);
  }
  const near = neighbours();
  toggle(made.element, "sel", chosen.kind === "actor" && chosen.key === row.name);
  toggle(made.element, "near", near.actors.has(row.name));
  made.main.tabIndex = row.name === tabStop() ? 0 : -1;
  return made.element;
}

function tabStop() {
  if (chosen.kind === "actor" && state.actors[chosen.key]) return chosen.key;
  return Object.keys(state.actors).sort(byName)[0];
}

function makeCard(row) {
  const name = row.name;
  const dead = isDead(row);
  const isWell = row.state === "running";
  const fill = h("i", { "aria-hidden": "true" });
  const depth = h("span", {});
  const raised = h("span", { class: "raised", title: "actions that raised", hidden: true });
  const box = h("span", { class: "box", title: "messages that wait" }, h("span", { class: "vh" }, "running"), raised, fill, depth, h("span", { class: "vh" }, "waiting"));
  const word = dead ? (row.state === "lost" ? "lost" : "gone") : row.state;
  const aside = isWell ? box : h("span", { class: `state ${row.state === "starting" || row.state === "stopping" ? "warn" : ""}` }, word);
  const reason = dead ? row.reason || `went with ${row.node}` : row.reason;
  const main = h("button", { class: "main", "data-actor": name, onclick: () => choose("actor", name) },
    h("span", { class: "name" }, plain(name)), h("span", { class: "type" }, plain(row.type)), aside,
    !isWell && reason ? h("span", { class: "reason" }, plain(reason)) : null);
  const rows = [];
  const anchors = new Map();
  if (!dead) {
    const signals = signalsOf(name);
    for (const signal of signals.slice(0, SIGNALS_SHOWN)) {
      const line = spark();
      const number = h("span", { class: "r" });
      const grab = state.me.may_change ? h("button", { class: "grab", tabindex: "-1", "aria-label": `wire ${name}.${signal}`, title: "drag to an actor", onpointerdown: (event) => startDrag(event, name, signal) }) : null;
      const element = h("div", { class: "sig" }, h("span", { class: "act", title: plain(signal) }, plain(signal)), line.element, number, grab);
      anchors.set(signal, element);
      rows.push({ element, update: () => { text(number, rate(state.rates.signals[`${name}.${signal}`]) + "/s"); draw(line.path, sparks.get(`${name}.${signal}`)); } });
    }
    if (hears(name) && !signals.length) {
      const line = spark();
      const number = h("span", { class: "r" });
      rows.push({ element: h("div", { class: "sig hears" }, h("span", { class: "act" }, "hears"), line.element, number),
        update: () => { text(number, rate(state.rates.actors[name]?.[0]) + "/s"); draw(line.path, sparks.get(name)); } });
    }
  }
  const small = dead ? null : mini(name);
  const kind = dead ? "gone" : row.state;
  const element = h("article", { class: `card ${kind}`, "data-card": name }, main, small?.element, rows.length ? h("div", { class: "sigs" }, rows.map((each) => each.element)) : null);
  const update = () => {
    rows.forEach((each) => each.update());
    small?.update();
    const waiting = state.rates.actors[name]?.[2] || 0;
    text(depth, waiting);
    const full = Math.min(100, (Math.log10(1 + waiting) / 4) * 100) + "%";
    if (fill.style.getPropertyValue("--fill") !== full) fill.style.setProperty("--fill", full);
    toggle(box, "deep", waiting >= DEEP);
    const failed = state.rates.actors[name]?.[5] || 0;
    raised.hidden = !failed;
    text(raised, `${rate(failed)} raised`);
  };
  return { element, main, anchors, update, updatePanel: () => small?.update() };
}

export const cardOf = (actor) => cards.get(actor);

export function updateNumbers() {
  for (const [name, made] of lanes) {
    const row = state.nodes[name];
    const numbers = state.rates.nodes[name];
    if (!row || !isUp(row)) text(made.small, row ? `${row.state}${row.since ? `, for ${ago(now() - row.since)}` : ""}` : "out of sight");
    else text(made.small, numbers ? `${numbers[0]} % · ${numbers[1]} MB${numbers[2] > 50 ? ` · ${numbers[2]} ms late` : ""} · ${row.address}` : row.address);
  }
  for (const made of cards.values()) made.update();
}

export function updatePanel(name) {
  const made = cards.get(name);
  const row = state.actors[name];
  if (made && row && made.shape === shape(row)) made.updatePanel();
  else if (row) drawNetwork();
}

// Arrows move between cards, as they stand on the screen.
export function moveFocus(key) {
  const all = [...cards.entries()].map(([name, made]) => ({ name, box: made.element.getBoundingClientRect() }));
  if (!all.length) return;
  const here = document.activeElement?.dataset?.actor;
  const from = all.find((each) => each.name === here);
  const target = from ? nearest(from, all, key) : all[0];
  if (target) {
    for (const made of cards.values()) made.main.tabIndex = -1;
    const made = cards.get(target.name);
    made.main.tabIndex = 0;
    made.main.focus();
  }
}

function nearest(from, all, key) {
  const isAcross = key === "ArrowLeft" || key === "ArrowRight";
  const sign = key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1;
  let best = null;
  for (const each of all) {
    const dx = (each.box.left - from.box.left) * sign;
    const dy = (each.box.top - from.box.top) * sign;
    const [ahead, aside] = isAcross ? [dx, Math.abs(dy)] : [dy, Math.abs(dx)];
    if (ahead <= 4) continue;
    const cost = ahead + aside * 3;
    if (!best || cost < best.cost) best = { cost, name: each.name };
  }
  return best;
}
