// netwatch: makes pages live that read without it. The server draws everything; when something happened, the same page is
// fetched again and what is marked with data-live takes its new form. Charts move each second by what the stream tells.
// Nothing from the stream is ever read as markup.

const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const page = document.documentElement;
const body = document.body;
const topics = (body.dataset.topics || "").split(",").filter(Boolean);
// What the server's clock is ahead of this one.
const ahead = Number(body.dataset.now || Date.now()) - Date.now();
const NOBREAK = "\u00a0";

// ---- Theme: as the system has it, unless somebody chose.

const THEMES = { "": "as the system has it", light: "light", dark: "dark" };

function stored(name, value) {
  // Storage may be forbidden; then the choice lasts as long as the page.
  try {
    return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value);
  } catch {
    return null;
  }
}

function setTheme(name) {
  const theme = name in THEMES ? name : "";
  if (theme) page.dataset.theme = theme;
  else delete page.dataset.theme;
  const label = `Theme: ${THEMES[theme]}`;
  const button = find("#theme");
  if (!button) return;
  button.title = label;
  button.setAttribute("aria-label", label);
}

function nextTheme() {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(page.dataset.theme || "") + 1) % names.length];
  stored("theme", next);
  setTheme(next);
}

// ---- Numbers and times, as the server writes them.

function scaled(number, unit) {
  let [rest, step] = [Number.isFinite(number) ? Math.max(0, number) : 0, 0];
  if (rest >= (unit ? 999.5 : 9999.5)) {
    while (rest >= 999.95 && step < 6) {
      rest /= 1000;
      step += 1;
    }
  }
  const whole = step ? rest >= 99.95 : rest >= 10 || Number.isInteger(rest);
  const text = whole ? Math.round(rest).toLocaleString("en-US") : rest.toFixed(1);
  const suffix = ["", "k", "M", "G", "T", "P", "E"][step] + unit;
  return suffix ? text + NOBREAK + suffix : text;
}

const short = (number) => scaled(number, "");
const bits = (bytes) => scaled(bytes * 8, "bit/s");

function ago(then) {
  const seconds = Math.floor((Date.now() + ahead - then) / 1000);
  if (!(seconds >= 1)) return "now";
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const unit = (number, name) => number + NOBREAK + name;
  if (seconds < 60) return `${unit(seconds, "s")} ago`;
  if (hours < 1) return `${unit(minutes, "min")} ago`;
  if (hours >= 24) return `${unit(Math.floor(hours / 24), "d")} ago`;
  return `${unit(hours, "h")}${minutes % 60 ? ` ${unit(minutes % 60, "min")}` : ""} ago`;
}

function tick() {
  if (document.hidden) return;
  for (const time of all("time[data-ago]")) {
    const text = ago(Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

// ---- A new form for what is there: nodes stay where they can, so focus, selection and place do, too.

// The script itself keeps these up to date while it gets rates; a chart as long as the server draws the same lines.
const lines = (chart) => all("[data-line]", chart).map((line) => line.dataset.line).join("\n");
const isOwn = (old, fresh) => rates.length
  && (old.matches("[data-rate], .legend .value") || (old.matches("[data-chart]") && lines(old) === lines(fresh)));

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(document.adoptNode(fresh));
  if (old.nodeType !== Node.ELEMENT_NODE) return void (old.nodeValue = fresh.nodeValue);
  if (isOwn(old, fresh)) {
    const [was, is] = [find("desc", old), find("desc", fresh)];
    if (was && is) was.textContent = is.textContent;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // What is open was opened by somebody.
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const keyed = new Map(all(":scope > [data-key]", old).map((child) => [child.dataset.key, child]));
  let place = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = next.dataset?.key;
    const fits = place && place.dataset?.key === undefined && place.nodeName === next.nodeName;
    const same = key === undefined ? fits && place : keyed.get(key);
    if (!same) {
      const added = document.adoptNode(next);
      old.insertBefore(added, place);
      if (key !== undefined && added.matches("li")) added.classList.add("is-new");
      continue;
    }
    // What is gone makes way first, so that what stays need not move.
    while (place && place !== same && place.dataset?.key !== undefined && !hasKey(fresh, place.dataset.key)) place = drop(place);
    if (same === place) place = place.nextSibling;
    else old.insertBefore(same, place);
    morph(same, next);
  }
  while (place) place = drop(place);
}

const hasKey = (parent, key) => parent.querySelector(`:scope > [data-key="${CSS.escape(key)}"]`) !== null;

// Whether somebody writes in it, which nothing may take away.
function isWritten(part, field) {
  return part.contains(field) && field.matches("input, textarea") && field.value !== field.defaultValue;
}

function apply(fresh) {
  const focused = document.activeElement;
  for (const part of all("[data-live]")) {
    const next = find(`[data-live="${CSS.escape(part.dataset.live)}"]`, fresh);
    if (next && part.isConnected && !isWritten(part, focused)) morph(part, next);
  }
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  ready();
  showOpen();
  showRates();
}

const ask = (address) => fetch(address, { cache: "no-store", signal: AbortSignal.timeout(15000) });

let [loading, again] = [false, false];
let [waiting, loaded] = [0, -Infinity];

// The page anew: at once, then twice a second at most; in the background not before somebody looks. Many who look ask a
// little apart.
function refresh() {
  if (document.hidden || loading) again = true;
  else waiting ||= setTimeout(load, Math.max(0, loaded + 500 - performance.now()) + Math.random() * 150);
}

async function load() {
  waiting = 0;
  loading = true;
  again = false;
  loaded = performance.now();
  try {
    const answer = await ask(location.href);
    if (answer.status === 401 || answer.redirected) return location.reload();
    if (answer.ok) apply(new DOMParser().parseFromString(await answer.text(), "text/html"));
    setStale(answer.ok ? "" : answer.status);
  } catch {
    setStale("no answer");
  } finally {
    loading = false;
  }
  if (again) refresh();
}

// ---- How many incidents are open, in the title.

const title = document.title;

function showOpen() {
  const open = find("[data-open]")?.dataset.open;
  if (open !== undefined) document.title = Number(open) > 0 ? `(${open}) ${title}` : title;
}

// ---- Charts.

const KEPT = 320;
let rates = [];

function fromColumns({ at_ms, interfaces }) {
  return at_ms.map((at, place) => {
    const point = { at, interfaces: new Map() };
    for (const { name, packets_per_s, bytes_per_s, classes } of interfaces) {
      const of = Object.entries(classes).map(([key, values]) => [key, values[place]]);
      const one = { packets_per_s: packets_per_s[place], bytes_per_s: bytes_per_s[place], classes: new Map(of) };
      point.interfaces.set(name, one);
    }
    return point;
  });
}

function fromEvent({ at_ms, interfaces }) {
  const of = interfaces.map((one) => [one.name, { ...one, classes: new Map(Object.entries(one.classes)) }]);
  return { at: at_ms, interfaces: new Map(of) };
}

const sum = (point, of) => [...point.interfaces.values()].reduce((total, one) => total + (of(one) || 0), 0);

function roundTop(most) {
  const value = Math.max(1, Number.isFinite(most) ? most : 1);
  const size = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8, 10].find((step) => step * size >= value * (1 - 1e-9)) ?? 10) * size;
}

// Runs of neighbours for which isIn says so, without gaps in time.
function runs(points, isIn) {
  const found = [];
  points.forEach((point, place) => {
    if (!isIn(place)) return;
    const run = found.at(-1);
    if (run && run.at(-1) === place - 1 && point.at - points[place - 1].at <= 5000) run.push(place);
    else found.push([place]);
  });
  return found;
}

function draw(svg) {
  const last = rates.at(-1);
  if (!last) return;
  const isStacked = svg.dataset.chart === "classes";
  const span = Number(svg.dataset.span);
  const points = rates.filter((point) => point.at >= last.at - span);
  const value = isStacked
    ? (point, name) => sum(point, (one) => one.classes.get(name))
    : (point, name) => point.interfaces.get(name)?.packets_per_s || 0;
  let below = points.map(() => 0);
  let most = 0;
  const series = all("[data-line]", svg).map((line) => {
    const values = points.map((point) => value(point, line.dataset.line));
    const high = values.map((one, place) => one + (isStacked ? below[place] : 0));
    const low = isStacked ? below : values.map(() => 0);
    below = high;
    most = Math.max(most, ...high);
    return { line, values, low, high };
  });
  const top = roundTop(most);
  const x = (place) => Math.round(3000 * (1 - (last.at - points[place].at) / span));
  const y = (height) => Math.round(200 - (200 * height) / top);
  for (const { line, values, low, high } of series) {
    const { line: name } = line.dataset;
    const path = (run, of) => run.map((place) => `${x(place)} ${y(of[place])}`);
    const some = values.some((one) => one > 0);
    const isNear = (place) => [place - 1, place, place + 1].some((near) => values[near] > 0);
    const edges = some || !isStacked ? runs(points, isStacked ? isNear : () => true) : [];
    const areas = some ? runs(points, () => true).filter((run) => run.length > 1) : [];
    line.setAttribute("d", edges.map((run) => `M${path(run, high).join("L")}${run.length > 1 ? "" : "h6"}`).join(""));
    const outline = (run) => [...path(run, high), ...path([...run].reverse(), low)];
    line.previousElementSibling.setAttribute("d", areas.map((run) => `M${outline(run).join("L")}Z`).join(""));
    const entry = find(`[data-legend="${CSS.escape(name)}"]`, svg.closest("figure"));
    if (!entry) continue;
    entry.classList.toggle("is-nothing", !some);
    find(".value", entry).textContent = short(values.at(-1));
  }
  find(".top-label", svg).textContent = short(top);
  find(".half-label", svg).textContent = short(top / 2);
}

function showRates() {
  const last = rates.at(-1);
  if (document.hidden || !last) return;
  all("svg[data-chart]").forEach(draw);
  for (const place of all("[data-rate]")) {
    const { rate, interface: name } = place.dataset;
    const value = name === undefined ? sum(last, (one) => one[rate]) : last.interfaces.get(name)?.[rate] || 0;
    const [number, unit] = (rate === "bytes_per_s" ? bits(value) : short(value)).split(NOBREAK);
    const small = document.createElement("span");
    small.className = "unit";
    small.textContent = unit ? NOBREAK + unit : "";
    place.replaceChildren(number, small);
  }
}

async function loadRates() {
  if (!topics.includes("rates")) return;
  try {
    const answer = await ask("/api/v1/rates?last=5m");
    if (!answer.ok) return setStale(answer.status);
    rates = fromColumns(await answer.json());
    showRates();
  } catch {
    setStale("no answer");
  }
}

// ---- Packets as they pass, the newest first: those that the form above them asks for.

const ROWS = 200;
const FIELDS = ["at", "interface", "direction", "class", "source", "dest", "bytes", "text"];
const packets = find("[data-packets]");
let [rows, isPaused] = [[], false];

function isWanted(packet) {
  const asked = new FormData(find("[data-packet-filters]") ?? undefined);
  const is = (name) => !asked.get(name) || asked.get(name) === packet[name];
  const words = String(asked.get("text") ?? "").toLowerCase();
  const text = `${packet.source} ${packet.dest} ${packet.text}`.toLowerCase();
  return is("class") && is("interface") && text.includes(words);
}

function showPackets() {
  for (const packet of rows.splice(0).filter(isWanted)) {
    const row = document.createElement("tr");
    for (const field of FIELDS) {
      const cell = row.insertCell();
      const value = String(packet[field] ?? "");
      // The line begins with what has cells of its own.
      const shown = { at: () => value.slice(11, 23), text: () => value.replace(/^[\d:.]+ (in|out) /, "") };
      cell.textContent = shown[field]?.() ?? value;
      if (field === "bytes") cell.className = "number";
    }
    packets.prepend(row);
  }
  while (packets.rows.length > ROWS) packets.deleteRow(-1);
  const nothing = find("[data-packets-empty]");
  if (nothing) nothing.hidden = packets.rows.length > 0;
}

function takePacket(packet) {
  if (!packets || isPaused || document.hidden) return;
  if (rows.push(packet) === 1) requestAnimationFrame(showPackets);
  if (rows.length > ROWS) rows.shift();
}

// ---- The stream.

const state = find("#connection");
// Where something comes each second, silence is noticed sooner.
const SILENCE = topics.includes("rates") ? 20000 : 40000;
let [stream, isOpen, stale] = [null, false, ""];
let [tries, retry, leaving] = [0, 0, 0];
let [heard, announced] = [0, -Infinity];

function say(name, text) {
  if (state.textContent === text) return;
  state.dataset.state = name;
  state.textContent = text;
}

// What is shown is live only if the page itself can be had, too.
function setStale(why) {
  stale = why;
  if (isOpen) stale ? say("stale", `stale: ${stale}`) : say("live", "live");
}

// New incidents are said aloud to who cannot see them, but not faster than one can listen.
function announce({ step, incident, text }) {
  if (step !== "open" || performance.now() - announced < 10000) return;
  announced = performance.now();
  find("#announce").textContent = `New incident, ${incident?.severity ?? ""}: ${text}`;
}

const renew = () => { refresh(); loadRates(); };

function connect() {
  clearTimeout(retry);
  const mine = new EventSource(`/api/v1/stream?topics=${topics.join(",")}`);
  stream = mine;
  heard = performance.now();
  const on = (name, take) => mine.addEventListener(name, (event) => {
    heard = performance.now();
    take(JSON.parse(event.data));
  });
  mine.onopen = () => {
    isOpen = true;
    setStale("");
    if (tries > 0) renew();
    tries = 0;
  };
  mine.onerror = lost;
  on("alert", (alert) => { announce(alert); refresh(); });
  on("acknowledged", refresh);
  on("gap", refresh);
  on("stats", () => refresh());
  on("alive", () => {});
  on("rates", (event) => {
    if (!rates.length) loadRates();
    rates = [...rates.slice(1 - KEPT), fromEvent(event)];
    showRates();
  });
  on("packet", takePacket);
}

function close() {
  stream?.close();
  stream = null;
  isOpen = false;
  clearTimeout(retry);
}

// EventSource gives up on any answer but 200, as while netwatch starts anew, so it is made again here. It does not tell which
// answer it was: where a login is asked for again, the page is led there.
function lost() {
  close();
  tries += 1;
  if (tries > 1) {
    say("lost", "reconnecting…");
    refresh();
  }
  retry = setTimeout(connect, Math.min(15000, 500 * 2 ** Math.min(tries - 1, 5)) * (0.75 + Math.random() / 2));
}

// Browsers have few connections to one server, so a page that nobody looks at lets go of its own.
function onVisibility() {
  clearTimeout(leaving);
  if (document.hidden) return void (leaving = setTimeout(() => { close(); say("paused", "paused"); }, 10000));
  tick();
  showRates();
  if (again) refresh();
  if (stream) return;
  tries = 0;
  connect();
  renew();
}

// ---- Keys and buttons.

let wantsToGo = -Infinity;

function onKey(event) {
  if (!find("#letters").checked || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest?.("input, select, textarea, dialog")) return;
  if (performance.now() - wantsToGo < 1500) {
    wantsToGo = -Infinity;
    const link = find(`nav a[data-go="${CSS.escape(event.key)}"]`);
    if (link) return link.click();
  }
  const actions = {
    "/": () => { const search = find("[data-search]"); if (search) search.focus(); else location.assign("/incidents"); },
    "?": () => find("#help").showModal(),
    t: nextTheme,
    g: () => { wantsToGo = performance.now(); },
  };
  if (!Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  actions[event.key]();
}

async function copy(button) {
  const block = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = "Copied";
  } catch {
    // Without TLS there is no clipboard; what is selected can be copied by hand.
    getSelection().selectAllChildren(block);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

function onClick({ target }) {
  const button = target.closest?.("button");
  if (!button) return;
  if (button.id === "theme") nextTheme();
  else if (button.id === "keys") find("#help").showModal();
  else if (button.dataset.copy) copy(button);
  else if (button.dataset.packetsPause !== undefined) {
    isPaused = !isPaused;
    button.setAttribute("aria-pressed", isPaused);
    button.textContent = isPaused ? "Go on" : "Pause";
  }
}

// What only works with this script is shown only with it.
const ready = () => all("#theme, #keys, [data-copy], [data-packets-pause]").forEach((one) => { one.hidden = false; });

setTheme(stored("theme") || "");
find("#letters").checked = stored("letters") !== "off";
ready();
showOpen();
document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
find("#letters").addEventListener("change", ({ target }) => stored("letters", target.checked ? "on" : "off"));
setInterval(tick, 1000);
if (topics.length) {
  connect();
  loadRates();
  if (document.hidden) onVisibility();
  document.addEventListener("visibilitychange", onVisibility);
  // The server says something every quarter of a minute at least; silence is a connection that nobody closed.
  setInterval(() => { if (stream && performance.now() - heard > SILENCE) lost(); }, 5000);
}
