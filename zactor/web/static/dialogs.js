// Dialogs: wire, confirm, jump or run, keys. No change is made without one that names its command.
import { run } from "./api.js";
import { $, byName, h, plain, portOf, put, reactorOf, word } from "./dom.js";
import { signalsOf } from "./network.js";
import { choose } from "./selection.js";
import { state } from "./store.js";

export function toast(message, isBad = false) {
  const element = h("div", { class: isBad ? "toast bad" : "toast" }, plain(message));
  $("toasts").append(element);
  setTimeout(() => element.remove(), isBad ? 9000 : 4000);
}

export async function say(line) {
  try {
    const answer = await run(line);
    toast(answer.text || `${line}: done`);
    return answer;
  } catch (error) {
    toast(error.message, true);
    return null;
  }
}

function open(attrs, ...children) {
  const dialog = h("dialog", attrs, ...children);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.showModal();
  return dialog;
}

const SERVICES = [
  ["fifo", "Signals of one emitter come in its order."],
  ["causal", "What was caused comes after its cause, everywhere."],
  ["agreed", "All reactors hear all signals in one order."],
  ["safe", "One order for all, and nobody hears it before every node has it."],
];

export function wireDialog(port = "", reactor = "") {
  const actors = Object.keys(state.actors).sort(byName);
  const ports = actors.flatMap((name) => signalsOf(name).map((signal) => `${name}.${signal}`));
  if (!ports.length) return toast("no actor here has a signal", true);
  const option = (value, wanted) => h("option", { value, selected: value === wanted }, plain(value));
  const from = h("select", { id: "wire-from" }, ports.map((value) => option(value, port)));
  const to = h("select", { id: "wire-to" }, actors.map((value) => option(value, reactor)));
  const does = h("select", { id: "wire-does" });
  // Who can do what the signal says, and isn't told of it yet.
  const suits = () => actors.find((name) => !from.value.startsWith(`${name}.`) && state.kinds[name]?.actions?.includes(signal()) && !(`${from.value}>${name}` in state.wires));
  const line = h("p", { class: "line" });
  const signal = () => from.value.slice(from.value.indexOf(".") + 1);
  const service = () => dialog.querySelector("input[name=service]:checked").value;
  const command = () => `wire ${word(from.value)} ${word(does.value === signal() ? to.value : `${to.value}.${does.value}`)}${service() === "fifo" ? "" : ` --service ${service()}`}`;
  const refresh = () => put(line, `zactor ${command()}`);
  const offer = () => {
    const actions = state.kinds[to.value]?.actions || [];
    put(does, (actions.length ? actions : [signal()]).map((value) => option(value, signal())));
    refresh();
  };
  const dialog = open({ "aria-labelledby": "wire-title" }, h("form", { class: "dlg", method: "dialog", onsubmit: (event) => { event.preventDefault(); const said = command(); dialog.close(); void say(said); } },
    h("h2", { id: "wire-title" }, "Wire"),
    h("div", { class: "pair" }, h("label", {}, "signal", from), h("span", { "aria-hidden": "true" }, "→"), h("label", {}, "reactor", to), h("label", {}, "action", does)),
    h("fieldset", { onchange: () => refresh() }, h("legend", {}, "service"), SERVICES.map(([name, means], number) => h("label", {}, h("input", { type: "radio", name: "service", value: name, checked: number === 0 }), h("b", { class: "mono" }, name), h("small", {}, means)))),
    line,
    h("div", { class: "acts" }, h("button", { class: "btn pri", type: "submit", id: "wire-do" }, "Wire"), h("button", { class: "btn", type: "button", onclick: () => dialog.close() }, "Cancel"))));
  const suggest = () => { if (!reactor) to.value = suits() || to.value; offer(); };
  from.onchange = suggest;
  to.onchange = offer;
  does.onchange = refresh;
  suggest();
  if (port) (reactor ? $("wire-do") : to).focus();
  return dialog;
}

export function confirmDialog(title, line, what, label, act = () => say(line)) {
  const dialog = open({ "aria-labelledby": "confirm-title" }, h("form", { class: "dlg", method: "dialog", onsubmit: (event) => { event.preventDefault(); dialog.close(); void act(); } },
    h("h2", { id: "confirm-title" }, plain(title)), what ? h("p", {}, plain(what)) : null, h("p", { class: "line" }, `zactor ${plain(line)}`),
    h("div", { class: "acts" }, h("button", { class: "btn pri", type: "submit" }, label), h("button", { class: "btn", type: "button", onclick: () => dialog.close() }, "Cancel"))));
  dialog.querySelector(".btn.pri").focus();
}

const KEYS = [["← ↑ → ↓", "from card to card"], ["Enter", "inspect"], ["Esc", "back"], ["/", "jump to a name, or run a line"], ["1 – 7", "the tabs"], ["w", "wire the chosen actor…"], ["p", "pause the events"], ["t", "light or dark"], ["?", "these keys"]];

export function keysDialog() {
  const dialog = open({ "aria-labelledby": "keys-title" }, h("div", { class: "dlg" }, h("h2", { id: "keys-title" }, "Keys"),
    h("div", { class: "keys" }, KEYS.flatMap(([key, means]) => [h("span", {}, h("kbd", {}, key)), h("span", {}, means)])),
    h("div", { class: "acts" }, h("button", { class: "btn", onclick: () => dialog.close() }, "Close"))));
}

const VERBS = ["deploy", "destroy", "wire", "unwire", "signal", "tell", "ask", "query", "why", "restore", "forget", "nodes", "ps", "wires", "status", "doctor"];

export function paletteDialog() {
  const input = h("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "found", "aria-label": "A name, or a line of the console", placeholder: "c1 · why c1 · wire c1.updateVal g1", autocomplete: "off", spellcheck: "false" });
  const list = h("ul", { id: "found", role: "listbox", "aria-label": "found" });
  const answer = h("p", { hidden: true, role: "status" });
  let offers = [];
  let at = 0;
  const pick = (offer) => { dialog.close(); choose(offer.kind, offer.key); };
  const show = () => put(list, offers.map((offer, number) => h("li", { role: "option", id: `found-${number}`, "aria-selected": String(number === at), onclick: () => (offer.run ? go() : pick(offer)) }, h("b", { class: "mono" }, plain(offer.label)), h("small", {}, plain(offer.note)))));
  const find = () => {
    const wanted = input.value.trim();
    const low = wanted.toLowerCase();
    offers = [];
    for (const row of Object.values(state.nodes)) if (row.name) offers.push({ kind: "node", key: row.name, label: row.name, note: `node, ${row.state}` });
    for (const row of Object.values(state.actors)) offers.push({ kind: "actor", key: row.name, label: row.name, note: `${row.type} on ${row.node}` });
    for (const [key, wire] of Object.entries(state.wires)) offers.push({ kind: "wire", key, label: `${portOf(wire)} → ${reactorOf(wire)}`, note: wire.service });
    offers = offers.filter((offer) => offer.label.toLowerCase().includes(low)).sort((a, b) => a.label.toLowerCase().indexOf(low) - b.label.toLowerCase().indexOf(low) || byName(a.label, b.label)).slice(0, 40);
    if (wanted && (VERBS.includes(wanted.split(/\s/)[0]) || !offers.length)) offers.unshift({ run: true, label: wanted, note: "run this line" });
    at = 0;
    show();
    input.setAttribute("aria-activedescendant", offers.length ? "found-0" : "");
  };
  const go = async () => {
    const line = input.value.trim();
    answer.hidden = false;
    put(answer, "…");
    try {
      const said = await run(line);
      answer.className = "";
      put(answer, plain(said.text || JSON.stringify(said.result, null, 1)));
    } catch (error) {
      answer.className = "bad";
      put(answer, plain(error.message));
    }
  };
  input.addEventListener("input", find);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      at = (at + (event.key === "ArrowDown" ? 1 : offers.length - 1)) % Math.max(1, offers.length);
      show();
      input.setAttribute("aria-activedescendant", `found-${at}`);
      $(`found-${at}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && offers[at]) {
      event.preventDefault();
      if (offers[at].run) void go();
      else pick(offers[at]);
    }
  });
  const dialog = open({ class: "palette", "aria-label": "Jump to, or run" }, input, list, answer);
  find();
  input.focus();
}
