// Panels: what an actor shows of itself, in a card, in the inspector, or alone on the screen.
import { draw } from "./charts.js";
import { h, plain, svg, text, toggle } from "./dom.js";
import { press } from "./api.js";
import { lines, state } from "./store.js";
import { toast } from "./dialogs.js";

async function drive(actor, name, value) {
  try {
    await press(actor, name, value);
  } catch (error) {
    toast(error.message, true);
  }
}

const POP_APART_MS = 500;

const shown = (value) => (value === null || value === undefined ? "–" : plain(value));
const isShort = (value) => value === null || value === undefined || typeof value === "number" || String(value).length < 7;

// The first number or text, and the buttons: what has room in a card.
export function mini(actor) {
  const panel = state.panels[actor];
  if (!panel || !panel.controls.length) return null;
  const parts = [];
  const first = panel.controls.find((each) => each.kind === "number" || each.kind === "text");
  const updates = [];
  if (first) {
    const output = h("output", { "aria-label": `${first.label} of ${actor}`, "data-shows": `${actor}.${first.name}` });
    updates.push((values) => { text(output, shown(values[first.name])); toggle(output, "small", !isShort(values[first.name])); });
    parts.push(output);
  }
  for (const control of panel.controls.filter((each) => each.kind === "button").slice(0, 2)) {
    parts.push(h("button", { class: "btn sm", "data-press": `${actor}.${control.name}`, disabled: !state.me.may_change, onclick: () => drive(actor, control.name) }, plain(control.label)));
  }
  if (!parts.length) return null;
  return { element: h("div", { class: "mini" }, parts), update: () => { const now = state.panels[actor]; if (now) updates.forEach((each) => each(now.values)); } };
}

// All of it.
export function whole(actor) {
  const panel = state.panels[actor];
  if (!panel || !panel.controls.length) return null;
  const made = panel.controls.map((control) => controlOf(actor, control));
  return { element: h("div", { class: "panel" }, made.map((each) => each.element)), update: () => { const now = state.panels[actor]; if (now) made.forEach((each) => each.update(now.values)); } };
}

function controlOf(actor, control) {
  const name = control.name;
  const off = !state.me.may_change;
  const label = h("small", {}, plain(control.label));
  switch (control.kind) {
    case "button": {
      const button = h("button", { class: "btn pri", "data-press": `${actor}.${name}`, disabled: off, onclick: () => drive(actor, name) }, plain(control.label));
      return { element: button, update: () => {} };
    }
    case "switch": {
      const input = h("input", { type: "checkbox", disabled: off, onchange: () => drive(actor, name, input.checked) });
      return { element: h("label", {}, label, input), update: (values) => { input.checked = values[name] === true; } };
    }
    case "slider": {
      const value = h("span", { class: "mono" });
      let isHeld = false;
      const input = h("input", { type: "range", min: String(control.low), max: String(control.high), step: String(control.step), disabled: off,
        oninput: () => { isHeld = true; text(value, input.value); }, onchange: () => { isHeld = false; drive(actor, name, Number(input.value)); } });
      return { element: h("label", {}, label, input, value), update: (values) => { if (!isHeld && typeof values[name] === "number") { input.value = String(values[name]); text(value, values[name]); } } };
    }
    case "line": {
      const path = svg("path", {});
      const graph = svg("svg", { class: "graph", viewBox: "0 0 100 56", preserveAspectRatio: "none", role: "img", "aria-label": `${control.label} over time` }, path);
      return { element: h("div", { class: "show" }, graph, label), update: () => draw(path, lines.get(`${actor}.${name}`), 56, control.last, false) };
    }
    case "log": {
      const list = h("div", { class: "said", role: "log", tabindex: "0", "aria-label": plain(control.label) });
      return { element: h("div", { class: "show" }, list, label), update: (values) => text(list, (values[name] || []).map(plain).join("\n") || "–") };
    }
    default: {
      let changed = 0;
      const value = h("span", {});
      const output = h("output", { class: control.kind === "number" ? "" : "text", "data-shows": `${actor}.${name}`, "aria-label": `${control.label} of ${actor}` }, value, control.unit ? h("sub", {}, plain(control.unit)) : null);
      return { element: h("div", { class: "show" }, output, label), update: (values) => {
        const before = value.textContent;
        text(value, shown(values[name]));
        if (before === value.textContent) return;
        const at = Date.now();
        const isRare = before && at - changed > POP_APART_MS; // what counts fast would never stand still
        changed = at;
        if (isRare && control.kind === "number") { output.classList.remove("pop"); void output.offsetWidth; output.classList.add("pop"); }
      } };
    }
  }
}
