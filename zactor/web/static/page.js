// The page: what the stream says goes to the parts that show it.
import { logIn, Refused } from "./api.js";
import { onBeat } from "./beat.js";
import { drawPulse } from "./charts.js";
import { $, byName, h, plain, put, rate, text } from "./dom.js";
import { keysDialog, paletteDialog, toast, wireDialog } from "./dialogs.js";
import { addEvent, counts, dock, drawPane, drawTabs, fillActors, refreshPane, show, TABS, togglePause } from "./dock.js";
import { drawInspector, troubles, updateInspector, updatePanel as updateSidePanel } from "./inspector.js";
import { drawNetwork, isBig, laneNodes, moveFocus, showNodes, shown, signalsOf, updateNumbers, updatePanel } from "./network.js";
import { whole } from "./panel.js";
import { takeFile } from "./plan.js";
import { chosen, choose, onChoice } from "./selection.js";
import { follow, on, state } from "./store.js";
import { drawTiles, paintTiles, repaint } from "./tiles.js";
import { drawWires, updateWires } from "./wires.js";

const solo = /^\/panel\/(.+)$/.exec(location.pathname)?.[1];
const soloName = solo && solo !== "*" ? decodeURIComponent(solo) : "";

// -- themes ---------------------------------------------------------------------------------------
function theme(name) {
  document.documentElement.dataset.theme = name;
  repaint();
  drawPulse();
}
const wish = () => { try { return localStorage.getItem("zactor-theme"); } catch { return null; } };
const darkness = matchMedia("(prefers-color-scheme: dark)");
theme(wish() || (darkness.matches ? "dark" : "light"));
darkness.addEventListener("change", () => { if (!wish()) theme(darkness.matches ? "dark" : "light"); });
function turnTheme() {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("zactor-theme", next); } catch { /* a private window */ }
  theme(next);
}

// -- the top line ---------------------------------------------------------------------------------
const vitals = {};
function makeVitals() {
  put($("vitals"), [["nodes", ""], ["actors", ""], ["wires", ""], ["signals/s", "opt"], ["clock", "opt"]].map(([name, kind]) => h("div", { class: kind }, h("dt", {}, name), vitals[name] = h("dd", { class: name === "clock" ? "mono" : "" }, "–"))));
}

const of = (some, all) => (some === all ? String(all) : `${some} of ${all}`);

function drawTop() {
  const nodes = laneNodes();
  const actors = Object.values(state.actors);
  const wires = Object.values(state.wires);
  text(vitals.nodes, of(nodes.filter((row) => row.state === "up").length, nodes.length));
  text(vitals.actors, of(actors.filter((row) => row.state === "running").length, actors.length));
  text(vitals.wires, of(wires.filter((row) => row.state !== "down").length, wires.length));
  text(vitals.clock, (state.status.clock || []).join(".") || "–");
  const cluster = state.status.cluster || "";
  text($("cluster"), plain(cluster));
  drawHealth();
}

function drawHealth() {
  const found = troubles();
  const pill = $("health") || h("button", {}, h("span", {}));
  const isCut = state.isKnown && !state.isLive;
  const tone = isCut ? "warn" : found.some((each) => each.tone === "bad") ? "bad" : found.length ? "warn" : "ok";
  pill.className = `pill ${state.isKnown ? tone : ""}`;
  const words = !state.isKnown ? "connecting" : isCut ? "reconnecting" : found.length ? `${found.length} trouble${found.length > 1 ? "s" : ""}` : "healthy";
  text(pill.lastElementChild, words);
  document.title = plain(`${found.length ? `(${found.length}) ` : ""}${soloName || state.status.cluster || "zactor"} · zactor`);
}

// -- all of it ------------------------------------------------------------------------------------
export function redraw() {
  const isTiles = isBig() && !shown();
  $("stage").hidden = isTiles;
  $("stagebar").hidden = isTiles;
  $("tiles").hidden = !isTiles;
  const isNothing = state.isKnown && !Object.keys(state.actors).length;
  drawEmpty(isNothing);
  if (isTiles) drawTiles();
  else drawNetwork();
  drawTop();
  drawTabs();
  drawInspector();
  drawPhoneNav();
}

let empty = null;
function drawEmpty(isNothing) {
  empty?.remove();
  empty = null;
  if (!isNothing) return;
  empty = h("div", { class: "empty" }, h("h2", {}, "No actors yet"), h("p", { class: "muted" }, "Deploy some, and they are here at once, with what flows between them:"),
    h("pre", {}, "zactor declare-factory counter counter.py\nzactor deploy counter c1 n1"), h("p", { class: "muted" }, h("kbd", {}, "/"), " runs such lines here, but for those that take files; a lab.toml that says what there should be may be dropped on this page. ", h("code", {}, "zactor demo 1 --web"), " has some to play with."));
  $("wrap").append(empty);
}

// Not with the next frame: a busy machine may paint that a second later, and a tab that is hidden
// never; its title tells of troubles all the same.
let due = false;
function drawSoon() {
  if (due) return;
  due = true;
  setTimeout(() => { due = false; redraw(); refreshPane(); });
}

function onRates() {
  text(vitals["signals/s"], rate(state.total));
  text($("rate"), rate(state.total));
  if (document.hidden) return;
  if (!$("tiles").hidden) paintTiles();
  else { updateNumbers(); updateWires(); }
  updateInspector();
  drawHealth();
  drawPulse();
  if (dock.tab === "actors") fillActors();
}

// -- on a phone -----------------------------------------------------------------------------------
function drawPhoneNav() {
  const numbers = counts();
  const view = document.body.dataset.view;
  const icon = (d) => { const ns = "http://www.w3.org/2000/svg"; const element = document.createElementNS(ns, "svg"); element.setAttribute("viewBox", "0 0 20 20"); element.setAttribute("aria-hidden", "true"); const path = document.createElementNS(ns, "path"); path.setAttribute("d", d); element.append(path); return element; };
  const all = [["network", "Network", "M4 4h5v4H4zM11 12h5v4h-5zM7 8v6h4"], ...TABS.filter(([name]) => name !== "actors").map(([name, label, , d]) => [name, { letters: "Letters", facts: "Facts" }[name] || label, d])];
  put($("phonenav"), all.map(([name, label, d]) => h("button", { "aria-current": name === view ? "page" : null, onclick: () => { document.body.dataset.view = name; if (name !== "network") show(name); choose(""); redraw(); } }, icon(d), label, numbers[name] && name !== "groups" ? h("span", { class: "n" }, numbers[name]) : null)));
}

// -- keys -----------------------------------------------------------------------------------------
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape") {
    if (isTyping) event.target.blur();
    else if (chosen.kind) { const key = chosen.key; choose(""); document.querySelector(`[data-actor="${CSS.escape(key)}"]`)?.focus(); }
    else if (shown()) { showNodes(null); redraw(); }
    return;
  }
  if (isTyping) return;
  const tab = TABS[Number(event.key) - 1];
  if (event.key.startsWith("Arrow") && (event.target === document.body || event.target.closest("#wrap"))) { event.preventDefault(); moveFocus(event.key); }
  else if (event.key === "/") { event.preventDefault(); paletteDialog(); }
  else if (event.key === "?") keysDialog();
  else if (event.key === "t") turnTheme();
  else if (event.key === "p") togglePause();
  else if (event.key === "w" && state.me.may_change) wireDialog(chosen.kind === "actor" && signalsOf(chosen.key).length ? `${chosen.key}.${signalsOf(chosen.key)[0]}` : "");
  else if (tab) showTab(tab[0]);
}

// A file that is dropped anywhere is planned; else the browser would leave the page for it.
function onDrop(event) {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  if (event.type !== "drop" || !event.dataTransfer.files[0]) return;
  showTab("plan");
  void takeFile(event.dataTransfer.files[0]);
}

function showTab(name) {
  show(name);
  if (matchMedia("(max-width: 760px)").matches) { document.body.dataset.view = name; drawPhoneNav(); }
}

// -- a panel alone --------------------------------------------------------------------------------
const soloPanels = new Map();
function drawSolo() {
  const names = soloName ? [soloName] : Object.values(state.panels).filter((row) => row.controls.length).map((row) => row.name).sort(byName);
  const wanted = names.filter((name) => state.panels[name]?.controls.length);
  let root = document.querySelector(".solo");
  if (!root) document.body.append(root = h("main", { class: "solo" }));
  const shape = JSON.stringify(wanted.map((name) => [name, state.panels[name].controls, state.actors[name]?.state, state.me.may_change]));
  if (root.dataset.shape !== shape) {
    root.dataset.shape = shape;
    soloPanels.clear();
    put(root, wanted.length ? wanted.map((name) => {
      const made = whole(name);
      soloPanels.set(name, made);
      const row = state.actors[name];
      return h("article", {}, h("h2", {}, plain(name), h("small", {}, row ? `${plain(row.type)} on ${plain(row.node)}${row.state === "running" ? "" : `, ${row.state}`}` : "gone")), made.element);
    }) : h("p", { class: "muted" }, soloName ? `${plain(soloName)} has no panel, or isn't here${state.isKnown ? "" : " yet"}` : "no actor has a panel"));
  }
  for (const made of soloPanels.values()) made.update();
}

// -- begin ----------------------------------------------------------------------------------------
function veil(message) {
  document.querySelector(".veil")?.remove();
  if (!message) return;
  document.body.append(h("div", { class: "veil", role: "alertdialog", "aria-label": "Login" }, h("div", { class: "empty" }, h("h2", {}, "This page needs a link"), h("p", {}, plain(message)), h("pre", {}, "zactor web          starts a page and prints its link\nzactor web --link   prints another link of the page that runs"))));
}

function listen() {
  if (solo) {
    for (const kind of ["facts", "link"]) on(kind, drawSolo);
    on("panel", () => onBeat("solo", drawSolo));
    on("link", drawHealth);
  } else {
    on("facts", drawSoon);
    on("rates", onRates);
    on("link", drawTop);
    on("panel", (name) => onBeat(`panel ${name}`, () => { if (!$("stage").hidden) updatePanel(name); updateSidePanel(); if (!document.querySelector("#side .panel")) drawInspector(); }));
    on("events", (row) => { if (row) addEvent(row); else if (dock.tab === "events") drawPane(); });
    on("said", (words) => text($("said"), plain(words)));
    onChoice(() => { drawNetworkOrTiles(); drawInspector(); });
  }
  on("facts", () => veil(""));
  on("refused", (error) => { if (error instanceof Refused && error.status === 401) veil(error.message); });
}

function drawNetworkOrTiles() {
  if ($("tiles").hidden) drawNetwork();
  else document.querySelectorAll(".tile").forEach((each) => each.classList.toggle("sel", chosen.kind === "node" && each.dataset.node === chosen.key));
}

async function begin() {
  makeVitals();
  drawTabs();
  drawPhoneNav();
  listen();
  if (solo) for (const each of document.querySelectorAll(".skip, .top, .pulse, body > main, .phone-nav")) each.remove();
  else {
    drawPane();
    $("health").onclick = () => { choose(""); $("side").classList.add("open"); $("side").scrollTop = 0; };
    $("find").onclick = paletteDialog;
    $("theme").onclick = turnTheme;
    $("help").onclick = keysDialog;
    addEventListener("keydown", onKey);
    for (const kind of ["dragover", "drop"]) addEventListener(kind, onDrop);
    new ResizeObserver(() => { drawWires(); drawPulse(); if (!$("tiles").hidden) drawTiles(); }).observe($("wrap"));
  }
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  try {
    await logIn();
  } catch (error) {
    toast(error.message, true);
  }
  for (;;) {
    try {
      await follow(soloName ? [soloName] : []);
      return;
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return veil(error.message);
      if ($("health")) text($("health").lastElementChild, "no answer");
      await new Promise((done) => setTimeout(done, 1500));
    }
  }
}

void begin();
