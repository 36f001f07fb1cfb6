// Lines of numbers: the small ones in cards, and the pulse of the whole.
import { $, svg } from "./dom.js";
import { now, state } from "./store.js";

export function spark() {
  const path = svg("path", {});
  const element = svg("svg", { class: "spark", viewBox: "0 0 100 16", preserveAspectRatio: "none", "aria-hidden": "true" }, path);
  return { element, path };
}

// The last two minutes of a row of numbers; the highest touches the top.
export function draw(path, values, height = 16, points = 240, isFromZero = true) {
  if (!values || values.length < 2) return path.setAttribute("d", `M0 ${height - 1.5}H100`);
  const high = Math.max(...values);
  const low = isFromZero ? 0 : Math.min(...values);
  const span = Math.max(high - low, isFromZero ? 1 : 1e-9);
  const step = 100 / (points - 1);
  const first = 100 - (values.length - 1) * step;
  const stride = Math.max(1, Math.floor(values.length / 80));
  let d = "";
  for (let place = 0; place < values.length; place += stride) {
    const y = height - 1.5 - ((values[place] - low) / span) * (height - 3);
    d += `${d ? "L" : "M"}${(first + place * step).toFixed(1)} ${y.toFixed(1)}`;
  }
  return path.setAttribute("d", d);
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function drawPulse() {
  const canvas = $("pulse");
  if (!canvas) return; // a panel alone
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const at = now();
  const x = (when) => width - ((at - when) / 120) * width;
  const high = Math.max(1, ...state.pulse.map((each) => each.value));
  const y = (value) => height - 2 - (value / high) * (height - 24);
  if (state.pulse.length > 1) {
    pen.beginPath();
    state.pulse.forEach((each, place) => (place ? pen.lineTo(x(each.at), y(each.value)) : pen.moveTo(x(each.at), y(each.value))));
    pen.strokeStyle = colour("--accent");
    pen.lineWidth = 1.6;
    pen.stroke();
    pen.lineTo(x(state.pulse.at(-1).at), height);
    pen.lineTo(x(state.pulse[0].at), height);
    pen.globalAlpha = 0.13;
    pen.fillStyle = colour("--accent");
    pen.fill();
    pen.globalAlpha = 1;
  }
  for (const mark of state.marks) {
    pen.fillStyle = colour(mark.bad ? "--bad" : "--ok");
    pen.fillRect(x(mark.at) - 0.75, 8, 1.5, height - 8);
    pen.beginPath();
    pen.arc(x(mark.at), 8, 3.5, 0, 7);
    pen.fill();
  }
}
