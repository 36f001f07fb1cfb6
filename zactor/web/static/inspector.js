// The inspector: all that is known of what is chosen, and what can be done to it.
import { get, run } from "./api.js";
import { $, ago, byName, clockTime, h, plain, portOf, put, rate, reactorOf, text, word } from "./dom.js";
import { confirmDialog, toast, wireDialog } from "./dialogs.js";
import { hosted, isBig, isDead, signalsOf, toneOf } from "./network.js";
import { whole } from "./panel.js";
import { chosen, choose, isThere } from "./selection.js";
import { now, state } from "./store.js";
import { flows, openLanes } from "./tiles.js";

let updates = [];
let drawn = "";
let panel = null;

const sec = (title, ...children) => h("section", { class: "sec" }, h("h3", {}, title), ...children);

function head(title, line, ...more) {
  return h("header", { class: "side-head" }, h("h2", {}, plain(title)), h("button", { class: chosen.kind ? "icon" : "icon only-m", "aria-label": "Close", onclick: () => { $("side").classList.remove("open"); choose(""); } }, "✕"), h("p", {}, line), ...more);
}

function stat(name, value) {
  const dd = h("dd", {});
  updates.push(() => text(dd, value()));
  return h("div", {}, h("dt", {}, name), dd);
}

// Built anew only when what it is built from differs: a person may be typing in it.
export function drawInspector() {
  if (!isThere()) { chosen.kind = ""; chosen.key = ""; }
  const basis = JSON.stringify([chosen.kind, chosen.key, chosen.kind === "actor" ? [state.actors[chosen.key], state.kinds[chosen.key], wiresOf(chosen.key)] : chosen.kind === "wire" ? state.wires[chosen.key] : chosen.kind === "node" ? [state.nodes[chosen.key], hosted(chosen.key)] : [state.status, Object.keys(state.nodes), behind().map((row) => row.name)], state.me, Object.keys(state.panels).join()]);
  $("side").classList.toggle("open", Boolean(chosen.kind));
  if (basis !== drawn) {
    drawn = basis;
    updates = [];
    panel = null;
    const made = { actor: ofActor, wire: ofWire, node: ofNode }[chosen.kind] || ofAll;
    put($("side"), made(chosen.key));
  }
  updateInspector();
}

export function updateInspector() {
  updates.forEach((update) => update());
}

export function updatePanel() { panel?.update(); }

const behind = () => Object.values(state.actors).filter((row) => (state.rates.actors[row.name]?.[2] || 0) >= 30);
const wiresOf = (name) => Object.entries(state.wires).filter(([, wire]) => wire.emitter === name || wire.reactor === name).map(([key, wire]) => [key, wire.service, wire.state]);

// -- the whole ------------------------------------------------------------------------------------
export function troubles() {
  const found = (state.status.troubles || []).map((sentence) => ({ tone: "bad", word: / failed: /.test(sentence) ? "failed" : /(gone|lost|down)\b/.test(sentence) ? "lost" : "look", sentence }));
  const late = behind();
  if (late.length > 5) found.push({ tone: "warn", word: "behind", sentence: `${late.length} actors are behind: messages wait in their mailboxes` });
  else for (const row of late) found.push({ tone: "warn", word: "behind", sentence: `${row.name} is behind: ${state.rates.actors[row.name][2]} messages wait`, about: row.name });
  if (state.problem) found.unshift({ tone: "bad", word: "no node", sentence: state.problem });
  return found;
}

function about(sentence) { // whom a sentence is about, where it names one
  const names = [...Object.keys(state.actors), ...Object.keys(state.nodes)];
  return names.sort((a, b) => b.length - a.length).find((name) => new RegExp(`(^|[^\\w-])${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}([^\\w-]|$)`).test(sentence));
}

function ofAll() {
  const found = troubles();
  const view = state.status.view || "";
  const busiest = h("div", { class: "rows" });
  updates.push(() => {
    if (isBig()) return put(busiest, flows());
    const rows = Object.entries(state.wires).map(([key, wire]) => ({ key, wire, value: state.rates.signals[portOf(wire)] || 0 })).sort((a, b) => b.value - a.value || byName(a.key, b.key)).slice(0, 6);
    const wanted = rows.map((row) => row.key).join();
    if (busiest.dataset.of !== wanted) {
      busiest.dataset.of = wanted;
      put(busiest, rows.length ? rows.map(({ key }) => wireButton(key)) : h("p", { class: "muted" }, "no wires"));
    }
    rows.forEach(({ value }, number) => busiest.children[number]?.lastChild && text(busiest.children[number].lastChild, rate(value) + "/s"));
    return undefined;
  });
  const first = Object.values(state.panels).filter((row) => row.controls.length).map((row) => row.name).sort(byName)[0];
  const pane = first ? panelSection(first) : null;
  return [
    head(state.status.cluster || "zactor", view ? `view ${view}; changes are ${state.status.primary?.length ? `taken by ${state.status.primary.join(", ")}` : "not taken"}` : "connecting"),
    sec("Troubles", found.length ? found.map((each) => h("div", { class: "trouble" }, h("span", { class: `tag ${each.tone}` }, each.word), h("span", {}, plain(each.sentence)), lookButton(each.about || about(each.sentence)))) : h("p", { class: "muted" }, "none")),
    sec(isBig() ? "Heaviest flows, by type" : "Busiest wires", busiest),
    pane,
    sec("This page", h("p", { class: "muted" }, `${plain(state.me.who)} · ${state.me.may_change ? "may change things" : "shows, and changes nothing"}`),
      h("p", { class: "muted" }, state.status.node ? `asks ${state.status.node}` : "")),
  ];
}

const lookButton = (name) => (name ? h("button", { class: "link", onclick: () => choose(state.actors[name] ? "actor" : "node", name) }, "look") : h("span", {}));

function wireButton(key) {
  const wire = state.wires[key];
  return h("button", { onclick: () => choose("wire", key) }, h("span", { class: "mono" }, `${plain(portOf(wire))} → ${plain(reactorOf(wire))}`), h("span", { class: `tag ${wire.state === "down" ? "bad" : ""}` }, wire.state === "down" ? "down" : wire.service), h("span", { class: "num" }, rate(state.rates.signals[portOf(wire)]) + "/s"));
}

function panelSection(name) {
  panel = whole(name);
  if (!panel) return null;
  panel.update();
  return sec(h("span", {}, `Panel of ${plain(name)}`), panel.element, h("p", {}, h("a", { class: "link", href: `/panel/${encodeURIComponent(name)}`, target: "_blank", rel: "noopener" }, "alone on a screen")));
}

// -- an actor -------------------------------------------------------------------------------------
function ofActor(name) {
  const row = state.actors[name];
  const numbers = (place) => state.rates.actors[name]?.[place] ?? 0;
  const dead = isDead(row);
  const wires = Object.entries(state.wires);
  const out = wires.filter(([, wire]) => wire.emitter === name).map(([key]) => key);
  const into = wires.filter(([, wire]) => wire.reactor === name).map(([key]) => key);
  const can = state.me.may_change;
  return [
    head(name, h("span", {}, plain(row.type), " on ", h("button", { class: "link", onclick: () => choose("node", row.node) }, plain(row.node)), row.since ? ` · ${row.state} for ${ago(now() - row.since)}` : ` · ${row.state}`)),
    row.state !== "running" && row.reason ? h("section", { class: "sec" }, failure(name, row)) : null,
    panelSection(name),
    dead ? null : sec("Numbers", h("dl", { class: "stats" }, stat("in", () => rate(numbers(0)) + "/s"), stat("out", () => rate(numbers(1)) + "/s"), stat("waiting", () => numbers(2)), stat("busy", () => `${numbers(3)} %`), stat("handled", () => rate(numbers(4))), stat("raised", () => numbers(5)))),
    out.length || into.length ? sec("Wires", h("div", { class: "rows" }, [...out, ...into].map(wireButton))) : null,
    can && !dead ? askSection(name) : null,
    whySection(name),
    dead ? null : saidSection(name),
    can ? sec("Do", h("div", { class: "acts" },
      signalsOf(name).length ? h("button", { class: "btn", id: "wire-this", onclick: () => wireDialog(`${name}.${signalsOf(name)[0]}`) }, "Wire…") : null,
      dead ? h("button", { class: "btn", onclick: () => confirmDialog(`Deploy ${name} again`, `restore ${word(name)}`, "As it was ordered: type, arguments and wires.", "Restore") }, "Restore…") : null,
      dead ? h("button", { class: "btn danger", onclick: () => confirmDialog(`Forget ${name}`, `forget ${word(name)}`, "It isn't wanted any more.", "Forget") }, "Forget…")
        : h("button", { class: "btn danger", onclick: () => confirmDialog(`Destroy ${name}`, `destroy ${word(name)}`, "It finishes what waits in its mailbox, then it goes, with its wires.", "Destroy") }, "Destroy…"))) : null,
  ];
}

function failure(name, row) {
  const trace = h("pre", { hidden: true });
  get(`/api/v1/logs/${encodeURIComponent(name)}`).then((rows) => {
    const failed = rows.filter((line) => line.kind === "failed").slice(-14);
    if (failed.length) { trace.hidden = false; text(trace, failed.map((line) => plain(line.text)).join("\n")); }
  }, () => {});
  return h("div", { class: "alert", role: "alert" }, h("b", {}, plain(row.reason)), trace);
}

function askSection(name) {
  const actions = state.kinds[name]?.actions || [];
  if (!actions.length) return null;
  const action = h("select", { "aria-label": "action" }, actions.map((value) => h("option", { value }, plain(value))));
  const given = h("input", { type: "text", "aria-label": "arguments", placeholder: "arguments, as JSON", spellcheck: "false" });
  const reply = h("div", { class: "reply", hidden: true, role: "status" });
  return sec(h("span", {}, "Ask"), h("form", { class: "ask", onsubmit: async (event) => {
    event.preventDefault();
    reply.hidden = false;
    reply.className = "reply";
    text(reply, "…");
    try {
      const answer = await run(`ask ${word(name)} ${word(action.value)} ${given.value}`.trim());
      text(reply, plain(JSON.stringify(answer.result)));
    } catch (error) {
      reply.className = "reply bad";
      text(reply, plain(error.message));
    }
  } }, action, given, h("button", { class: "btn", type: "submit" }, "Ask")), reply);
}

function whySection(name) {
  const list = h("ol", { class: "why" }, h("li", { class: "was" }, "…"));
  get(`/api/v1/why/${encodeURIComponent(name)}`).then(({ verdict, rows }) => {
    const newest = rows.slice().reverse().sort((a, b) => Number(b.present) - Number(a.present)).slice(0, 12);
    put(list, h("li", {}, h("b", {}, plain(verdict))), newest.map((row) => h("li", { class: row.present ? "" : "was" }, h("code", {}, plain(row.fact)),
      h("small", {}, row.clock ? `since ${row.clock.join(".")}${row.at ? ` · ${clockTime(row.at).slice(0, 8)}` : ""} · ${plain(row.who)}: ${plain(row.why)}` : "since before what is kept"),
      row.until ? h("small", {}, `until ${row.until.join(".")} · ${plain(row.until_who)}: ${plain(row.until_why)}`) : null)));
  }, (error) => put(list, h("li", { class: "was" }, plain(error.message))));
  return h("section", { class: "sec" }, h("h3", {}, "Why", h("code", { class: "muted" }, `zactor why ${plain(name)}`)), list);
}

function saidSection(name) {
  const box = h("div", { class: "said", role: "log", tabindex: "0", "aria-label": `what ${name} said` }, "…");
  const load = () => get(`/api/v1/logs/${encodeURIComponent(name)}`).then((rows) => {
    put(box, rows.length ? rows.slice(-60).map((row) => h("div", { class: row.kind }, `${clockTime(row.at).slice(0, 8)}  ${plain(row.text)}`)) : "nothing yet");
    box.scrollTop = box.scrollHeight;
  }, (error) => put(box, plain(error.message)));
  void load();
  return h("section", { class: "sec" }, h("h3", {}, "Said", h("button", { class: "link", onclick: load }, "again")), box);
}

// -- a wire ---------------------------------------------------------------------------------------
function ofWire(key) {
  const wire = state.wires[key];
  const lost = () => state.lost[key] || 0;
  const line = `unwire ${word(portOf(wire))} ${word(reactorOf(wire))}`;
  return [
    head(portOf(wire), h("span", {}, "→ ", h("button", { class: "link", onclick: () => choose("actor", wire.reactor) }, plain(reactorOf(wire))), ` · ${wire.service}`)),
    wire.state === "down" ? h("section", { class: "sec" }, h("div", { class: "alert", role: "alert" }, h("b", {}, "down: one of its ends is lost"), lost() ? `${lost()} signals found nobody` : "")) : null,
    sec("Numbers", h("dl", { class: "stats" }, stat("signals", () => rate(state.rates.signals[portOf(wire)]) + "/s"), stat("lost", lost), stat("state", () => state.wires[key]?.state || "gone"))),
    sec("Ends", h("div", { class: "rows" }, [wire.emitter, wire.reactor].map((name) => h("button", { onclick: () => choose("actor", name) }, h("span", { class: "mono" }, plain(name)), h("span", { class: "muted" }, plain(state.actors[name]?.type || "")), h("span", { class: "muted" }, plain(state.actors[name]?.node || "gone")))))),
    whySection(wire.emitter),
    state.me.may_change ? sec("Do", h("div", { class: "acts" }, h("button", { class: "btn danger", onclick: () => confirmDialog("Take the wire away", line, "", "Unwire") }, "Unwire…"))) : null,
  ];
}

// -- a node ---------------------------------------------------------------------------------------
function ofNode(name) {
  const row = state.nodes[name] || { name, state: "gone", address: "", role: "" };
  const numbers = (place) => state.rates.nodes[name]?.[place] ?? "–";
  const actors = hosted(name).sort((a, b) => byName(a.name, b.name));
  const lost = actors.filter(isDead);
  return [
    head(name, `${plain(row.role || "node")} · ${row.state}${row.address ? ` · ${plain(row.address)}` : ""}`),
    toneOf(row) === "bad" ? h("section", { class: "sec" }, h("div", { class: "alert", role: "alert" }, h("b", {}, `${plain(name)} is ${plain(row.state)}${lost.length ? `, with ${lost.length} actors` : ""}`))) : sec("Numbers", h("dl", { class: "stats" },
      stat("CPU", () => `${numbers(0)} %`), stat("memory", () => `${numbers(1)} MB`), stat("late", () => `${numbers(2)} ms`), stat("pid", () => numbers(3)), stat("up", () => (typeof numbers(4) === "number" ? ago(numbers(4)) : "–")), stat("raised", () => numbers(5)))),
    isBig() ? h("section", { class: "sec" }, h("button", { class: "btn", onclick: () => openLanes(name) }, "Show its lanes")) : null,
    sec(`Actors (${actors.length})`, h("div", { class: "rows" }, actors.slice(0, 60).map((actor) => h("button", { onclick: () => choose("actor", actor.name) }, h("span", { class: "mono" }, plain(actor.name)), h("span", { class: "muted" }, plain(actor.type)), h("span", { class: isDead(actor) || actor.state === "failed" ? "tag bad" : "muted" }, actor.state))), actors.length ? null : h("p", { class: "muted" }, "none"))),
    whySection(name),
    state.me.may_change && lost.length ? sec("Do", h("div", { class: "acts" }, h("button", { class: "btn", onclick: () => confirmDialog(`Deploy what was on ${name} again`, `restore ${lost.map((actor) => word(actor.name)).join(" ")}`, "On the node that each was on; it has to be up.", "Restore") }, "Restore all…"), h("button", { class: "btn danger", onclick: () => confirmDialog(`Forget ${name}`, `forget ${word(name)}`, "It isn't missed any more, nor are its actors.", "Forget") }, "Forget…"))) : null,
  ];
}

export { toast };
