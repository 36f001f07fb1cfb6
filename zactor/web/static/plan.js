// The plan: a file's text, what it would change, and made so. What is kept of files that were applied.
import { get, post } from "./api.js";
import { $, h, plain, put, text } from "./dom.js";
import { confirmDialog, toast } from "./dialogs.js";
import { choose } from "./selection.js";
import { state } from "./store.js";

const BYTES_MAX = 64 << 10; // what the server takes
const ROWS_SHOWN = 500;
const SIGNS = { "+": ["add", "good"], "~": ["change", "acc"], "-": ["remove", "warn"], "!": ["left alone", ""], x: ["can't be done", "bad"] };
const HOW_FAR = [
  ["prune", "remove what it no longer names", true, "--no-prune"],
  ["remove_all", "even if that is most of it", false, "--remove-all"],
  ["adopt", "take over what was made by hand", false, "--adopt"],
];
const given = { text: "", file: "lab.toml", ...Object.fromEntries(HOW_FAR.map(([name, , value]) => [name, value])) };
const said = (words) => [words, given.file, ...HOW_FAR.filter(([name, , usual]) => given[name] !== usual).map(([, , , option]) => option)].join(" ");
let planned = null; // what the server says of it
let applied = null; // what was begun
let kept = null; // of each file that was applied: what differs from it

// -- parts ----------------------------------------------------------------------------------------
function rowsTable(rows) {
  const shown = rows.filter((row) => row.sign !== "=");
  if (!shown.length) return null;
  return h("table", { class: "plan-rows" }, h("thead", { class: "vh" }, h("tr", {}, ["sign", "kind", "name", "why"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, shown.slice(0, ROWS_SHOWN).map((row) => {
    const [word, tone] = SIGNS[row.sign] || [row.sign, ""];
    return h("tr", {}, h("td", {}, h("span", { class: `tag ${tone}` }, `${row.sign} ${word}`)), h("td", { class: "muted" }, plain(row.kind)), h("td", { class: "mono" }, plain(row.name)), h("td", {}, plain(row.detail)));
  }), shown.length > ROWS_SHOWN ? h("tr", {}, h("td", { colspan: "4" }, `and ${shown.length - ROWS_SHOWN} more`)) : null));
}

function isDue() { return planned.rows?.some((row) => "+~-".includes(row.sign)); }
function isImpossible() { return planned.rows?.some((row) => row.sign === "x"); }

function drawResult() {
  const root = $("plan-result");
  if (!root) return;
  if (!planned) return put(root, applied ? h("div", { id: "plan-progress", role: "status" }) : null), drawProgress();
  if (planned.problem) return put(root, h("p", { class: "alert", role: "alert" }, plain(planned.problem)));
  const can = state.me.may_change;
  const clock = planned.clock.join(".");
  const line = `${said("apply")} --check ${clock}`;
  const button = isDue() ? h("button", { class: "btn pri sm", id: "plan-apply", disabled: !can || isImpossible(), onclick: () => confirmDialog(`Make the network as ${given.file} says`, line, `${planned.summary}. One transaction: all of it, or nothing where something has changed meanwhile.`, "Apply", apply) }, "Apply…") : null;
  put(root,
    h("div", { class: "plan-sum", role: "status" }, h("b", {}, plain(planned.wish)), h("span", {}, plain(planned.summary)), button,
      button && !can ? h("span", { class: "muted" }, "this page shows, and changes nothing") : null,
      button && can && isImpossible() ? h("span", { class: "muted" }, "not while something can't be done") : null),
    (planned.notes || []).map((note) => h("p", { class: "muted note" }, plain(note))),
    rowsTable(planned.rows));
  return undefined;
}

// What was begun, as the facts tell of it.
function drawProgress() {
  const root = $("plan-progress");
  if (!root || !applied) return;
  const rows = [
    ...applied.starts.map((name) => { const row = state.actors[name]; return [name, row ? row.state : "starting", row?.reason || ""]; }),
    ...applied.stops.map((name) => [name, state.actors[name] ? "stopping" : "removed", ""]),
  ];
  const done = rows.filter(([, now]) => now === "running" || now === "removed").length;
  const tone = (now) => (now === "running" || now === "removed" ? "good" : now === "failed" || now === "lost" ? "bad" : "acc");
  put(root, h("div", { class: "plan-sum" }, h("b", {}, `applied at ${applied.clock.join(".")}`), h("span", {}, rows.length ? `${done} of ${rows.length} actors as they should be` : "no actor had to start or stop"),
    h("button", { class: "btn sm", onclick: () => confirmDialog(`Take ${applied.clock.join(".")} back`, `undo ${applied.clock.join(".")} --yes`, "The change of that clock is taken back, as one change.", "Undo") }, "Undo…")),
    rows.length ? h("table", { class: "plan-rows" }, h("tbody", {}, rows.slice(0, ROWS_SHOWN).map(([name, now, reason]) => h("tr", {}, h("td", {}, h("span", { class: `tag ${tone(now)}` }, now)), h("td", { class: "mono" }, state.actors[name] ? h("button", { class: "link mono", onclick: () => choose("actor", name) }, plain(name)) : plain(name)), h("td", {}, plain(reason.split("\n")[0])))))) : null);
}

function drawKept() {
  const root = $("plan-kept");
  if (!root) return;
  const sentences = state.status.wanted || [];
  put(root, sentences.length ? sentences.map((sentence) => {
    const name = sentence.slice(0, sentence.indexOf(": "));
    const found = kept?.find((each) => each.wish === name);
    const rows = (found?.rows || []).filter((row) => "+~-x".includes(row.sign) || row.differs);
    return h("div", { class: "plan-sum" }, h("span", { class: `tag ${differs(sentence) ? "warn" : "good"}` }, differs(sentence) ? "differs" : "as applied"), h("span", {}, plain(sentence)), found?.problem ? h("span", { class: "muted" }, plain(found.problem)) : null, rows.length ? rowsTable(rows) : null);
  }) : h("p", { class: "muted note" }, "no file was applied yet, so nothing is kept as one says"));
}

const differs = (sentence) => (state.status.troubles || []).some((trouble) => trouble.startsWith(sentence));
export const driftCount = () => (state.status.wanted || []).filter(differs).length;

// -- what is done ---------------------------------------------------------------------------------
const body = (more = {}) => ({ ...given, ...more });

async function plan() {
  applied = null;
  planned = null;
  put($("plan-result"), h("p", { class: "nothing" }, "…"));
  try {
    planned = await post("/api/v1/plan", body());
  } catch (error) {
    planned = { problem: error.message };
  }
  drawResult();
}

async function apply() {
  try {
    applied = await post("/api/v1/apply", body({ digest: planned.digest }));
    planned = null;
  } catch (error) {
    planned = { problem: error.message };
  }
  drawResult();
  void readKept();
}

async function readKept() {
  try {
    kept = await get("/api/v1/plan");
  } catch (error) {
    toast(error.message, true);
  }
  drawKept();
}

export async function takeFile(file) {
  if (file.size > BYTES_MAX) return toast(`${file.name} is longer than a page takes: zactor apply ${file.name}`, true);
  given.file = file.name;
  given.text = await file.text();
  drawPlan();
  return plan();
}

// -- all of it ------------------------------------------------------------------------------------
export function drawPlan() {
  const picker = h("input", { type: "file", class: "vh", tabindex: "-1", "aria-hidden": "true", accept: ".toml", onchange: () => { if (picker.files[0]) void takeFile(picker.files[0]); } });
  const area = h("textarea", { id: "plan-text", class: "mono", spellcheck: "false", "aria-label": "the file's text", placeholder: "Drop a lab.toml here, paste its text, or choose it.", oninput: () => { given.text = area.value; planned = null; applied = null; drawResult(); } });
  area.value = given.text;
  const command = h("code", {}, plain(`zactor ${said("plan")}`));
  put($("pane"),
    h("form", { class: "bar", onsubmit: (event) => { event.preventDefault(); void plan(); } },
      picker, h("button", { class: "btn sm", type: "button", onclick: () => picker.click() }, "Choose file…"), h("button", { class: "btn sm pri", type: "submit", id: "plan-do" }, "Plan"),
      HOW_FAR.map(([name, label]) => { const input = h("input", { type: "checkbox", checked: given[name], onchange: () => { given[name] = input.checked; planned = null; text(command, `zactor ${said("plan")}`); drawResult(); } }); return h("label", {}, input, ` ${label}`); }),
      h("span", { class: "hide-m" }, "the same as ", command)),
    h("div", { class: "plan" }, area, h("div", { class: "plan-said" }, h("div", { id: "plan-result" }), h("section", { "aria-labelledby": "kept-title" }, h("h2", { id: "kept-title" }, "What is kept"), h("div", { id: "plan-kept" })))));
  drawResult();
  drawKept();
  void readKept();
}

// The facts have changed: what a person types in stays.
export function refreshPlan() {
  drawProgress();
  drawKept();
}
