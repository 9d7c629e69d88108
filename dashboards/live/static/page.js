"use strict";
/* Asks /api/now, which answers as soon as something has landed, and writes what changed into the elements that stand.
   What stands below the first view comes from /api/below every few seconds. Nothing is asked while nobody sees it. */

const PAUSE_MS = 100;
const AGAIN_MS = 1000;
const BELOW_MS = 5000;
const LONGEST_MS = 10000;
const WORDS = {
  open: "open", pending: "pending", on_hold: "on hold", resolved: "resolved", withdrawn: "withdrawn", closed: "closed",
  met: "met", missed: "missed", past_due: "past due", running: "running", in_person: "in person",
  first_reply: "first reply", next_reply: "next reply", "7d": "7 days", "28d": "28 days", "7sd": "7 school days", "1h": "1 hour", "24h": "24 hours",
};
const TONES = { met: "good", missed: "bad", past_due: "bad", running: "none", open: "warn", on_hold: "none", pending: "none", resolved: "none", withdrawn: "none", closed: "none" };
const COUNT_TONES = { past_due: "bad" };

const byId = (id) => document.getElementById(id);
let zone = "UTC";
let failures = 0;
let timer = 0;
let asking = null;
let updated = "";
let present = 0;
let mark = "";
let belowAt = -Infinity;

/* ---- words for values ---- */

const grouped = new Intl.NumberFormat("en-US");
const percent = new Intl.NumberFormat("en-US", { style: "percent" });

function parts(ms) {
  const whole = Math.floor(ms / 1000);
  return [["d", Math.floor(whole / 86400)], ["h", Math.floor(whole / 3600) % 24], ["min", Math.floor(whole / 60) % 60], ["s", whole % 60]];
}

function duration(ms) {
  if (ms < 1000) return ms === 0 ? "0 s" : "< 1 s";
  const found = parts(ms);
  const first = found.findIndex(([, n]) => n > 0);
  return found.slice(first, first + 2).filter(([, n], i) => i === 0 || n > 0).map(([unit, n]) => `${grouped.format(n)} ${unit}`).join(" ");
}

function exact(ms) {
  const text = parts(ms).filter(([, n]) => n > 0).map(([unit, n]) => `${grouped.format(n)} ${unit}`).join(" ") || "0 s";
  return `Exactly ${text} (${grouped.format(ms / 1000)} s).`;
}

function instant(ms, style) {
  return new Intl.DateTimeFormat("en-US", { ...style, timeZone: zone }).format(new Date(ms));
}

const TIME = { hour: "numeric", minute: "2-digit" };
const DATE = { month: "short", day: "numeric" };
const YEAR = { year: "numeric" };
const LONG = { dateStyle: "full", timeStyle: "long" };
const CLOCK = { hour: "numeric", minute: "2-digit", second: "2-digit" };

/* As short as the present allows: today the time, this year no year. */
function short(ms) {
  const same = (style) => instant(ms, style) === instant(present, style);
  if (!same(YEAR)) return instant(ms, { ...YEAR, ...DATE, ...TIME });
  return instant(ms, same(DATE) ? TIME : { ...DATE, ...TIME });
}

function shown(column, value) {
  if (value === null || value === "") return { text: "–", tone: "none", more: column.kind === "verdict" ? "Nothing was promised." : "Nothing to measure yet." };
  if (column.kind === "duration") return { text: duration(value), more: exact(value) };
  if (column.kind === "share") return { text: percent.format(value) };
  if (column.kind === "score") return { text: value.toFixed(1) };
  if (column.kind === "instant") return { text: short(value), more: `${instant(value, LONG)}.` };
  if (column.kind === "count") return { text: grouped.format(value), tone: value > 0 ? COUNT_TONES[column.name] : "" };
  if (column.kind === "status" || column.kind === "verdict") return { text: WORDS[value] || value, tone: TONES[value] };
  if (column.name === "ratings") return { text: value.startsWith("<") ? value : grouped.format(value) };
  if (column.name === "topic" || column.name === "promise") return { text: value.replaceAll("-", " ") };
  return { text: WORDS[value] || value };
}

/* ---- elements ---- */

function put(element, name, value) {
  const text = value === undefined || value === null ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

function write(element, column, value, note) {
  const { text, tone, more } = shown(column, value);
  if (element.textContent !== text) element.textContent = text;
  put(element, "data-metric", column.name);
  put(element, "data-kind", column.kind);
  put(element, "data-label", column.label);
  put(element, "data-tone", tone);
  put(element, "data-value", value);
  put(element, "data-explained", [column.label + ".", column.meaning, note || more].filter(Boolean).join("\n"));
}

function atLength(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make());
  return [...parent.children];
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function drawTotals(panel) {
  byId("totals-title").textContent = panel.title;
  drawList("totals", panel.columns.filter((column) => column.kind !== "instant"), panel.rows[0]);
  drawList("arrivals", panel.columns.filter((column) => column.kind === "instant"), panel.rows[0]);
}

function drawList(name, columns, row, noteOf = () => "") {
  const cards = atLength(byId(name), columns.length, () => element("div", element("dt"), element("dd")));
  columns.forEach((column, i) => {
    const [label, number] = cards[i].children;
    if (label.textContent !== column.label) label.textContent = column.label;
    number.tabIndex = 0;
    write(number, column, row[column.name], noteOf(column));
  });
}

function drawTable(name, panel) {
  const table = byId(name);
  const columns = panel.columns.filter((column) => column.label.toLowerCase() !== "code");
  byId(`${name}-title`).textContent = panel.title;
  byId(`${name}-meaning`).textContent = panel.meaning;
  if (!table.tHead) table.append(element("thead", element("tr")), element("tbody"));
  const heads = atLength(table.tHead.rows[0], columns.length, () => element("th"));
  columns.forEach((column, i) => {
    heads[i].scope = "col";
    if (heads[i].textContent !== column.label) heads[i].textContent = column.label;
    put(heads[i], "data-kind", column.kind);
    put(heads[i], "data-explained", column.meaning);
  });
  const rows = atLength(table.tBodies[0], panel.rows.length, () => element("tr"));
  panel.rows.forEach((record, r) => {
    put(rows[r], "data-row", record.department);
    const cells = atLength(rows[r], columns.length, () => Object.assign(element("td"), { tabIndex: -1 }));
    columns.forEach((column, i) => write(cells[i], column, record[column.name]));
  });
  if (!table.querySelector("[tabindex='0']")) {
    const first = table.querySelector("td");
    if (first) first.tabIndex = 0;
  }
}

/* ---- the whole page ---- */

function drawChoice(districts, chosen) {
  const select = byId("district");
  byId("choice").hidden = districts.length < 2;
  const options = atLength(select, districts.length, () => element("option"));
  districts.forEach(({ district, label }, i) => {
    if (options[i].value !== district) options[i].value = district;
    if (options[i].textContent !== label) options[i].textContent = label;
  });
  if (chosen && select.value !== chosen.district && document.activeElement !== select) select.value = chosen.district;
}

function drawClock(clock, now, isSimulated) {
  const box = byId("clock");
  box.hidden = !clock;
  if (!clock) return;
  const when = instant(now, { weekday: "long", hour: "numeric", minute: "2-digit" });
  box.textContent = `Demo clock: ${when}, speed ${clock.speed}×; ${isSimulated ? "simulated data" : "this district's data are not simulated"}.`;
}

/* Of a demonstration that has just begun: all that is sent is known only when the last of it is. */
function drawPast(past) {
  const box = byId("past");
  box.hidden = !past;
  if (!past) return;
  const { days, sent, landed, total } = past;
  const far = total === null ? `${grouped.format(sent)} events sent so far` : `${grouped.format(landed)} of ${grouped.format(total)} events`;
  box.textContent = `The past ${days} days are still coming in: ${far}.`;
}

function draw(answer) {
  const { districts, district, now_ms, clock, simulated, past } = answer;
  const empty = !district || district.conversations === 0;
  zone = district ? district.time_zone : "UTC";
  present = now_ms;
  byId("label").textContent = district ? district.label : "CX live";
  document.title = district ? `${district.label} · CX live` : "CX live";
  byId("zone").textContent = zone === "UTC" ? "All times are UTC." : `All times are the district's: ${zone.replaceAll("_", " ")}.`;
  drawChoice(districts, district);
  drawClock(clock, now_ms, Boolean(district) && district.district === simulated);
  drawPast(past);
  byId("empty").hidden = !empty || Boolean(past);
  byId("numbers").hidden = empty;
  if (!empty) drawFirst(answer);
  mark = answer.mark || "";
  updated = instant(now_ms, CLOCK);
  say("live", `Updated ${updated}`);
}

function say(state, text, problem) {
  document.body.dataset.state = state;
  byId("updated").textContent = text;
  const box = byId("problem");
  if (box.textContent !== (problem || "")) box.textContent = problem || "";
  box.hidden = !problem;
}

function lost(reason) {
  failures += 1;
  const since = updated ? ` The numbers are those of ${updated}.` : "";
  say("lost", updated ? `Last updated ${updated}` : "Not updated yet", `${reason} Trying again …${since}`);
}

function drawBelow({ district, panels }) {
  const empty = !district || district.conversations === 0;
  byId("below").hidden = empty;
  if (empty) return;
  drawTable("rolling", panels.rolling);
  drawTotals(panels.totals);
  drawTable("departments", panels.departments);
  drawTable("newest", panels.newest);
}

async function fetched(path, signal) {
  const query = new URLSearchParams({ after: path === "/api/now" ? mark : "" });
  const wanted = new URLSearchParams(location.search).get("district");
  if (wanted) query.set("district", wanted);
  const answer = await fetch(`${path}?${query}`, { signal, cache: "no-store" });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error || `The server answered ${answer.status}.`);
  return content;
}

async function refresh() {
  clearTimeout(timer);
  if (asking) asking.abort();
  const mine = (asking = new AbortController());
  const limit = setTimeout(() => mine.abort(), LONGEST_MS);
  try {
    const answer = await fetched("/api/now", mine.signal);
    if (mine !== asking) return;
    draw(answer);
    failures = 0;
    if (performance.now() - belowAt > BELOW_MS) refreshBelow();
  } catch (error) {
    if (mine !== asking) return;
    lost(reasonOf(error));
  } finally {
    clearTimeout(limit);
  }
  if (mine === asking && !document.hidden) timer = setTimeout(refresh, failures ? Math.min(AGAIN_MS * failures, LONGEST_MS) : PAUSE_MS);
}

async function refreshBelow() {
  belowAt = performance.now();
  try {
    drawBelow(await fetched("/api/below", AbortSignal.timeout(LONGEST_MS)));
  } catch (error) {
    belowAt = -Infinity;
    lost(reasonOf(error));
  }
}

function reasonOf(error) {
  return error instanceof TypeError || ["AbortError", "TimeoutError"].includes(error.name) ? "Connection lost." : error.message;
}

function seenOrNot() {
  if (!document.hidden) {
    refresh();
    return;
  }
  clearTimeout(timer);
  if (document.body.dataset.state === "live") say("paused", `Paused, last updated ${updated}`);
}

/* ---- explanations ---- */

const tip = byId("tip");
let explained = null;

function hideTip() {
  if (explained) explained.removeAttribute("aria-describedby");
  explained = null;
  tip.hidden = true;
}

function showTip(target) {
  hideTip();
  explained = target;
  tip.textContent = target.dataset.explained;
  tip.hidden = false;
  target.setAttribute("aria-describedby", "tip");
  const box = target.getBoundingClientRect();
  const below = box.bottom + tip.offsetHeight + 12 < innerHeight || box.top < tip.offsetHeight + 12;
  const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8));
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${scrollY + (below ? box.bottom + 6 : box.top - tip.offsetHeight - 6)}px`;
}

function overOrOn(event) {
  const target = event.target.closest("[data-explained]");
  if (target && target !== explained) showTip(target);
  if (!target && event.type === "mouseover") hideTip();
}

const STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

function keyed(event) {
  if (event.key === "Escape") hideTip();
  const cell = event.target.closest("td");
  const step = STEPS[event.key];
  if (!cell || !step) return;
  const row = cell.parentElement.parentElement.rows[cell.parentElement.sectionRowIndex + step[0]];
  const next = row && row.cells[cell.cellIndex + step[1]];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

function focused(event) {
  const cell = event.target.closest("td");
  if (cell && cell.tabIndex !== 0) {
    for (const other of cell.closest("table").querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    cell.tabIndex = 0;
  }
  overOrOn(event);
}

document.addEventListener("mouseover", overOrOn);
document.addEventListener("focusin", focused);
document.addEventListener("focusout", hideTip);
document.addEventListener("keydown", keyed);
document.addEventListener("visibilitychange", seenOrNot);
byId("district").addEventListener("change", (event) => {
  history.replaceState(null, "", `?district=${encodeURIComponent(event.target.value)}`);
  belowAt = -Infinity;
  refresh();
});
document.addEventListener("DOMContentLoaded", refresh);
