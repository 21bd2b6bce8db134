// The live page: asks the server for its figures and shows them. Text from the store only ever becomes the
// text of an element, so no key and no value can become part of the page.
"use strict";

const FIGURES_MS = 1000;
const DEADLINES_MS = 5000;
const HISTORY = 120;
const PAGE = 50;
const SHOWN_BYTES = 64 * 1024;
const DUMPED_BYTES = 4 * 1024;

const byId = (id) => document.getElementById(id);
const numbers = new Intl.NumberFormat("en");
const count = (value) => numbers.format(Math.round(value));
const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/* ---- Words ---- */

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
  return "under 1 s";
}

const percent = (part, whole) => (whole === 0 ? "–" : `${((part * 100) / whole).toFixed(1)} %`);

const hex = (byte) => byte.toString(16).padStart(2, "0");

// Any bytes as part of a URL.
const escaped = (bytes) => Array.from(bytes, (byte) => `%${hex(byte)}`).join("");

// The bytes of a key as the server writes it: text, or base64.
function keyBytes(entry) {
  if (entry.key !== undefined) {
    return encoder.encode(entry.key);
  }
  return Uint8Array.from(atob(entry.key_base64), (letter) => letter.charCodeAt(0));
}

function keyText(entry) {
  if (entry.key === "") {
    return "(the empty key)";
  }
  return entry.key ?? `base64 ${entry.key_base64}`;
}

// Bytes that are no text, sixteen a line: where they are, what they are, and which of them are letters.
function dump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = bytes.subarray(at, at + 16);
    const letters = Array.from(part, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·"));
    lines.push(`${at.toString(16).padStart(6, "0")}  ${Array.from(part, hex).join(" ").padEnd(47)}  ${letters.join("")}`);
  }
  return lines.join("\n");
}

// What is shown of a value, and how many of its bytes that is. A letter that the limit cuts is left out.
function readable(bytes) {
  for (let cut = 0; cut < 4; cut += 1) {
    const part = bytes.subarray(0, Math.min(bytes.length, SHOWN_BYTES - cut));
    try {
      return [decoder.decode(part), part.length];
    } catch {
      if (part.length === bytes.length) {
        break;
      }
    }
  }
  const part = bytes.subarray(0, DUMPED_BYTES);
  return [dump(part), part.length];
}

/* ---- The server ---- */

// Not the page's own address: that may hold a password, and then a browser refuses to fetch from it.
const place = (path) => new URL(path, location.origin);

async function ask(path) {
  const answer = await fetch(place(path), { headers: { accept: "application/json" } });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => null);
    throw new Error(problem?.detail ?? `the server answered ${answer.status}`);
  }
  return answer;
}

const reason = (error) => (error instanceof TypeError ? "the server does not answer" : error.message);

function say(text, kind) {
  const state = byId("state");
  // Only a change is worth telling those who listen to the page.
  if (state.textContent !== text) {
    state.textContent = text;
  }
  state.className = kind;
}

/* ---- Figures ---- */

// Figures of the last two minutes, the latest last, each with what happened in its second.
const history = [];
let before = null;
// The server's clock less this machine's.
let aheadMs = 0;

const serverNow = () => Date.now() + aheadMs;

// The end of the scale: 1, 2 or 5 with zeros, so that it stays while the figures move.
function scaleFor(most) {
  const step = 10 ** Math.floor(Math.log10(Math.max(most, 10)));
  return [1, 2, 5, 10].map((times) => times * step).find((end) => end >= most);
}

function drawHistory() {
  const most = Math.max(...history.map((figure) => figure.rate));
  const scale = scaleFor(most);
  const step = 600 / (HISTORY - 1);
  const first = HISTORY - history.length;
  const points = history.map(({ rate }, at) => `${((first + at) * step).toFixed(1)},${(100 - (rate / scale) * 100).toFixed(1)}`);
  byId("line").setAttribute("points", points.join(" "));
  byId("area").setAttribute("points", `${first * step},100 ${points.join(" ")} 600,100`);
  byId("most").textContent = count(scale);
  byId("half").textContent = count(scale / 2);
  byId("history").setAttribute("aria-label", `now ${count(history.at(-1).rate)} operations a second, at most ${count(most)} in the last two minutes`);
}

function addFigure(now) {
  const seconds = (now.at - before.at) / 1000;
  const since = (name) => Math.max(0, now[name] - before[name]);
  const [reads, writes] = [since("gets"), since("writes")];
  history.push({ rate: (reads + writes) / seconds, gets: reads, hits: since("hits") });
  history.splice(0, history.length - HISTORY);
  byId("throughput").textContent = count((reads + writes) / seconds);
  byId("throughput-more").textContent = `${count(writes / seconds)} of them writes`;
  const sum = (name) => history.reduce((total, figure) => total + figure[name], 0);
  byId("hits").textContent = percent(sum("hits"), sum("gets"));
  drawHistory();
}

function showFigures({ now_ms, store, server }) {
  aheadMs = now_ms - Date.now();
  const now = { at: now_ms, gets: store.gets, hits: store.hits, writes: store.sets + store.deletes };
  if (before !== null && now.at > before.at) {
    addFigure(now);
  }
  before = now;
  byId("hits-more").textContent = store.gets === 0 ? "nothing was read yet" : `${percent(store.hits, store.gets)} since the start`;
  byId("keys").textContent = count(store.entries);
  byId("keys-more").textContent = `${count(store.expiring_entries)} with a deadline`;
  byId("memory").textContent = bytesText(store.memory_bytes);
  byId("memory-more").textContent = `${bytesText(store.resident_bytes)} held`;
  byId("expired").textContent = count(store.expired);
  byId("expired-more").textContent = `${count(store.evicted)} evicted`;
  byId("clients").textContent = count(server.clients);
  byId("clients-more").textContent = `up for ${timeText(server.uptime_seconds * 1000)}`;
  byId("main").classList.remove("stale");
  if (server.writable === 1) {
    say("live", "good");
  } else {
    say("writes are stopped by an earlier failure: restart the server", "bad");
  }
}

function deadlineRow(name, keys, share, widest) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.style.width = `${widest === 0 ? 0 : (share / widest) * 100}%`;
  row.append(head);
  for (const content of [count(keys), `${(share * 100).toFixed(0)} %`, share === 0 ? "" : bar]) {
    const cell = document.createElement("td");
    cell.append(content);
    row.append(cell);
  }
  row.classList.toggle("none", share === 0);
  return row;
}

function showDeadlines({ sampled, entries, ranges, later, never }) {
  const rows = ranges.map((range, at) => [at === 0 ? `under ${timeText(range.within_ms)}` : `up to ${timeText(range.within_ms)}`, range.count]);
  rows.push(["later", later], ["never", never]);
  const share = (keys) => (sampled === 0 ? 0 : keys / sampled);
  const widest = Math.max(...rows.map(([, keys]) => share(keys)));
  byId("deadlines").tBodies[0].replaceChildren(
    ...rows.map(([name, keys]) => deadlineRow(name, share(keys) * entries, share(keys), widest)),
  );
  byId("sample").textContent = sampled < entries ? `Estimated from ${count(sampled)} of ${count(entries)} keys.` : "";
}

/* ---- Keys ---- */

let prefix = new Uint8Array();
let cursor = null;
let hasMore = false;
// Which search the answers under way belong to: a later one makes them void.
let searches = 0;

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

async function showKey(entry, button) {
  byId("list").querySelector("[aria-current]")?.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  const parts = [element("h3", keyText(entry))];
  try {
    const answer = await ask(`/v1/keys/${escaped(keyBytes(entry))}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const left = answer.headers.get("kv-ttl-ms");
    const expires = left === null ? "never expires" : `expires in ${timeText(Number(left))}`;
    // A value on other servers has no version.
    const tag = answer.headers.get("etag");
    const version = tag === null ? "" : `, version ${tag.replaceAll('"', "")}`;
    parts.push(element("p", `${bytesText(bytes.length)}${version}, ${expires}`, "note"));
    const [text, shown] = readable(bytes);
    parts.push(bytes.length === 0 ? element("p", "The value is empty.", "note") : element("pre", text));
    if (shown < bytes.length) {
      parts.push(element("p", `The first ${bytesText(shown)} are shown.`, "note"));
    }
  } catch (error) {
    parts.push(element("p", `No value to show: ${reason(error)}.`, "note"));
  }
  // Another key may have been chosen while this one was read.
  if (button.getAttribute("aria-current") === "true") {
    byId("value").replaceChildren(...parts);
    // On a narrow screen it is below the list.
    byId("value").scrollIntoView({ block: "nearest" });
  }
}

function showTimeLeft(button) {
  const at = button.dataset.expireAtMs;
  if (at !== undefined) {
    const leftMs = Number(at) - serverNow();
    button.lastElementChild.textContent = leftMs > 0 ? timeText(leftMs) : "expired";
    button.classList.toggle("gone", leftMs <= 0);
  }
}

function addKey(entry) {
  const button = document.createElement("button");
  button.type = "button";
  // One key is met by Tab, the others by the arrows.
  button.tabIndex = byId("list").children.length === 0 ? 0 : -1;
  button.append(element("span", keyText(entry)), element("span", ""));
  if (entry.expire_at_ms !== null) {
    button.dataset.expireAtMs = entry.expire_at_ms;
  }
  showTimeLeft(button);
  button.addEventListener("click", () => showKey(entry, button));
  const item = document.createElement("li");
  item.append(button);
  byId("list").append(item);
}

function foundText(shown) {
  if (shown > 0) {
    return `${count(shown)} ${shown === 1 ? "key" : "keys"} shown${hasMore ? ", and there are more" : ""}`;
  }
  return prefix.length === 0
    ? "The store is empty. Set a key, for example with: redis-cli set greeting hello"
    : "No key begins like this.";
}

async function showPage() {
  const search = searches;
  byId("more").hidden = true;
  const after = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
  try {
    const answer = await ask(`/v1/keys?prefix=${escaped(prefix)}&limit=${PAGE}${after}`);
    const page = await answer.json();
    if (search !== searches) {
      return;
    }
    page.keys.forEach(addKey);
    cursor = page.cursor;
    hasMore = page.has_more;
    byId("more").hidden = cursor === null;
    byId("found").textContent = foundText(byId("list").children.length);
  } catch (error) {
    byId("found").textContent = `The keys cannot be listed: ${reason(error)}.`;
  }
}

function search(event) {
  event?.preventDefault();
  searches += 1;
  prefix = encoder.encode(byId("prefix").value);
  cursor = null;
  hasMore = false;
  byId("list").replaceChildren();
  return showPage();
}

// Puts the focus on a key, and makes it the one that Tab meets.
function focusOn(item) {
  const button = item?.firstElementChild;
  if (button) {
    byId("list").querySelector("[tabindex='0']").tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
  }
  return Boolean(button);
}

async function showMore() {
  const shown = byId("list").children.length;
  await showPage();
  // The button may be gone, so the focus goes on with the first key that it brought.
  focusOn(byId("list").children[shown]);
}

function walk(item, name) {
  const list = byId("list");
  const next = { ArrowDown: item.nextElementSibling, ArrowUp: item.previousElementSibling, Home: list.firstElementChild, End: list.lastElementChild };
  return focusOn(next[name]);
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const input = byId("prefix");
  const at = document.activeElement;
  const item = at?.closest?.("#list li");
  const isInBrowser = at === byId("value") || at === byId("more") || item;
  let isDone = false;
  if (event.key === "/" && at !== input) {
    input.select();
    isDone = true;
  } else if (event.key === "Escape" && at === input && input.value !== "") {
    input.value = "";
    search();
    isDone = true;
  } else if (event.key === "Escape" && isInBrowser) {
    input.focus();
    isDone = true;
  } else if (event.key === "ArrowDown" && at === input) {
    const first = byId("list").querySelector("[tabindex='0']");
    first?.focus();
    isDone = first !== null;
  } else if (item) {
    isDone = walk(item, event.key);
  }
  if (isDone) {
    event.preventDefault();
  }
}

/* ---- The clock ---- */

// Asks again and again, but not while nobody looks.
async function repeat(path, show, everyMs) {
  for (;;) {
    if (!document.hidden) {
      try {
        show(await (await ask(path)).json());
      } catch (error) {
        before = null;
        byId("main").classList.add("stale");
        say(`${reason(error)}; trying again`, "bad");
      }
    }
    await new Promise((resume) => setTimeout(resume, everyMs));
  }
}

byId("host").textContent = location.host;
byId("search").addEventListener("submit", search);
byId("more").addEventListener("click", showMore);
document.addEventListener("keydown", press);
setInterval(() => byId("list").querySelectorAll("[data-expire-at-ms]").forEach(showTimeLeft), 1000);
repeat("/v1/stats", showFigures, FIGURES_MS);
repeat("/v1/deadlines", showDeadlines, DEADLINES_MS);
search();
