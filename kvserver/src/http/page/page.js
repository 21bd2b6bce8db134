// The live page: asks the server for its figures and shows them. Text from the store only ever becomes the
// text of an element, so no key and no value can become part of the page.
"use strict";

const FIGURES_MS = 1000;
const DEADLINES_MS = 5000;
const HISTORY = 120;
const PAGE = 50;
const SHOWN_BYTES = 64 * 1024;

const byId = (id) => document.getElementById(id);
const numbers = new Intl.NumberFormat();
const rates = [];
let before = null;
let prefix = new Uint8Array();
let cursor = null;

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

function bytesText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

function timeText(ms) {
  const units = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];
  for (const [length, name] of units) {
    if (ms >= length) {
      return `${Math.floor(ms / length)} ${name}`;
    }
  }
  return `${Math.max(0, Math.round(ms))} ms`;
}

// Any bytes as part of a URL.
const escaped = (bytes) => Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

// The bytes of a key as the server writes it: text, or base64.
function keyBytes(entry) {
  if (entry.key !== undefined) {
    return encoder.encode(entry.key);
  }
  return Uint8Array.from(atob(entry.key_base64), (letter) => letter.charCodeAt(0));
}

const keyText = (entry) => entry.key ?? `base64 ${entry.key_base64}`;

// What a form of bytes looks like to a reader: text if they are, else two digits a byte.
function readable(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  }
}

async function ask(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => null);
    throw new Error(problem?.detail ?? `the server answered ${answer.status}`);
  }
  return answer;
}

function say(text, isBad) {
  const state = byId("state");
  if (state.textContent !== text) {
    state.textContent = text;
  }
  state.classList.toggle("bad", isBad);
}

function drawHistory() {
  const most = Math.max(1, ...rates);
  const step = 600 / (HISTORY - 1);
  const first = HISTORY - rates.length;
  const points = rates.map((value, at) => `${((first + at) * step).toFixed(1)},${(115 - (value / most) * 108).toFixed(1)}`);
  byId("line").setAttribute("points", points.join(" "));
  byId("history").setAttribute("aria-label", `now ${numbers.format(Math.round(rates.at(-1)))}, at most ${numbers.format(Math.round(most))}`);
}

function showFigures({ now_ms, store, server }) {
  const operations = store.gets + store.sets + store.deletes;
  const now = { at: now_ms, operations, hits: store.hits, gets: store.gets };
  if (before !== null && now.at > before.at) {
    const rate = Math.max(0, ((now.operations - before.operations) * 1000) / (now.at - before.at));
    rates.push(rate);
    rates.splice(0, rates.length - HISTORY);
    byId("throughput").textContent = numbers.format(Math.round(rate));
    drawHistory();
  }
  before = now;
  byId("hits").textContent = store.gets === 0 ? "–" : `${((store.hits * 100) / store.gets).toFixed(1)} %`;
  byId("keys").textContent = numbers.format(store.entries);
  byId("memory").textContent = bytesText(store.memory_bytes);
  byId("expired").textContent = numbers.format(store.expired);
  byId("evicted").textContent = numbers.format(store.evicted);
  byId("clients").textContent = numbers.format(server.clients);
  byId("uptime").textContent = timeText(server.uptime_seconds * 1000);
  if (server.writable === 1) {
    say("live", false);
  } else {
    say("writes are stopped by an earlier failure: restart the server", true);
  }
}

function showDeadlines({ sampled, entries, ranges, later, never }) {
  const rows = ranges.map((range) => [timeText(range.within_ms), range.count]);
  rows.push(["later", later], ["never", never]);
  const body = document.createDocumentFragment();
  for (const [name, count] of rows) {
    const row = document.createElement("tr");
    const share = sampled === 0 ? 0 : count / sampled;
    const meter = document.createElement("meter");
    meter.value = share;
    meter.textContent = `${(share * 100).toFixed(0)} %`;
    meter.setAttribute("aria-label", `${name}: ${(share * 100).toFixed(0)} %`);
    for (const content of [name, numbers.format(Math.round(share * entries)), meter]) {
      const cell = document.createElement("td");
      cell.append(content);
      row.append(cell);
    }
    body.append(row);
  }
  byId("deadlines").tBodies[0].replaceChildren(body);
  byId("sample").textContent = sampled < entries
    ? `Estimated from ${numbers.format(sampled)} of ${numbers.format(entries)} keys.`
    : "";
}

async function showKey(entry, button) {
  for (const other of byId("list").querySelectorAll("[aria-current]")) {
    other.removeAttribute("aria-current");
  }
  button.setAttribute("aria-current", "true");
  const parts = [];
  const line = (text, name) => {
    const element = document.createElement(name);
    element.textContent = text;
    if (name === "p") {
      element.className = "note";
    }
    parts.push(element);
  };
  line(keyText(entry), "strong");
  try {
    const answer = await ask(`/v1/keys/${escaped(keyBytes(entry))}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const left = answer.headers.get("kv-ttl-ms");
    const expires = left === null ? "never expires" : `expires in ${timeText(Number(left))}`;
    line(`${bytesText(bytes.length)}, version ${answer.headers.get("etag")}, ${expires}`, "p");
    line(readable(bytes.subarray(0, SHOWN_BYTES)), "pre");
    if (bytes.length > SHOWN_BYTES) {
      line(`The first ${bytesText(SHOWN_BYTES)} are shown.`, "p");
    }
  } catch (error) {
    line(error.message, "p");
  }
  byId("value").replaceChildren(...parts);
}

function addKey(entry) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const name = document.createElement("span");
  const left = document.createElement("span");
  button.type = "button";
  name.textContent = keyText(entry);
  left.textContent = entry.expire_at_ms === null ? "" : timeText(entry.expire_at_ms - (before?.at ?? Date.now()));
  button.append(name, left);
  button.addEventListener("click", () => showKey(entry, button));
  item.append(button);
  byId("list").append(item);
}

async function showPage() {
  const after = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
  try {
    const answer = await ask(`/v1/keys?prefix=${escaped(prefix)}&limit=${PAGE}${after}`);
    const page = await answer.json();
    page.keys.forEach(addKey);
    cursor = page.cursor;
    byId("more").hidden = cursor === null;
    const count = byId("list").children.length;
    byId("found").textContent = count === 0 ? "No key begins like this." : `${numbers.format(count)} shown`;
  } catch (error) {
    byId("found").textContent = error.message;
  }
}

function search(event) {
  event?.preventDefault();
  prefix = encoder.encode(byId("prefix").value);
  cursor = null;
  byId("list").replaceChildren();
  showPage();
}

// Arrows go from key to key; a slash goes to the search.
function press(event) {
  const at = document.activeElement;
  if (event.key === "/" && at !== byId("prefix")) {
    event.preventDefault();
    byId("prefix").focus();
    return;
  }
  const item = at?.closest?.("#list li");
  const next = { ArrowDown: item?.nextElementSibling, ArrowUp: item?.previousElementSibling }[event.key];
  if (next) {
    event.preventDefault();
    next.firstElementChild.focus();
  }
}

// Asks again and again, but not while nobody looks.
async function repeat(path, show, everyMs) {
  for (;;) {
    if (!document.hidden) {
      try {
        show(await (await ask(path)).json());
      } catch (error) {
        before = null;
        say(error instanceof TypeError ? "the server does not answer" : error.message, true);
      }
    }
    await new Promise((resume) => setTimeout(resume, everyMs));
  }
}

byId("search").addEventListener("submit", search);
byId("more").addEventListener("click", showPage);
document.addEventListener("keydown", press);
repeat("/v1/stats", showFigures, FIGURES_MS);
repeat("/v1/deadlines", showDeadlines, DEADLINES_MS);
search();
