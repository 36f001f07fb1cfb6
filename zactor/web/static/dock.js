// The dock: events, actors, letters, groups, facts, what is missing and what is planned, as tables.
import { get } from "./api.js";
import { $, byName, clockTime, h, plain, portOf, put, rate, reactorOf, text, word } from "./dom.js";
import { confirmDialog } from "./dialogs.js";
import { isDead } from "./network.js";
import { driftCount, drawPlan, refreshPlan } from "./plan.js";
import { choose } from "./selection.js";
import { state } from "./store.js";

export const TABS = [
  ["events", "Events", "zactor events -f", "M4 5h12M4 9h12M4 13h8"],
  ["actors", "Actors", "zactor ps", "M4 4h5v5H4zM11 4h5v5h-5zM4 11h5v5H4zM11 11h5v5h-5z"],
  ["letters", "Dead letters", "zactor deadletters", "M3 5h14v10H3zM3 6l7 5 7-5"],
  ["groups", "Groups", "zactor group", "M7 9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM14 10a2 2 0 1 0 0-4M2 16c0-3 2-4.500 5-4.500s5 1.500 5 4.500M14 12c2.500 0 4 1 4 3.500"],
  ["facts", "Knowledge base", "zactor kb facts", "M4 5c0-1.500 12-1.500 12 0v10c0 1.500-12 1.500-12 0zM4 5c0 1.500 12 1.500 12 0M4 10c0 1.500 12 1.500 12 0"],
  ["missing", "Missing", "zactor restore --all", "M10 3l8 14H2zM10 8v4M10 14.500v.1"],
  ["plan", "Plan", "zactor plan", "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2"],
];
export const dock = { tab: "events", isPaused: false, filter: "" };

const NEW_MS = 700; // so long a new event stands out

let list = null; // of events
let sortBy = "name";

const command = (words) => h("span", { class: "hide-m" }, "the same as ", h("code", {}, words));

export function missing() {
  return { actors: Object.values(state.actors).filter((row) => row.state === "lost"), wires: Object.values(state.wires).filter((row) => row.state === "down"), nodes: Object.values(state.nodes).filter((row) => row.state === "gone") };
}

export function counts() {
  const gone = missing();
  return { letters: state.status.dead_letters || 0, missing: gone.actors.length + gone.wires.length + gone.nodes.length, groups: Object.keys(state.groups).length, plan: driftCount() };
}

export function drawTabs() {
  const tabs = $("tabs");
  if (!tabs.children.length) {
    put(tabs, TABS.map(([name, label]) => h("button", { class: "tab", role: "tab", id: `tab-${name}`, "aria-controls": "pane", onclick: () => show(name) }, label, h("span", { class: "n", hidden: true }))));
    tabs.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.stopPropagation();
      const at = TABS.findIndex(([name]) => name === dock.tab);
      show(TABS[(at + step + TABS.length) % TABS.length][0]);
      $(`tab-${dock.tab}`).focus();
    });
  }
  const numbers = counts();
  for (const [name] of TABS) {
    const tab = $(`tab-${name}`);
    const isChosen = name === dock.tab;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    const n = tab.lastChild;
    n.hidden = !numbers[name];
    n.className = `n ${name === "groups" ? "" : "bad"}`;
    text(n, numbers[name] || 0);
  }
  $("pane").setAttribute("aria-labelledby", `tab-${dock.tab}`);
}

export function show(name) {
  dock.tab = name;
  drawTabs();
  drawPane();
}

export function drawPane() {
  list = null;
  ({ events: ofEvents, actors: ofActors, letters: ofLetters, groups: ofGroups, facts: ofFacts, missing: ofMissing, plan: drawPlan })[dock.tab]();
}

// A table that is shown follows the facts; what a person types in stays.
export function refreshPane() {
  if (dock.tab === "actors") fillActors();
  if (dock.tab === "plan") refreshPlan();
  if (dock.tab === "missing" || dock.tab === "groups") drawPane();
}

// -- events ---------------------------------------------------------------------------------------
function ofEvents() {
  const filter = h("input", { type: "search", placeholder: "only events with…", "aria-label": "only events with", value: dock.filter, oninput: () => { dock.filter = filter.value; fillEvents(); } });
  const pause = h("button", { class: "btn sm", id: "pause", "aria-pressed": String(dock.isPaused), onclick: togglePause }, dock.isPaused ? "Go on" : "Pause");
  list = h("ol", { class: "log" });
  put($("pane"), h("div", { class: "bar" }, filter, pause, command("zactor events -f")), h("div", { role: "log", "aria-label": "events", "aria-live": "off" }, list));
  fillEvents();
}

export function togglePause() {
  dock.isPaused = !dock.isPaused;
  if ($("pause")) { text($("pause"), dock.isPaused ? "Go on" : "Pause"); $("pause").setAttribute("aria-pressed", String(dock.isPaused)); }
  if (!dock.isPaused && list) fillEvents();
}

const fits = (row) => !dock.filter || `${row.node} ${row.event} ${row.text} ${row.clock}`.toLowerCase().includes(dock.filter.toLowerCase());

function eventLine(row, isNew = false) {
  return h("li", { class: isNew ? "new" : "" }, h("time", {}, clockTime(row.at)), h("span", { class: "clk" }, row.clock), h("b", { class: "mono" }, plain(row.node)), h("span", { class: `tag ${row.tone}` }, plain(row.event)), h("span", { class: "msg" }, plain(row.text)),
    row.about && (state.actors[row.about] || state.nodes[row.about]) ? h("button", { class: "link", onclick: () => choose(state.actors[row.about] ? "actor" : "node", row.about) }, "why") : h("span", {}));
}

function fillEvents() {
  const rows = state.events.filter(fits).slice(-200).reverse();
  put(list, rows.length ? rows.map((row) => eventLine(row)) : h("li", { class: "nothing" }, "nothing happened yet"));
}

export function addEvent(row) {
  if (!list || dock.isPaused || !fits(row)) return;
  list.querySelector(".nothing")?.remove();
  list.prepend(eventLine(row, true));
  setTimeout(() => list?.querySelectorAll(".new").forEach((line) => line.classList.remove("new")), NEW_MS);
  while (list.children.length > 200) list.lastChild.remove();
}

// -- actors ---------------------------------------------------------------------------------------
function ofActors() {
  const heads = [["name", "actor"], ["type", "type"], ["node", "node"], ["state", "state"], ["in", "in/s"], ["out", "out/s"], ["wait", "waiting"], ["busy", "busy %"], ["failed", "raised"]];
  const filter = h("input", { type: "search", placeholder: "only actors with…", "aria-label": "only actors with", oninput: fillActors });
  put($("pane"), h("div", { class: "bar" }, filter, command("zactor top")), h("table", { id: "actors-table" }, h("thead", {}, h("tr", {}, heads.map(([key, label]) => h("th", { class: ["in", "out", "wait", "busy", "failed"].includes(key) ? "r" : key === "type" || key === "busy" ? "hide-m" : "", scope: "col" }, h("button", { onclick: () => { sortBy = key; fillActors(); } }, label))))), h("tbody", {})));
  fillActors();
}

export function fillActors() {
  const body = $("actors-table")?.tBodies[0];
  if (!body || dock.isPaused) return;
  const wanted = $("pane").querySelector("input").value.toLowerCase();
  const number = { in: 0, out: 1, wait: 2, busy: 3, failed: 5 };
  const of = (row, place) => state.rates.actors[row.name]?.[place] || 0;
  const rows = Object.values(state.actors).filter((row) => !wanted || `${row.name} ${row.type} ${row.node} ${row.state}`.toLowerCase().includes(wanted));
  rows.sort((a, b) => (sortBy in number ? of(b, number[sortBy]) - of(a, number[sortBy]) : byName(String(a[sortBy]), String(b[sortBy]))) || byName(a.name, b.name));
  put(body, rows.slice(0, 500).map((row) => h("tr", {}, h("td", {}, h("button", { class: "link mono", onclick: () => choose("actor", row.name) }, plain(row.name))), h("td", {}, plain(row.type)), h("td", { class: "mono" }, plain(row.node)), h("td", {}, h("span", { class: `tag ${isDead(row) || row.state === "failed" || row.state === "blocking" ? "bad" : row.state === "running" ? "good" : "acc"}` }, row.state)), [0, 1].map((place) => h("td", { class: "r" }, rate(of(row, place)))), h("td", { class: "r" }, of(row, 2)), h("td", { class: "r" }, of(row, 3)), h("td", { class: "r" }, of(row, 5)))));
}

// -- dead letters ---------------------------------------------------------------------------------
async function table(path, words, columns, empty, line) {
  put($("pane"), h("div", { class: "bar" }, h("button", { class: "btn sm", onclick: drawPane }, "Read again"), command(words)), h("p", { class: "nothing" }, "…"));
  const tab = dock.tab;
  try {
    const rows = await get(path);
    if (tab !== dock.tab) return;
    $("pane").lastChild.replaceWith(rows.length ? h("table", {}, h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col" }, column)))), h("tbody", {}, rows.slice().reverse().map(line))) : h("p", { class: "nothing" }, empty));
  } catch (error) {
    $("pane").lastChild.replaceWith(h("p", { class: "nothing" }, plain(error.message)));
  }
}

function ofLetters() {
  void table("/api/v1/letters", "zactor deadletters", ["when", "from", "signal", "to", "why"], "every message found its actor",
    (row) => h("tr", {}, h("td", { class: "mono" }, clockTime(row.at)), h("td", { class: "mono" }, plain(row.sender || "a client")), h("td", { class: "mono" }, plain(row.action)), h("td", { class: "mono" }, plain(row.target)), h("td", {}, plain(row.reason))));
}

// -- groups ---------------------------------------------------------------------------------------
function ofGroups() {
  const names = Object.keys(state.groups).sort(byName);
  put($("pane"), h("div", { class: "bar" }, command("zactor group")), names.length ? h("div", { class: "group-cards" }, names.map((name) => {
    const members = h("div", { class: "members" }, h("span", {}, "…"));
    get(`/api/v1/group/${encodeURIComponent(name)}`).then((rows) => put(members, rows.map((row) => h("span", {}, plain(row.member)))), (error) => put(members, plain(error.message)));
    return h("article", { class: "group-card" }, h("h2", {}, plain(name), h("small", { class: "muted" }, `${state.groups[name].members} members`)), members);
  })) : h("p", { class: "nothing" }, "nobody is in a group: ", h("code", {}, "zactor group chat room --name ann")));
}

// -- facts ----------------------------------------------------------------------------------------
function ofFacts() {
  const goal = h("input", { type: "search", class: "mono", placeholder: "a goal, like actor(X, counter, n1); none: all facts", "aria-label": "a goal", size: 44, spellcheck: "false" });
  const found = h("div", {});
  const ask = async (event) => {
    event?.preventDefault();
    put(found, h("p", { class: "nothing" }, "…"));
    try {
      const rows = await get(`/api/v1/kb?goal=${encodeURIComponent(goal.value)}`);
      put(found, goal.value ? solutions(rows) : h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "clock"), h("th", { scope: "col" }, "fact"))), h("tbody", {}, rows.map((row) => h("tr", {}, h("td", { class: "mono muted" }, row.clock ? row.clock.join(".") : "–"), h("td", { class: "mono" }, plain(row.fact)))))));
    } catch (error) {
      put(found, h("p", { class: "nothing" }, plain(error.message)));
    }
  };
  put($("pane"), h("form", { class: "bar", onsubmit: ask }, goal, h("button", { class: "btn sm", type: "submit" }, "Ask"), command("zactor kb query GOAL")), found);
  void ask();
}

function solutions(rows) {
  if (!rows.length) return h("p", { class: "nothing" }, "no");
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  if (!names.length) return h("p", { class: "nothing" }, "yes");
  return h("table", {}, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, plain(name))))), h("tbody", {}, rows.map((row) => h("tr", {}, names.map((name) => h("td", { class: "mono" }, plain(typeof row[name] === "object" ? JSON.stringify(row[name]) : row[name])))))));
}

// -- what is missing ------------------------------------------------------------------------------
function ofMissing() {
  const gone = missing();
  const can = state.me.may_change;
  const rows = [
    ...gone.nodes.map((row) => [row.name, "node", "gone", can && h("button", { class: "link", onclick: () => confirmDialog(`Forget ${row.name}`, `forget ${word(row.name)}`, "It isn't missed any more, nor are its actors.", "Forget") }, "forget")]),
    ...gone.actors.map((row) => [row.name, `${row.type} on ${row.node}`, row.reason || "lost", can && h("button", { class: "link", onclick: () => confirmDialog(`Deploy ${row.name} again`, `restore ${word(row.name)}`, "As it was ordered.", "Restore") }, "restore")]),
    ...gone.wires.map((row) => [`${portOf(row)} → ${reactorOf(row)}`, row.service, "down", null]),
  ];
  put($("pane"), h("div", { class: "bar" }, can && gone.actors.length ? h("button", { class: "btn sm pri", onclick: () => confirmDialog("Deploy all that is lost again", "restore --all", `${gone.actors.length} actors, each on the node that it was on, with their wires.`, "Restore all") }, "Restore all…") : null, command("zactor restore --all")),
    rows.length ? h("table", {}, h("tbody", {}, rows.map(([name, what, why, act]) => h("tr", {}, h("td", { class: "mono" }, plain(name)), h("td", {}, plain(what)), h("td", {}, h("span", { class: "tag bad" }, plain(why))), h("td", { class: "r" }, act || ""))))) : h("p", { class: "nothing" }, "nothing is missing: all that was ordered is there"));
}
