"use strict";
/* The first view: the sentence, the tiles, the chart of the day, and the buttons of a demonstration. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 960, HEIGHT = 190, LEFT = 44, RIGHT = 44, TOP = 12;
const MOVED_MS = 20000;
let shownNow = null;
let waitingFor = null;
let shownDistrict = "";

function drawFirst({ panels, district, clock, sentence }) {
  const box = byId("sentence");
  if (box.textContent !== sentence) box.textContent = sentence;
  shownDistrict = district.district;
  byId("actions").hidden = !clock;
  byId("now-title").textContent = panels.now.title;
  drawList("now", panels.now.columns.filter((column) => column.name !== "decided"), panels.now.rows[0]);
  drawDay(panels.day);
  drawTable("units", panels.units);
  drawTable("breaches", panels.breaches);
  shownNow = panels.now;
  sayMoved();
}

/* ---- the chart of the day ---- */

function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawDay({ title, meaning, rows }) {
  byId("day-title").textContent = title;
  byId("day-meaning").textContent = meaning;
  const chart = byId("day");
  const said = JSON.stringify(rows);
  if (chart.dataset.drawn === said) return;
  chart.dataset.drawn = said;
  const focused = document.activeElement && document.activeElement.dataset.hour;
  const step = (WIDTH - LEFT - RIGHT) / 24;
  const most = Math.max(1, ...rows.map((row) => row.arrivals));
  const highest = Math.max(1, ...rows.map((row) => row.open_waits));
  const y = (value, top) => TOP + (HEIGHT - TOP) * (1 - value / top);
  const made = [svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT, y2: HEIGHT })];
  made.push(svg("text", { x: LEFT - 8, y: TOP + 10, "text-anchor": "end" }, grouped.format(most)));
  made.push(svg("text", { x: WIDTH, y: TOP + 10, "text-anchor": "end" }, grouped.format(highest)));
  for (let hour = 0; hour <= 24; hour += 3) {
    const name = hour === 24 ? "" : ["12 AM", "3 AM", "6 AM", "9 AM", "noon", "3 PM", "6 PM", "9 PM"][hour / 3];
    made.push(svg("text", { class: hour % 6 ? "between" : "", x: LEFT + hour * step, y: HEIGHT + 26, "text-anchor": "middle" }, name));
  }
  rows.forEach((row, i) => {
    const x = LEFT + i * step;
    made.push(svg("rect", { x: x + 2, y: y(row.arrivals, most), width: step - 4, height: HEIGHT - y(row.arrivals, most) }));
  });
  const points = rows.map((row, i) => [LEFT + (i + 1) * step, y(row.open_waits, highest)]);
  made.push(svg("polyline", { points: points.map((point) => point.join(",")).join(" ") }));
  for (const [cx, cy] of points) made.push(svg("circle", { cx, cy, r: 3.5 }));
  rows.forEach((row, i) => {
    const text = `${instant(row.starts_at, { hour: "numeric", minute: "2-digit" })} to the hour after: ${grouped.format(row.arrivals)} waits began; ${grouped.format(row.open_waits)} were open at its end, or are now.`;
    made.push(svg("rect", { class: "hit", x: LEFT + i * step, y: 0, width: step, height: HEIGHT, tabindex: 0, "data-hour": i, "data-explained": text, "aria-label": text }));
  });
  chart.replaceChildren(...made);
  if (focused !== undefined && focused !== null) chart.querySelector(`[data-hour="${focused}"]`)?.focus();
}

/* ---- the buttons ---- */

function valueOf(metric) {
  return shownNow && shownNow.rows[0][metric];
}

function textOf(metric, value) {
  const column = shownNow.columns.find((each) => each.name === metric);
  return `${column.label}: ${shown(column, value).text}`;
}

function sayMoved() {
  if (!waitingFor || !waitingFor.metric) return;
  const { said, metric, before, since } = waitingFor;
  const after = valueOf(metric);
  if (after !== before) {
    const column = shownNow.columns.find((each) => each.name === metric);
    byId("moved").textContent = `${said} ${textOf(metric, before)} → ${shown(column, after).text}`;
    waitingFor = null;
  } else if (Date.now() - since > MOVED_MS) {
    byId("moved").textContent = `${said} ${textOf(metric, after)}, unchanged.`;
    waitingFor = null;
  }
}

async function act(button) {
  const before = shownNow && { ...shownNow.rows[0] };
  button.disabled = true;
  byId("moved").textContent = "…";
  try {
    const address = `/api/demo/${button.dataset.action}?district=${encodeURIComponent(shownDistrict)}`;
    const answer = await fetch(address, { method: "POST", cache: "no-store" });
    const { error, said, metric } = await answer.json();
    if (!answer.ok) throw new Error(error);
    byId("moved").textContent = said;
    waitingFor = { said, metric, before: before[metric], since: Date.now() };
    sayMoved();
  } catch (error) {
    byId("moved").textContent = error instanceof TypeError ? "Connection lost." : error.message;
  } finally {
    button.disabled = false;
  }
}

byId("actions").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) act(button);
});
