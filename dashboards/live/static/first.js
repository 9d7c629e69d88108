"use strict";
/* The first view: the sentence, the tiles, the chart of the day, and the buttons of a demonstration. */

const SVG = "http://www.w3.org/2000/svg";
const NARROW = matchMedia("(max-width: 44rem)");
const WIDTH = 960, LEFT = 44, RIGHT = 44, TOP = 12;
const MOVED_MS = 20000;
const LIT_MS = 4000;
const TILES = ["within", "median_ms", "p90_ms", "mean_ms", "kept", "satisfaction", "ratings"];
const HIDDEN = ["decided", "rolled_at", "published_at", "published_n"];
/* Which instant a number of the last four weeks is of. */
const AS_OF = { median_ms: "rolled_at", p90_ms: "rolled_at", mean_ms: "rolled_at", kept: "rolled_at", satisfaction: "published_at" };
const TOLD = "What receivers are sent at that instant: what, where, for how long, which promise. Instants are in UTC.";
let tiles = null;
let waited = null;
let shownDistrict = "";

function drawFirst({ panels, messages, district, simulated, sentence, pressed, unsure }) {
  const box = byId("sentence");
  if (box.textContent !== sentence) box.textContent = sentence;
  shownDistrict = district.district;
  byId("actions").hidden = district.district !== simulated;
  const lately = joined(panels.lately, panels.rolled);
  drawIncidents(panels.incidents, messages);
  drawTiles("now", panels.now);
  drawTiles("lately", lately);
  drawDay(panels.day);
  drawTable("units", panels.units);
  drawTable("breaches", panels.breaches);
  tiles = joined(panels.now, lately);
  follow(pressed, unsure);
}

/* Nothing is said of incidents where there are none, nor of messages. */
function drawIncidents(panel, messages) {
  byId("incidents-shown").hidden = panel.rows.length === 0;
  drawTable("incidents", panel);
  byId("messages-shown").hidden = messages.length === 0;
  const told = atLength(byId("messages"), messages.length, () => document.createElement("li"));
  messages.forEach(({ at, text }, i) => {
    const said = `${short(at)}: ${text}`;
    if (told[i].textContent !== said) told[i].textContent = said;
    told[i].tabIndex = 0;
    told[i].dataset.explained = TOLD;
  });
}

/* Two panels of one row each as one, in the order of TILES where it says one. */
function joined(one, other) {
  const columns = [...one.columns, ...other.columns].sort((a, b) => TILES.indexOf(a.name) - TILES.indexOf(b.name));
  return { title: one.title, columns, rows: [{ ...one.rows[0], ...other.rows[0] }] };
}

function drawTiles(name, { title, columns, rows }) {
  byId(`${name}-title`).textContent = title;
  drawList(name, columns.filter((column) => !HIDDEN.includes(column.name)), rows[0], (column) => noteOf(column, rows[0]));
}

/* What a tile of the last four weeks says beside its meaning: of when it is, or why there is none. */
function noteOf(column, row) {
  if (!(column.name in AS_OF)) return "";
  const value = row[column.name];
  const at = row[AS_OF[column.name]];
  if (column.name === "satisfaction" && value === null && row.ratings.startsWith("<")) return "Fewer than 10 ratings: not shown.";
  if (at === null) return "The first numbers of 28 days come with the next full minute.";
  if (column.name === "satisfaction" && value === null) return "Shown once ten ratings have come or left since the last time.";
  const when = `As of ${instant(at, { weekday: "short", hour: "numeric", minute: "2-digit" })}.`;
  if (column.name === "satisfaction") return `${when} Of ${grouped.format(row.published_n)} ratings.`;
  return value === null ? `Nothing to measure yet. ${when}` : `${when} ${column.kind === "duration" ? exact(value) : ""}`.trim();
}

/* ---- the chart of the day ---- */

function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function scale(kind, x, value, text) {
  return svg("text", { class: kind, x, y: TOP + 10, "text-anchor": "end", tabindex: 0, "data-explained": text, "aria-label": `${grouped.format(value)}. ${text}` }, grouped.format(value));
}

function drawDay({ title, meaning, rows }) {
  byId("day-title").textContent = title;
  byId("day-meaning").textContent = meaning;
  const chart = byId("day");
  const height = NARROW.matches ? 420 : 190;
  const said = JSON.stringify([rows, height]);
  if (chart.dataset.drawn === said) return;
  chart.dataset.drawn = said;
  chart.setAttribute("viewBox", `0 0 ${WIDTH} ${height + (NARROW.matches ? 48 : 36)}`);
  const focused = document.activeElement && document.activeElement.dataset.hour;
  const step = (WIDTH - LEFT - RIGHT) / 24;
  const most = Math.max(1, ...rows.map((row) => row.arrivals));
  const highest = Math.max(1, ...rows.map((row) => row.open_waits));
  const y = (value, top) => TOP + (height - TOP) * (1 - value / top);
  const made = [svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: height, y2: height })];
  made.push(scale("bars", LEFT - 8, most, "The most waits that began in one hour of today: the height of the tallest bar."));
  made.push(scale("line", WIDTH, highest, "The most waits that were open at the end of an hour of today: the highest point of the line."));
  for (let hour = 0; hour <= 24; hour += 3) {
    const name = hour === 24 ? "" : ["12 AM", "3 AM", "6 AM", "9 AM", "noon", "3 PM", "6 PM", "9 PM"][hour / 3];
    made.push(svg("text", { class: hour % 6 ? "between" : "", x: LEFT + hour * step, y: height + (NARROW.matches ? 40 : 26), "text-anchor": "middle" }, name));
  }
  rows.forEach((row, i) => {
    const x = LEFT + i * step;
    made.push(svg("rect", { x: x + 2, y: y(row.arrivals, most), width: step - 4, height: height - y(row.arrivals, most) }));
  });
  const points = rows.map((row, i) => [LEFT + (i + 1) * step, y(row.open_waits, highest)]);
  made.push(svg("polyline", { points: points.map((point) => point.join(",")).join(" ") }));
  for (const [cx, cy] of points) made.push(svg("circle", { cx, cy, r: 3.5 }));
  rows.forEach((row, i) => {
    const text = `${instant(row.starts_at, { hour: "numeric", minute: "2-digit" })} to the hour after: ${grouped.format(row.arrivals)} waits began; ${grouped.format(row.open_waits)} were open at its end, or are now.`;
    made.push(svg("rect", { class: "hit", x: LEFT + i * step, y: 0, width: step, height: height, tabindex: 0, "data-hour": i, "data-explained": text, "aria-label": text }));
  });
  chart.replaceChildren(...made);
  if (focused !== undefined && focused !== null) chart.querySelector(`[data-hour="${focused}"]`)?.focus();
}

/* ---- the buttons ---- */

/* The last numbers without the press and the first with it: others move them too, but only these two are told. */
function follow(pressed, unsure) {
  if (!waited || waited.state?.left === 0) return;
  const state = pressed[waited.name];
  const row = tiles.rows[0];
  if (!state) {
    if (!unsure.includes(waited.name)) waited.before = row;
  } else {
    // A snow day has landed before the first promise has moved.
    const { metric, before } = waited;
    if (state.left === 0 || (metric && row[metric] !== before[metric])) waited.landedMs ??= Math.round(performance.now() - waited.since);
    Object.assign(waited, { state, after: row });
  }
  sayMoved();
}

function sayMoved() {
  if (!waited || !waited.said) return;
  const { said, metric, before, after, state } = waited;
  if (!state) {
    const late = performance.now() - waited.since > MOVED_MS;
    tell(late ? `${said} It has not landed yet; the numbers do not hold it.` : said);
    return;
  }
  const column = tiles.columns.find((each) => each.name === metric);
  if (state.left > 0) {
    const text = (row) => shown(column, row[metric]).text;
    const numbers = `${text(before)} → ${text(after)} so far`;
    const rest = state.left === 1 ? "1 conversation is" : `${grouped.format(state.left)} conversations are`;
    tell(`${said} ${column.label}: ${numbers}; ${rest} still to follow …`);
  } else {
    conclude([said, change(column, before[metric], after[metric], state.own), state.more].filter(Boolean).join(" "), waited);
  }
  if (state.own || before[metric] !== after[metric]) light(metric);
}

/* What the number was and is; and whose doing that is, unless it is the press's alone. "<10" has no size. */
function change(column, before, after, own) {
  const text = (value) => shown(column, value).text;
  const others = after - before - own;
  if (others === 0 && own === 0) return `${column.label}: ${text(after)}, unchanged.`;
  const moved = `${text(before)} → ${text(after)}`;
  if (others === 0) return `${column.label}: ${moved}.`;
  const shares = [`this press ${signed(own)}`, Number.isNaN(others) ? "" : `others ${signed(others)}`];
  return `${column.label}: ${moved} (${shares.filter(Boolean).join(", ")}).`;
}

function signed(count) {
  return count === 0 ? "0" : `${count > 0 ? "+" : "−"}${grouped.format(Math.abs(count))}`;
}

function tell(text) {
  if (byId("moved").textContent !== text) byId("moved").textContent = text;
}

/* How long it took until the numbers held some of it, and all of it, in ms, stands beside the words. */
function conclude(text, { since, landedMs } = {}) {
  tell(text);
  put(byId("moved"), "data-after-ms", landedMs);
  put(byId("moved"), "data-settled-ms", since && Math.round(performance.now() - since));
  waited = null;
}

/* Shows for a moment which tile moved. */
function light(metric) {
  const tile = document.querySelector(`.tiles [data-metric="${metric}"]`).parentElement;
  tile.classList.add("moved");
  setTimeout(() => tile.classList.remove("moved"), LIT_MS);
}

function freshName() {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function act(button) {
  const mine = { name: freshName(), before: tiles.rows[0], since: performance.now() };
  button.disabled = true;
  conclude("…");
  waited = mine;
  try {
    const query = new URLSearchParams({ district: shownDistrict, press: mine.name });
    const answer = await fetch(`/api/demo/${button.dataset.action}?${query}`, { method: "POST", cache: "no-store" });
    const { error, said, metric } = await answer.json();
    if (!answer.ok) throw new Error(error);
    if (waited !== mine) return;
    if (metric) {
      Object.assign(mine, { said, metric });
      sayMoved();
    } else {
      conclude(said);
    }
  } catch (error) {
    if (waited === mine) conclude(error instanceof TypeError ? "Connection lost." : error.message);
  } finally {
    button.disabled = false;
  }
}

byId("actions").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) act(button);
});
