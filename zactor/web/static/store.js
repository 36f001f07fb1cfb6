// What the page knows: one state, kept up to date by the stream, and who wants to hear of changes.
import { get } from "./api.js";

const SPARK_POINTS = 240; // two minutes of samples
const EVENTS_KEPT = 500;
const HEALED_MS = 2600;

export const state = {
  nodes: {}, actors: {}, wires: {}, groups: {}, status: {}, lost: {}, kinds: {}, panels: {},
  rates: { nodes: {}, actors: {}, signals: {} }, pulse: [], events: [], total: 0, marks: [],
  me: { who: "", may_change: false }, problem: "", isLive: false, isKnown: false, skew: 0,
};
export const sparks = new Map(); // "actor" or "actor.signal" -> rates
export const lines = new Map(); // "actor.attribute" -> values of a Line
export const healed = new Map(); // wire -> until when it is shown green

const listeners = new Map();
export function on(kind, listener) {
  listeners.set(kind, [...(listeners.get(kind) || []), listener]);
}
function tell(kind, detail) {
  for (const listener of listeners.get(kind) || []) listener(detail);
}
export const now = () => Date.now() / 1000 + state.skew;

function whole(given) {
  Object.assign(state, {
    nodes: given.nodes, actors: given.actors, wires: given.wires, groups: given.groups,
    status: given.status, lost: given.lost, kinds: given.kinds, panels: given.panels,
    rates: given.rates, events: given.events, problem: given.problem, isKnown: true,
    skew: given.now - Date.now() / 1000,
  });
  if (given.me) state.me = given.me;
  if (!state.pulse.length) state.pulse = given.pulse.map((value, place) => ({ at: given.now - (given.pulse.length - place) / 2, value }));
  for (const [name, row] of Object.entries(given.panels)) noteLines(name, row);
  tell("facts"); tell("rates"); tell("events"); tell("link");
  for (const name of Object.keys(given.panels)) tell("panel", name);
}

function takeFacts(told) {
  for (const part of ["nodes", "actors", "wires", "groups"]) {
    for (const [key, row] of Object.entries(told[part] || {})) {
      const before = state[part][key];
      if (part === "wires" && row && before && before.state === "down" && row.state === "up") healed.set(key, Date.now() + HEALED_MS);
      if (part === "nodes" && row && before && before.state !== row.state) announce(row);
      if (part === "actors" && (row === null || row.state === "lost")) forgetRates(key);
      if (row === null) delete state[part][key];
      else state[part][key] = row;
    }
  }
  if (told.lost) state.lost = told.lost;
  if (told.status) {
    if (state.status.view && told.status.view !== state.status.view) state.marks.push({ at: now(), bad: told.status.members.length < state.status.members.length });
    state.status = told.status;
  }
  for (const name of Object.keys(state.kinds)) if (!state.actors[name]) delete state.kinds[name];
  for (const key of sparks.keys()) if (!state.actors[key] && !state.actors[key.slice(0, key.lastIndexOf("."))]) sparks.delete(key);
  for (const key of lines.keys()) if (!state.actors[key.slice(0, key.lastIndexOf("."))]) lines.delete(key);
  if (healed.size) setTimeout(() => { for (const [key, until] of healed) if (until <= Date.now()) healed.delete(key); tell("facts"); }, HEALED_MS + 50);
  tell("facts");
}

function forgetRates(actor) { // nothing tells any more what a lost actor does
  delete state.rates.actors[actor];
  for (const key of Object.keys(state.rates.signals)) if (key.startsWith(`${actor}.`)) delete state.rates.signals[key];
}

function announce(row) {
  if (row.state !== "up") tell("said", `${row.name} is ${row.state}`);
  else tell("said", `${row.name} is up again`);
}

function takeRates(told) {
  for (const part of ["nodes", "actors", "signals"]) Object.assign(state.rates[part], told[part]);
  state.total = told.total;
  const at = now();
  state.pulse.push({ at, value: told.total });
  while (state.pulse.length && state.pulse[0].at < at - 125) state.pulse.shift();
  while (state.marks.length && state.marks[0].at < at - 125) state.marks.shift();
  if (Object.keys(state.actors).length <= 300) {
    for (const [key, value] of Object.entries(state.rates.signals)) point(sparks, key, value);
    for (const [key, row] of Object.entries(state.rates.actors)) point(sparks, key, row[0]);
  }
  tell("rates");
}

function point(table, key, value, most = SPARK_POINTS) {
  let row = table.get(key);
  if (!row) table.set(key, row = []);
  row.push(value);
  if (row.length > most) row.splice(0, row.length - most);
}

function noteLines(name, row) {
  for (const control of row.controls) {
    if (control.kind === "line" && typeof row.values[control.name] === "number") point(lines, `${name}.${control.name}`, row.values[control.name], control.last);
  }
}

function take(message) {
  const data = message.data === undefined ? null : JSON.parse(message.data);
  switch (message.kind) {
    case "reset": return whole(data);
    case "facts": return takeFacts(data);
    case "kinds": Object.assign(state.kinds, data); return tell("facts");
    case "rates": return takeRates(data);
    case "panel": state.panels[data.name] = data; noteLines(data.name, data); return tell("panel", data.name);
    case "happened":
      state.events.push(data);
      if (state.events.length > EVENTS_KEPT) state.events.splice(0, state.events.length - EVENTS_KEPT);
      return tell("events", data);
    case "link": state.problem = data.problem; return tell("link");
    case "opened": state.isLive = true; return tell("link");
    case "bye": state.problem = data.why; state.isLive = false; return tell("link");
    case "broken": state.isLive = false; tell("link"); if (message.isClosed) again(); return undefined;
  }
  return undefined;
}

let port = null;
let waiting = null; // messages that came before the state did
let known = -1;

function receive(message) {
  if (waiting) return void waiting.push(message);
  if (message.sequence !== undefined) {
    if (message.sequence <= known && message.kind !== "reset") return;
    known = message.sequence;
  }
  take(message);
}

async function read() {
  waiting = waiting || [];
  const given = await get("/api/v1/state");
  known = given.sequence;
  whole(given);
  const held = waiting;
  waiting = null;
  port.postMessage({ open: `0.0.${given.sequence}` });
  held.forEach(receive);
}

let isAgain = false;
async function again() { // the stream was refused: log in again, or wait until the server is back
  if (isAgain) return;
  isAgain = true;
  for (;;) {
    await new Promise((done) => setTimeout(done, 1500));
    try {
      await read();
      isAgain = false;
      return;
    } catch (error) {
      tell("refused", error);
    }
  }
}

// The one policy: it lets through the worker's address, and nothing else.
const policy = window.trustedTypes ? trustedTypes.createPolicy("zactor", { createScriptURL: (url) => {
  if (!/^\/worker\.js(\?|$)/.test(url)) throw new TypeError("only the worker");
  return url;
} }) : { createScriptURL: (url) => url };

export async function follow(panels) {
  const query = panels.map((name) => "panel=" + encodeURIComponent(name)).join("&");
  const address = "/worker.js" + (query ? "?" + query : "");
  waiting = [];
  if (window.SharedWorker) {
    const worker = new SharedWorker(policy.createScriptURL(address), { name: "zactor" });
    port = worker.port;
    port.onmessage = ({ data }) => receive(data);
    port.start();
    addEventListener("pagehide", () => port.postMessage({ leave: true }));
  } else {
    port = ownStream(query);
  }
  await read();
}

// Without a SharedWorker (Chrome on Android) a tab has a stream of its own, while it is looked at.
function ownStream(query) {
  let source = null;
  let last = "";
  const open = (since) => {
    if (source) source.close();
    source = new EventSource(`/api/v1/stream?since=${since}${query ? "&" + query : ""}`);
    for (const kind of ["facts", "kinds", "rates", "panel", "happened", "reset", "link", "bye"]) {
      source.addEventListener(kind, (event) => { last = event.lastEventId; receive({ kind, data: event.data, sequence: Number(last.split(".")[2]) }); });
    }
    source.onopen = () => receive({ kind: "opened" });
    source.onerror = () => receive({ kind: "broken", isClosed: source.readyState === EventSource.CLOSED });
  };
  document.addEventListener("visibilitychange", () => {
    if (!source) return;
    if (document.hidden) source.close();
    else open(last || "0.0.0");
  });
  return { postMessage: ({ open: since }) => { if (since) { last = since; open(since); } } };
}
