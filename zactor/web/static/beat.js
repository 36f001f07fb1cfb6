// The beat: what moves and what changes often is drawn together, ten times a second, in one frame.
// Each on its own would have all of the page laid out and painted for every number that changes.
const BEAT_MS = 100;
const OFTEN_MS = 250; // what changed so lately waits for the beat; else it is drawn at once

const waiting = new Map(); // what -> its draw
const drawn = new Map(); // what -> when
let timer = 0;
let last = 0;

export function onBeat(what, draw) {
  const at = performance.now();
  if (at - (drawn.get(what) ?? -OFTEN_MS) >= OFTEN_MS) {
    drawn.set(what, at);
    return draw();
  }
  waiting.set(what, draw);
  timer ||= setTimeout(beat, Math.max(0, last + BEAT_MS - at));
  return undefined;
}

function beat() {
  timer = 0;
  last = performance.now();
  const all = [...waiting];
  waiting.clear();
  for (const [what, draw] of all) {
    drawn.set(what, last);
    draw();
  }
}
