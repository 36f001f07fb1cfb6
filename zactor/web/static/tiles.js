// Many nodes: one tile a node, one square an actor, on one canvas behind real buttons. Worst first.
import { $, byName, h, plain, portOf, put, rate } from "./dom.js";
import { DEEP, hosted, isDead, laneNodes, showNodes, toneOf } from "./network.js";
import { chosen, choose } from "./selection.js";
import { state } from "./store.js";

const SQUARE = 7;
const GAP = 2;
let order = "worst";
let places = []; // {actor, x, y}
let painted = new Map();
let canvas = null;

function trouble(row) {
  const actors = hosted(row.name);
  const failed = actors.filter((actor) => actor.state === "failed" || actor.state === "blocking").length;
  const behind = actors.filter((actor) => (state.rates.actors[actor.name]?.[2] || 0) >= DEEP).length;
  const busy = actors.reduce((sum, actor) => sum + (state.rates.actors[actor.name]?.[0] || 0), 0);
  const isGone = toneOf(row) === "bad";
  return { row, actors, failed, behind, busy, isGone, weight: (isGone ? 1e9 : 0) + failed * 1e6 + behind * 1e3 + Math.min(999, busy / 1000) };
}

export function drawTiles() {
  const found = laneNodes().map(trouble);
  found.sort((a, b) => (order === "worst" ? b.weight - a.weight : order === "busy" ? b.busy - a.busy : 0) || byName(a.row.name, b.row.name));
  canvas = h("canvas", { "aria-hidden": "true" });
  const grid = h("div", { class: "tile-grid" }, canvas, found.map((each) => tile(each)));
  const pick = h("select", { "aria-label": "Order of the nodes", onchange: () => { order = pick.value; drawTiles(); } },
    [["worst", "worst first"], ["busy", "busiest first"], ["name", "by name"]].map(([value, label]) => h("option", { value, selected: value === order }, label)));
  const hue = (name, label) => h("span", {}, h("i", { vars: { "--hue": `var(${name})` } }), label);
  put($("tiles"), h("div", { class: "tiles-head" }, h("h2", {}, `${found.length} nodes, ${Object.keys(state.actors).length} actors`), pick,
    hue("--accent", "busy"), hue("--accent-soft", "quiet"), hue("--warn", "behind"), hue("--bad", "failed or gone")), grid);
  requestAnimationFrame(() => measure(grid));
}

function tile({ row, failed, behind, isGone }) {
  const note = isGone ? row.state : failed ? `${failed} failed` : behind ? `${behind} behind` : "";
  const tone = isGone ? "gone" : failed ? "bad" : behind ? "warn" : "";
  return h("button", { class: `tile ${tone} ${chosen.kind === "node" && chosen.key === row.name ? "sel" : ""}`, "data-node": row.name, onclick: () => choose("node", row.name), ondblclick: () => openLanes(row.name) },
    h("span", {}, plain(row.name)), h("small", {}, note));
}

export function openLanes(node) {
  const names = new Set([node]);
  for (const wire of Object.values(state.wires)) {
    const [a, b] = [state.actors[wire.emitter]?.node, state.actors[wire.reactor]?.node];
    if (a === node && b) names.add(b);
    if (b === node && a) names.add(a);
  }
  showNodes(new Set([...names].slice(0, 6)));
  import("./page.js").then((page) => page.redraw());
}

function measure(grid) {
  if (!canvas.isConnected) return;
  const ratio = devicePixelRatio || 1;
  const origin = grid.getBoundingClientRect();
  canvas.width = Math.round(origin.width * ratio);
  canvas.height = Math.round(origin.height * ratio);
  canvas.style.width = `${origin.width}px`;
  canvas.style.height = `${origin.height}px`;
  places = [];
  painted = new Map();
  for (const button of grid.querySelectorAll(".tile")) {
    const box = button.getBoundingClientRect();
    const columns = Math.max(1, Math.floor((box.width - 16) / (SQUARE + GAP)));
    const rows = Math.max(1, Math.floor((box.height - 28) / (SQUARE + GAP)));
    hosted(button.dataset.node).sort((a, b) => byName(a.name, b.name)).slice(0, columns * rows).forEach((actor, number) => places.push({
      actor: actor.name, x: box.left - origin.left + 8 + (number % columns) * (SQUARE + GAP), y: box.top - origin.top + 25 + Math.floor(number / columns) * (SQUARE + GAP),
    }));
  }
  paintTiles();
}

function hueOf(name) {
  const row = state.actors[name];
  if (!row || isDead(row) || row.state === "failed" || row.state === "blocking") return "--bad";
  const numbers = state.rates.actors[name];
  if (numbers && numbers[2] >= DEEP) return "--warn";
  return numbers && numbers[0] + numbers[1] > 1 ? (numbers[0] + numbers[1] > 20 ? "--accent" : "busy") : "--accent-soft";
}

// Only squares that changed are painted.
export function paintTiles() {
  if (!canvas || !canvas.isConnected) return;
  const pen = canvas.getContext("2d");
  const ratio = devicePixelRatio || 1;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(["--bad", "--warn", "--accent", "--accent-soft"].map((name) => [name, style.getPropertyValue(name)]));
  for (const { actor, x, y } of places) {
    const hue = hueOf(actor);
    if (painted.get(actor) === hue) continue;
    painted.set(actor, hue);
    pen.clearRect(x, y, SQUARE, SQUARE);
    pen.globalAlpha = hue === "busy" ? 0.55 : 1;
    pen.fillStyle = colours[hue === "busy" ? "--accent" : hue];
    pen.fillRect(x, y, SQUARE, SQUARE);
  }
  pen.globalAlpha = 1;
}

export function repaint() { painted = new Map(); paintTiles(); }

// The busiest flows, by type of actor.
export function flows() {
  const sums = new Map();
  for (const wire of Object.values(state.wires)) {
    const value = state.rates.signals[portOf(wire)] || 0;
    const key = `${state.actors[wire.emitter]?.type || "?"} → ${state.actors[wire.reactor]?.type || "?"}`;
    sums.set(key, (sums.get(key) || 0) + value);
  }
  const rows = [...sums].filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]).slice(0, 8);
  const most = rows.length ? rows[0][1] : 1;
  return rows.map(([label, value]) => h("div", { class: "row" }, h("span", { class: "mono" }, plain(label)), h("span", {}), h("span", {}, rate(value) + "/s"), h("div", { class: "meter" }, h("i", { vars: { "--fill": `${(value / most) * 100}%` } }))));
}
