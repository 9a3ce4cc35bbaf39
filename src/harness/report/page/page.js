"use strict";
// What a run's report shows beside its text. Entries are in the order of the run; a cause is the place of an entry.
const read = id => JSON.parse(document.getElementById(id).textContent);
// Of the two runs in the page one is shown: `#passing` is the other one. Behind a comma stands what part of it.
const [which, ...shownPart] = location.hash.slice(1).split(",");
const data = which === "passing" && read("passing") || read("data");
const E = data.entries, N = E.time.length, lanes = data.nodes.length;
const EVENT = 0, MESSAGE = 1, LOST = 2, OTHER = 3;
const byId = id => document.getElementById(id);
const canvas = byId("diagram"), ink = canvas.getContext("2d", { alpha: false });
const style = getComputedStyle(document.documentElement);
// Above the lanes: times, faults, and how often the run fails that goes other ways from a moment on.
const CURVE = data.outlooks.length > 0 ? 34 : 0;
const LANE_MIN = 22, TOP = 26 + CURVE, REACH = 6, FOUND_MAX = 5000;

const state = {
  from: 0, to: 1, byOrder: false, kind: "all", onlyCauses: false, picked: -1, found: [], at: -1,
  off: new Set(),
};
const seconds = (us, digits = 3) => (us / 1e6).toFixed(digits) + "s";
const text = place => data.strings[E.text[place]];
const node = index => data.nodes[index];

// The chain that led to the failure, and whatever is picked.
const chain = [];
for (let place = data.broke; place >= 0; place = E.cause[place]) chain.push(place);
const inChain = new Uint8Array(N);
chain.forEach(place => { inChain[place] = 1; });
// The chain that led to the event with which it is in conflict, as far as it is another one.
const chainBefore = [];
for (let place = data.before; place >= 0 && !inChain[place]; place = E.cause[place]) chainBefore.push(place);
chainBefore.forEach(place => { inChain[place] = 1; });
const effects = new Map();
for (let place = 0; place < N; place++) {
  const cause = E.cause[place];
  if (cause >= 0) effects.has(cause) ? effects.get(cause).push(place) : effects.set(cause, [place]);
}
// The place behind which an entry was sent, for the view by order.
const sentPlace = new Float64Array(N);
for (let place = 0; place < N; place++) {
  sentPlace[place] = E.kind[place] === MESSAGE ? firstAt(E.sent[place]) : place;
}
// The earliest moment at which any entry from each place on was sent: how far behind the view drawing has to look.
const earliest = new Float64Array(N + 1);
earliest[N] = Infinity;
for (let place = N - 1; place >= 0; place--) {
  earliest[place] = Math.min(earliest[place + 1], E.sent[place]);
}

function firstAt(time) {
  let low = 0, high = N;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (E.time[middle] < time) low = middle + 1; else high = middle;
  }
  return low;
}

const whole = () => state.byOrder ? Math.max(N, 1) : Math.max(data.end, 1);
const x = value => (value - state.from) / (state.to - state.from) * canvas.clientWidth;
const came = place => state.byOrder ? place : E.time[place];
const sent = place => state.byOrder ? sentPlace[place] : E.sent[place];
const atTime = time => state.byOrder ? firstAt(time) : time;
const height = () => Math.max(LANE_MIN, (canvas.clientHeight - TOP) / Math.max(lanes, 1));
const y = lane => TOP + (lane + 0.5) * height();
const color = name => style.getPropertyValue("--" + name).trim();

function isShown(place) {
  if (!state.onlyCauses && state.kind === "all" && state.off.size === 0) return true;
  if (state.onlyCauses && !inChain[place]) return false;
  if (state.off.has(E.node[place])) return false;
  if (E.peer[place] >= 0 && state.off.has(E.peer[place])) return false;
  switch (state.kind) {
    case "all": return true;
    case "events": return E.kind[place] === EVENT;
    case "messages": return E.kind[place] === MESSAGE || E.kind[place] === LOST;
    case "lost": return E.kind[place] === LOST;
    default: return text(place).startsWith(state.kind);
  }
}

let wanted = false;
function draw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => { wanted = false; paint(); });
}

function paint() {
  const ratio = window.devicePixelRatio || 1;
  const [width, tall] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(tall * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(tall * ratio);
  }
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  ink.fillStyle = color("ground");
  ink.fillRect(0, 0, width, tall);
  paintFaults(width);
  paintLanes(width);
  paintEntries();
  paintBars();
  paintChain();
  paintTime(width);
  paintOutlooks(width);
}

function paintLanes(width) {
  ink.lineWidth = 1;
  ink.strokeStyle = color("line");
  ink.beginPath();
  for (let lane = 0; lane < lanes; lane++) {
    const at = Math.round(y(lane)) + 0.5;
    ink.moveTo(0, at);
    ink.lineTo(width, at);
  }
  ink.stroke();
}

function paintFaults(width) {
  const tall = height();
  ink.fillStyle = color("fault");
  for (const fault of data.faults) {
    const [left, right] = [x(atTime(fault.from)), x(atTime(fault.to))];
    if (right < 0 || left > width) continue;
    const span = Math.max(right - left, 2);
    ink.globalAlpha = 0.13;
    for (const lane of fault.nodes) ink.fillRect(left, y(lane) - tall / 2 + 1, span, tall - 2);
    ink.globalAlpha = 0.9;
    ink.fillRect(left, 18, span, 4);
  }
  ink.globalAlpha = 1;
}

const GROUPS = { leader: ["leads", 0], attempt: ["attempt", 1], checkpoint: ["checkpoint", 2] };
function paintBars() {
  const tall = Math.min(5, height() / 5);
  for (const bar of data.bars) {
    if (state.off.has(bar.node)) continue;
    const [name, row] = GROUPS[bar.group] || ["faint", 1];
    const [left, right] = [x(atTime(bar.from)), x(atTime(bar.to))];
    if (right < 0 || left > canvas.clientWidth) continue;
    ink.fillStyle = color(name);
    ink.globalAlpha = 0.75;
    ink.fillRect(left, y(bar.node) + 3 + row * (tall + 1), Math.max(right - left, 1.5), tall);
  }
  ink.globalAlpha = 1;
}

// One line for all that would lie on the same pixels.
function paintEntries() {
  const last = state.byOrder ? Math.min(N, Math.ceil(state.to) + 1) : firstAt(state.to);
  let first = state.byOrder ? Math.max(0, Math.floor(state.from)) : firstAt(state.from);
  const [events, messages, lost] = [new Path2D(), new Path2D(), new Path2D()];
  // What was drawn last of each lane, and of each pair of them: they come in the order of time.
  const [ofLane, ofPair] = [new Float64Array(lanes).fill(-1), new Float64Array(lanes * lanes).fill(-1)];
  const [scale, begin] = [canvas.clientWidth / (state.to - state.from), state.from];
  const ys = Float64Array.from({ length: lanes }, (_, lane) => y(lane));
  let count = 0;
  const onto = place => {
    if (!isShown(place)) return;
    const right = (came(place) - begin) * scale, kind = E.kind[place], lane = E.node[place];
    if (kind === EVENT || kind === OTHER) {
      if (ofLane[lane] === Math.round(right)) return;
      ofLane[lane] = Math.round(right);
      events.rect(right - 0.75, ys[lane] - 4, 1.5, 8);
      return;
    }
    const left = (sent(place) - begin) * scale, peer = E.peer[place];
    const pixels = Math.round(left) * 65536 + Math.round(right);
    if (ofPair[lane * lanes + peer] === pixels && kind !== LOST) return;
    ofPair[lane * lanes + peer] = pixels;
    count += 1;
    const path = kind === LOST ? lost : messages;
    path.moveTo(left, ys[lane]);
    if (kind === LOST) {
      // It breaks off on its way, with a cross at its end.
      const [endX, endY] = [left + 10, ys[lane] + (ys[peer] - ys[lane]) * 0.45];
      path.lineTo(endX, endY);
      path.moveTo(endX - 3, endY - 3); path.lineTo(endX + 3, endY + 3);
      path.moveTo(endX - 3, endY + 3); path.lineTo(endX + 3, endY - 3);
    } else {
      path.lineTo(right, ys[peer]);
    }
  };
  for (let place = first; place < last; place++) onto(place);
  // What was sent before the end of the view and came behind it.
  const limit = state.byOrder ? (E.time[Math.min(last, N - 1)] || 0) : state.to;
  for (let place = last, steps = 0; place < N && earliest[place] < limit && steps < 20000; place++, steps++) {
    if (E.kind[place] === MESSAGE && E.sent[place] < limit) onto(place);
  }
  ink.lineWidth = 0.8;
  // Where there are very many, each counts for less.
  ink.globalAlpha = Math.min(0.6, Math.max(0.06, 150 / count));
  ink.strokeStyle = color("message");
  ink.stroke(messages);
  ink.globalAlpha = 1;
  ink.strokeStyle = color("lost");
  ink.lineWidth = 1.3;
  ink.stroke(lost);
  ink.fillStyle = color("event");
  ink.fill(events);
}

function paintChain() {
  const isOfBoth = state.picked < 0 || state.picked === data.broke || state.picked === data.before;
  const marks = isOfBoth ? [...chain, ...chainBefore] : chainOf(state.picked);
  const heads = isOfBoth ? [data.broke, data.before] : [state.picked];
  ink.strokeStyle = color("mark");
  ink.fillStyle = color("mark");
  ink.lineWidth = 2;
  ink.beginPath();
  for (const place of marks) {
    if (E.kind[place] === MESSAGE) {
      ink.moveTo(x(sent(place)), y(E.node[place]));
      ink.lineTo(x(came(place)), y(E.peer[place]));
    }
  }
  ink.stroke();
  marks.forEach(place => {
    const lane = E.kind[place] === MESSAGE ? E.peer[place] : E.node[place];
    ink.beginPath();
    ink.arc(x(came(place)), y(lane), heads.includes(place) ? 5 : 3, 0, 7);
    ink.fill();
  });
  for (const place of state.found) {
    const lane = E.kind[place] === MESSAGE ? E.peer[place] : E.node[place];
    ink.strokeRect(x(came(place)) - 3, y(lane) - 7, 6, 14);
  }
}

function paintTime(width) {
  ink.fillStyle = color("faint");
  ink.font = "11px system-ui, sans-serif";
  ink.textAlign = "center";
  const steps = Math.max(2, Math.floor(width / 110));
  const apart = (state.to - state.from) / steps;
  const digits = apart >= 1e6 ? 1 : apart >= 1e4 ? 2 : apart >= 1e3 ? 3 : 6;
  for (let step = 0; step <= steps; step++) {
    const value = state.from + (state.to - state.from) * step / steps;
    const label = state.byOrder ? "#" + Math.round(value) : seconds(Math.max(value, 0), digits);
    ink.fillText(label, Math.min(Math.max(width * step / steps, 28), width - 28), 12);
  }
  if (data.brokeAt !== null) upright(data.brokeAt, "bad", "");
  if (data.partsAt !== null) upright(data.partsAt, "mark", "from here on the runs differ");
}

function upright(time, name, label) {
  const at = x(atTime(time));
  ink.strokeStyle = color(name);
  ink.lineWidth = 1;
  ink.setLineDash([4, 3]);
  ink.beginPath(); ink.moveTo(at, TOP - 6); ink.lineTo(at, canvas.clientHeight); ink.stroke();
  ink.setLineDash([]);
  ink.fillStyle = color(name);
  ink.textAlign = at > canvas.clientWidth / 2 ? "right" : "left";
  ink.fillText(label, at + (at > canvas.clientWidth / 2 ? -4 : 4), canvas.clientHeight - 6);
}

// From each moment on up to the next: the share of the runs that fail.
function paintOutlooks(width) {
  if (CURVE === 0) return;
  const level = share => TOP - 8 - share * (CURVE - 14);
  ink.strokeStyle = color("bad");
  ink.lineWidth = 1.5;
  ink.beginPath();
  data.outlooks.forEach((one, place) => {
    const at = x(atTime(one.time));
    place === 0 ? ink.moveTo(at, level(one.share)) : ink.lineTo(at, level(one.share));
    const next = data.outlooks[place + 1];
    ink.lineTo(x(atTime(next ? next.time : data.brokeAt ?? data.end)), level(one.share));
  });
  ink.stroke();
  ink.fillStyle = color("bad");
  for (const one of data.outlooks) {
    ink.fillRect(x(atTime(one.time)) - 2, level(one.share) - 2, 4, 4);
  }
  ink.fillStyle = color("faint");
  ink.font = "11px system-ui, sans-serif";
  ink.textAlign = "left";
  const shown = data.outlooks.filter(one => x(atTime(one.time)) <= width * 0.5).at(-1) || data.outlooks[0];
  ink.fillText(`share of other ways that fail; ${shown.failed} by the middle of this view`, 4, TOP - CURVE + 8);
}
function tellOutlooks() {
  const head = document.createElement("h2"), all = document.createElement("ol");
  head.textContent = "When it was lost: other ways from each moment on, and how many fail";
  for (const one of data.outlooks) {
    const [row, button] = [document.createElement("li"), document.createElement("button")];
    const when = document.createElement("span");
    when.className = "when";
    when.textContent = seconds(one.time);
    button.append(when, `${one.failed} fail: ${one.what}`);
    button.addEventListener("click", () => center(firstAt(one.time)));
    row.append(button);
    all.append(row);
  }
  byId("detail").replaceChildren(head, all);
}

const chainOf = place => {
  const found = [];
  for (; place >= 0; place = E.cause[place]) found.push(place);
  return found;
};

function view(from, to) {
  const least = state.byOrder ? 4 : 20;
  const span = Math.min(Math.max(to - from, least), whole() * 1.02);
  const begin = Math.min(Math.max(from, -0.01 * whole()), Math.max(1.01 * whole() - span, 0));
  [state.from, state.to] = [begin, begin + span];
  draw();
}
const zoom = (factor, at = (state.from + state.to) / 2) =>
  view(at - (at - state.from) * factor, at + (state.to - at) * factor);
const pan = share => {
  const by = share * (state.to - state.from);
  view(state.from + by, state.to + by);
};
const showWhole = () => view(0, whole());
function center(place) {
  const span = state.to - state.from, at = came(place);
  if (at < state.from || at > state.to) view(at - span / 2, at + span / 2); else draw();
}
function showFailure() {
  if (chain.length === 0) return showWhole();
  const end = came(chain[0]), begin = came(chain[Math.min(chain.length - 1, 8)]);
  const margin = Math.max((end - begin) * 0.15, state.byOrder ? 20 : 50000);
  view(begin - margin, end + margin);
  pick(chain[0]);
}

function words(place) {
  const kind = E.kind[place];
  if (kind === MESSAGE) return `${node(E.node[place])} → ${node(E.peer[place])}: ${text(place)}`;
  if (kind === LOST) return `${node(E.node[place])} ⇥ ${node(E.peer[place])}: ${text(place)}`;
  return `${node(E.node[place])}: ${text(place)}`;
}
function item(place) {
  const row = document.createElement("li"), button = document.createElement("button");
  const when = document.createElement("span");
  when.className = "when";
  when.textContent = seconds(E.time[place]);
  button.append(when, words(place));
  button.addEventListener("click", () => { pick(place); center(place); });
  row.append(button);
  return row;
}
function list(title, places, most = 40) {
  const parts = [];
  const head = document.createElement("h2");
  head.textContent = places.length > most ? `${title} (${most} of ${places.length})` : title;
  const all = document.createElement("ol");
  all.append(...places.slice(0, most).map(item));
  if (places.length > 0) parts.push(head, all);
  return parts;
}
function pick(place) {
  state.picked = place;
  const detail = byId("detail");
  detail.replaceChildren();
  if (place >= 0) {
    const head = document.createElement("h2");
    head.textContent = `${seconds(E.time[place])}  ${words(place)}`;
    detail.append(head);
    if (E.kind[place] === MESSAGE) {
      const took = document.createElement("p");
      took.textContent = `sent at ${seconds(E.sent[place])}, ${((E.time[place] - E.sent[place]) / 1000).toFixed(1)} ms on its way`;
      detail.append(took);
    }
    detail.append(...list("What led to it, the last step first", chainOf(place).slice(1)));
    detail.append(...list("What it led to", effects.get(place) || []));
    const under = data.faults.filter(fault => fault.from <= E.time[place] && fault.to >= E.time[place]);
    if (under.length > 0) {
      const head = document.createElement("h2");
      head.textContent = "Faults in force";
      const all = document.createElement("ol");
      for (const fault of under) {
        const row = document.createElement("li");
        row.textContent = `${seconds(fault.from)} to ${seconds(fault.to)}  ${fault.what}`;
        all.append(row);
      }
      detail.append(head, all);
    }
  }
  draw();
}

function search() {
  const wanted = byId("search").value.trim().toLowerCase();
  state.found = [];
  state.at = -1;
  if (wanted !== "") {
    const names = data.nodes.map(name => name.toLowerCase().includes(wanted));
    const hits = data.strings.map(words => words.toLowerCase().includes(wanted));
    for (let place = 0; place < N && state.found.length < FOUND_MAX; place++) {
      const met = hits[E.text[place]] || names[E.node[place]] || E.peer[place] >= 0 && names[E.peer[place]];
      if (met && isShown(place)) state.found.push(place);
    }
  }
  byId("found").textContent = wanted === "" ? "" : `${state.found.length}${state.found.length < FOUND_MAX ? "" : " or more"} found`;
  draw();
}
function step(by) {
  const among = state.found.length > 0 ? state.found : [...chain].reverse();
  if (among.length === 0) return;
  state.at = state.at < 0 ? (by > 0 ? 0 : among.length - 1) : (state.at + by + among.length) % among.length;
  pick(among[state.at]);
  center(among[state.at]);
}

function nearest(atX, atY) {
  let [best, least] = [-1, REACH * REACH];
  const [from, to] = [state.from, state.to];
  const per = (to - from) / canvas.clientWidth;
  const low = state.byOrder ? Math.max(0, Math.floor(from)) : firstAt(from);
  const high = Math.min(N, (state.byOrder ? Math.ceil(to) : firstAt(to + 200 * per)) + 400);
  for (let place = low; place < high; place++) {
    if (!isShown(place)) continue;
    const right = x(came(place)), lane = E.node[place];
    let distance;
    if (E.kind[place] === EVENT || E.kind[place] === OTHER) {
      distance = (right - atX) ** 2 + ((y(lane) - atY) / 2) ** 2;
    } else {
      const lost = E.kind[place] === LOST, left = x(sent(place));
      const [endX, endY] = lost
        ? [left + 10, y(lane) + (y(E.peer[place]) - y(lane)) * 0.45] : [right, y(E.peer[place])];
      distance = toLine(atX, atY, left, y(lane), endX, endY) + 4;
    }
    if (distance < least) [best, least] = [place, distance];
  }
  return best;
}
function barAt(atX, atY) {
  const tall = Math.min(5, height() / 5);
  return data.bars.find(bar => {
    const top = y(bar.node) + 3 + (GROUPS[bar.group] || ["", 1])[1] * (tall + 1);
    return atY >= top - 1 && atY <= top + tall + 1 && atX >= x(atTime(bar.from)) && atX <= x(atTime(bar.to));
  });
}
function tellBar(bar) {
  const head = document.createElement("h2");
  head.textContent = `${node(bar.node)}: ${bar.label}`;
  const when = document.createElement("p");
  when.textContent = `${seconds(bar.from)} to ${seconds(bar.to)}`;
  byId("detail").replaceChildren(head, when);
}
function toLine(px, py, ax, ay, bx, by) {
  const [dx, dy] = [bx - ax, by - ay], length = dx * dx + dy * dy;
  const share = length === 0 ? 0 : Math.min(1, Math.max(0, ((px - ax) * dx + (py - ay) * dy) / length));
  return (px - ax - share * dx) ** 2 + (py - ay - share * dy) ** 2;
}

function setUp() {
  byId("verdict").textContent = data.verdict;
  byId("verdict").className = data.broke >= 0 || data.isFailure ? "bad" : "";
  byId("promise").textContent = data.promise;
  for (const [name, words] of data.conflict) {
    const [term, told] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    told.textContent = words;
    byId("conflict").append(term, told);
  }
  byId("origin").textContent = data.origin;
  const kinds = [["all", "events and messages"], ["events", "events"], ["messages", "messages"], ["lost", "lost messages"]];
  for (const kind of data.messages) kinds.push([kind, kind + " …"]);
  for (const [value, words] of kinds) byId("kind").append(new Option(words, value));
  const legend = [["event", "event"], ["message", "message"], ["lost", "lost, late or damaged"], ["fault", "fault"],
    ["leads", "leads"], ["attempt", "attempt"], ["checkpoint", "checkpoint"], ["mark", "what led to it"]];
  const groups = new Set(data.bars.map(bar => bar.group));
  for (const [name, words] of legend) {
    const group = { leads: "leader", attempt: "attempt", checkpoint: "checkpoint" }[name];
    if (group && !groups.has(group)) continue;
    const [sign, all] = [document.createElement("i"), document.createElement("span")];
    sign.style.background = `var(--${name})`;
    all.append(sign, words);
    byId("legend").append(all);
  }
  data.nodes.forEach((name, lane) => {
    const [label, box] = [document.createElement("label"), document.createElement("input")];
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => {
      box.checked ? state.off.delete(lane) : state.off.add(lane);
      label.className = box.checked ? "" : "off";
      search();
    });
    label.append(box, " " + name);
    label.title = name;
    byId("lanes").append(label);
  });
  if (read("passing")) {
    byId("other").hidden = false;
    byId("other").textContent = which === "passing" ? "the run that fails" : "the nearest run that passes";
  }
  place();
  const [from, to] = shownPart.map(Number);
  showWhole();
  if (to > from) view(from, to); else if (data.broke >= 0) showFailure();
}
function place() {
  canvas.style.minHeight = `${TOP + lanes * LANE_MIN}px`;
  [...byId("lanes").children].forEach((label, lane) => {
    label.style.top = `${y(lane) - 10}px`;
  });
}

canvas.addEventListener("wheel", event => {
  event.preventDefault();
  const at = state.from + event.offsetX / canvas.clientWidth * (state.to - state.from);
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / 600);
  else zoom(Math.exp(event.deltaY / 400), at);
}, { passive: false });
let dragged = null;
canvas.addEventListener("pointerdown", event => {
  dragged = { x: event.offsetX, from: state.from, to: state.to, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", event => {
  if (!dragged) return;
  const by = (dragged.x - event.offsetX) / canvas.clientWidth * (dragged.to - dragged.from);
  if (Math.abs(dragged.x - event.offsetX) > 3) dragged.moved = true;
  if (dragged.moved) view(dragged.from + by, dragged.to + by);
});
canvas.addEventListener("pointerup", event => {
  if (dragged && !dragged.moved) {
    if (event.offsetY < TOP && event.offsetY > TOP - CURVE) return void (dragged = null, tellOutlooks());
    const [place, bar] = [nearest(event.offsetX, event.offsetY), barAt(event.offsetX, event.offsetY)];
    pick(place);
    if (place < 0 && bar) tellBar(bar);
  }
  dragged = null;
});
canvas.addEventListener("pointercancel", () => { dragged = null; });
const KEYS = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1.6),
  Home: showWhole, f: showFailure, n: () => step(1), p: () => step(-1), o: () => byId("order").click(), c: () => byId("causes").click(),
  b: () => byId("other").click(), "/": () => byId("search").focus(), Escape: () => pick(-1),
};
document.addEventListener("keydown", event => {
  const typing = event.target.tagName === "INPUT" && event.target.type === "search" || event.target.tagName === "SELECT";
  if (typing && event.key === "Escape") return event.target.blur();
  if (typing && event.key === "Enter") return step(1);
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});
byId("search").addEventListener("input", search);
byId("kind").addEventListener("change", event => { state.kind = event.target.value; search(); });
byId("in").addEventListener("click", () => zoom(0.6));
byId("out").addEventListener("click", () => zoom(1.6));
// The same part of the other run, so that what differs is what jumps.
byId("other").addEventListener("click", () => {
  const [from, to] = state.byOrder ? [0, 0] : [state.from, state.to];
  if (byId("other").hidden) return;
  location.hash = `${which === "passing" ? "failing" : "passing"},${Math.round(from)},${Math.round(to)}`;
  location.reload();
});
byId("whole").addEventListener("click", showWhole);
byId("failure").addEventListener("click", showFailure);
byId("causes").addEventListener("click", () => {
  state.onlyCauses = !state.onlyCauses;
  byId("causes").setAttribute("aria-pressed", state.onlyCauses);
  search();
});
byId("order").addEventListener("click", () => {
  const [from, to] = state.byOrder
    ? [E.time[Math.max(0, Math.min(N - 1, Math.floor(state.from)))] || 0, E.time[Math.max(0, Math.min(N - 1, Math.ceil(state.to)))] || data.end]
    : [firstAt(state.from), firstAt(state.to)];
  state.byOrder = !state.byOrder;
  byId("order").setAttribute("aria-pressed", state.byOrder);
  view(from, Math.max(to, from + 1));
});

// How long it took to open, and what frames take while the view moves: `report.html#measure` says it in the page.
function measure() {
  const opened = performance.now(), frames = [];
  showWhole();
  for (let number = 0; number < 120; number++) {
    const began = performance.now();
    number % 40 < 20 ? zoom(0.8) : zoom(1.25);
    pan(0.01);
    paint();
    // Until it is read nothing needs to be drawn.
    ink.getImageData(0, 0, 1, 1);
    frames.push(performance.now() - began);
  }
  frames.sort((a, b) => a - b);
  const at = share => Math.round(frames[Math.floor(frames.length * share)] * 10) / 10;
  document.body.dataset.measured = JSON.stringify({
    entries: N, opened: Math.round(opened), median: at(0.5), p95: at(0.95),
  });
}
new ResizeObserver(() => { place(); draw(); }).observe(canvas);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
setUp();
if (location.hash === "#measure") window.addEventListener("load", measure);
