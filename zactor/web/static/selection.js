// What is chosen: an actor, a wire, a node, or nothing; and what is near it.
import { state } from "./store.js";

export const chosen = { kind: "", key: "" };
const listeners = [];
export const onChoice = (listener) => listeners.push(listener);

export function choose(kind, key = "") {
  chosen.kind = kind;
  chosen.key = key;
  listeners.forEach((listener) => listener());
}

export function isThere() {
  if (chosen.kind === "actor") return chosen.key in state.actors;
  if (chosen.kind === "wire") return chosen.key in state.wires;
  if (chosen.kind === "node") return chosen.key in state.nodes || Object.values(state.actors).some((row) => row.node === chosen.key);
  return true;
}

export function neighbours() {
  const actors = new Set();
  const wires = new Set();
  if (chosen.kind === "actor" || chosen.kind === "wire") {
    for (const [key, wire] of Object.entries(state.wires)) {
      const isNear = chosen.kind === "wire" ? key === chosen.key : wire.emitter === chosen.key || wire.reactor === chosen.key;
      if (!isNear) continue;
      wires.add(key);
      actors.add(wire.emitter).add(wire.reactor);
    }
  }
  return { actors, wires };
}
