
"use strict";
// Reads /metrics and /readyz every two seconds while somebody looks, and shows them.

const EVERY_MS = 2000;
const KEPT_MS = 5 * 60 * 1000;
const RATE_MS = 10 * 1000;
const RECENT_MS = 15 * 1000;
// A healthy link is heard from at least this often: a watch ends after 99 s, the sidecar is asked
// every 30 s, the Lease is written every 5 s. At 110 s /readyz says that it is silent.
const USUAL_SECONDS = { api: 100, events: 100, ack: 45, lease: 20 };
const SILENT_SECONDS = 110;
const OLD_CHUNK_SECONDS = 120;

const COUNTS = [
  ["received", "captured"], ["sent", "sent"], ["acked", "acknowledged"], ["delivered", "delivered"],
];
const STAGES = {
  receiving: "Reading events from the API server", sending: "Sending to Fluent Bit",
  lease: "Reading or writing the Lease", buffer: "Looking into Fluent Bit's buffer",
  checkpoint: "Writing the checkpoint",
};
const ERRORS = {
  unreachable: "it cannot be reached", timeout: "no answer in time", tls: "no TLS connection",
  unauthorized: "the login is refused (401)", credentials: "the credentials cannot be read",
  forbidden: "a right is missing (403)", not_found: "not found (404)",
  conflict: "somebody else wrote it first (409)", expired: "the history is compacted (410)",
  ahead_of_server: "the history went back", refused: "the request was refused",
  throttled: "asked to wait (429)", server_error: "an error of the server (5xx)",
  bad_line: "a line that cannot be read", bad_list: "a list that cannot be read",
  page_too_large: "a page was too large, and asked for again in parts",
  watch_error: "the watch ended with an error", empty_watch: "the watch ended at once",
  stopping: "broken off by the stop", io: "the connection failed", closed: "it closed the connection",
  ack_timeout: "no acknowledgement in time", ack_mismatch: "a wrong acknowledgement",
  missing: "it is not there",
};
const OF_DISKS = { buffer: { io: "it cannot be read" }, checkpoint: { io: "it cannot be written" } };
// Counters that tell of something lost, late or unusual, and what to say of each.
const OTHERS = [
  ["events_discarded_total", { reason: "bad_line" }, "Events were lost: lines that cannot be read"],
  ["events_discarded_total", { reason: "leadership_lost" },
    "Events were left to the next leader, unsent"],
  ["events_abandoned_total", {}, "Records were left to the next leader, unacknowledged"],
  ["events_truncated_total", {}, "Records were sent incomplete"],
  ["watch_total", { result: "queue_full" }, "The watch was closed because the queue stayed full"],
  ["relist_total", { reason: "expired" }, "Events were listed again: history was compacted", true],
  ["relist_total", { reason: "went_back" }, "All events were listed anew: history went back"],
  ["relist_total", { reason: "unwatchable" }, "All events were listed anew: no watch worked"],
];

const at = (id) => document.getElementById(id);
const history = [];  // {at, received, sent, acked, delivered}, the oldest first
const risen = new Map();  // what counter was seen to rise, and when
const known = new Map();
let isLooking = false;
let answeredAt = null;
let timer = null;

/* ---- Prometheus' text format */

function parse(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = /^eventrouter_(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)
      || /^(process_start_time_seconds)() (\S+)$/.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] || "").matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, escaped) => escaped === "n" ? "\n" : escaped);
    }
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

function select(samples, name, labels = {}) {
  return samples.filter((sample) => sample.name === name
    && Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
}

function value(samples, name, labels = {}) {
  const found = select(samples, name, labels);
  return found.length ? found.reduce((sum, sample) => sum + sample.value, 0) : NaN;
}

/* ---- words for numbers */

const whole = (number) => Number.isNaN(number) ? "–" : number.toLocaleString("en-US");

function perSecond(rate) {
  if (rate === null) return "– /s";
  const digits = rate >= 10 || rate === 0 ? 0 : rate >= 1 ? 1 : 2;
  return `${rate.toLocaleString("en-US", {
    minimumFractionDigits: digits, maximumFractionDigits: digits })} /s`;
}

function span(seconds) {
  const rounded = Math.max(0, Math.round(seconds));
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (rounded >= 2 * length) return `${Math.floor(rounded / length)} ${unit}`;
  }
  return `${rounded} s`;
}

function bytes(number) {
  if (Number.isNaN(number)) return "–";
  for (const [unit, size] of [["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (number >= size) return `${(number / size).toFixed(1)} ${unit}`;
  }
  return `${number} B`;
}

const times = (number) => number === 1 ? "once" : `${whole(number)} times`;

/* ---- the page */

function show(id, text, state = "") {
  at(id).textContent = text;
  at(id).className = state;
}

function showAge(id, timestamp, now, usualSeconds) {
  if (!timestamp) return show(id, "never");
  const age = now - timestamp;
  const state = age > SILENT_SECONDS ? "bad" : age > usualSeconds ? "warn" : "";
  show(id, `${span(age)} ago`, usualSeconds ? state : "");
}

function element(name, attributes = {}, text = "") {
  const isDrawing = ["svg", "path", "line", "title"].includes(name);
  const made = isDrawing
    ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, given] of Object.entries(attributes)) made.setAttribute(key, given);
  if (text) made.textContent = text;
  return made;
}

function makeCounts() {
  for (const [name, word] of COUNTS) {
    const tile = element("div", { class: name === "received" || name === "sent"
      ? "count" : "count beyond" });
    const head = element("p", { class: "name quiet" });
    head.append(element("span", {}, word), element("span", { class: "rate", id: `${name}-now` }));
    const curve = element("svg", { viewBox: "0 0 300 40", preserveAspectRatio: "none", role: "img",
      id: `${name}-curve` });
    tile.append(head, element("p", { class: "total", id: `${name}-total` }, "–"), curve);
    at("counts").append(tile);
  }
}

function rate(name) {
  const last = history[history.length - 1];
  const first = history.find((each) => each.at >= last.at - RATE_MS);
  if (!last || first === last) return null;
  return (last[name] - first[name]) * 1000 / (last.at - first.at);
}

function draw(name, word) {
  const now = history[history.length - 1].at;
  const shown = Math.min(KEPT_MS, Math.max(60 * 1000, now - history[0].at));
  const points = [];
  // Over three steps each: single steps jump between none and several.
  for (let i = 1; i < history.length; i += 1) {
    const from = history[Math.max(0, i - 3)], to = history[i];
    points.push([300 - (now - to.at) * 300 / shown,
      (to[name] - from[name]) * 1000 / (to.at - from.at)]);
  }
  const peak = Math.max(0, ...points.map(([, height]) => height));
  const path = points.map(([x, height]) =>
    `${x.toFixed(1)} ${(39 - (peak ? height / peak : 0) * 36).toFixed(1)}`);
  const curve = at(`${name}-curve`);
  curve.replaceChildren(
    element("title", {}, `${word} a second in the last five minutes, ${perSecond(peak)} at most`),
    element("line", { class: "ground", x1: 0, x2: 300, y1: 39.5, y2: 39.5 }));
  if (path.length > 1) {
    const first = points[0][0].toFixed(1);
    curve.append(
      element("path", { class: "below", d: `M${first} 39 L${path.join(" L")} L300 39 Z` }),
      element("path", { class: "curve", d: `M${path.join(" L")}` }));
  }
}

function showCounts(samples) {
  const entry = { at: performance.now() };
  for (const [name] of COUNTS) entry[name] = value(samples, `events_${name}_total`);
  const last = history[history.length - 1];
  if (last && entry.received < last.received) history.length = 0;  // the watcher started anew
  history.push(entry);
  while (history[0].at < entry.at - KEPT_MS) history.shift();
  for (const [name, word] of COUNTS) {
    at(`${name}-total`).textContent = whole(entry[name]);
    at(`${name}-now`).textContent = perSecond(rate(name));
    draw(name, word);
  }
  at("watch-rate").textContent = perSecond(rate("received"));
  for (const name of ["sent", "acked", "delivered"]) {
    at(`${name}-rate`).textContent = perSecond(rate(name));
  }
}

function showPair(samples, now, lines) {
  showAge("api-age", value(samples, "api_contact_timestamp_seconds"), now, USUAL_SECONDS.api);
  const contacts = select(samples, "events_contact_timestamp_seconds").map((each) => each.value);
  if (contacts.length) showAge("events-age", Math.min(...contacts), now, USUAL_SECONDS.events);
  else show("events-age", "not followed");
  // Before the first answer, the metric says when the watcher began to follow.
  if (lines.some((line) => /^events.*: not reached yet$/.test(line))) {
    show("events-age", "not yet", "bad");
  }
  const lease = value(samples, "lease_contact_timestamp_seconds");
  if (lease) showAge("lease-age", lease, now, USUAL_SECONDS.lease);
  else show("lease-age", "none");
  showPositions(samples);
  show("queued", whole(value(samples, "queue_events")));
  show("queued-bytes", bytes(value(samples, "queue_bytes")));
  show("in-flight", whole(value(samples, "events_in_flight")));
  const isLeading = value(samples, "leading") === 1;
  const ack = value(samples, "last_ack_timestamp_seconds");
  showAge("ack-age", ack, now, isLeading ? USUAL_SECONDS.ack : 0);
  if (lines.some((line) => line.startsWith("sidecar: "))) at("ack-age").className = "bad";
  for (const outputs of ["required", "optional"]) {
    const oldest = value(samples, "buffer_oldest_chunk_timestamp_seconds", { outputs });
    const age = now - oldest;
    show(`${outputs}-chunks`, whole(value(samples, "buffer_chunks", { outputs })));
    show(`${outputs}-age`, Number.isNaN(oldest) ? "–" : span(age),
      age > OLD_CHUNK_SECONDS ? "warn" : "");
  }
  showAge("delivered-age", value(samples, "last_delivered_timestamp_seconds"), now, 0);
  const isSeen = !Number.isNaN(value(samples, "buffer_chunks", { outputs: "required" }));
  at("delivery-note").textContent = isSeen || !isLeading ? ""
    : "The watcher cannot see the buffer. Without --buffer-path, an ack counts as delivered.";
}

function showPositions(samples) {
  const namespaces = new Map();
  for (const { labels, value: position } of select(samples, "position")) {
    const words = namespaces.get(labels.namespace) || {};
    namespaces.set(labels.namespace, { ...words, [labels.reached]: position });
  }
  const rows = [];
  for (const [namespace, words] of [...namespaces].sort()) {
    for (const [reached, word] of [["acked", "acknowledged"], ["delivered", "delivered"]]) {
      const row = element("div");
      const name = namespace ? `${namespace}, ${word}` : word;
      row.append(element("dt", {}, name), element("dd", { id: `position-${namespace}-${reached}` },
        reached in words ? String(words[reached]) : "–"));
      rows.push(row);
    }
  }
  at("positions").replaceChildren(...(rows.length ? rows : [element("div", {}, "–")]));
}

/* ---- what is wrong, in words */

const LINES = [
  [/^events(.*): (.*)$/, (of, what) => `The API server does not answer about events${of}: ${what}`],
  [/^sidecar: (.*)$/, (what) => `Fluent Bit does not acknowledge: ${what}`],
  [/^lease: (.*)$/, (what) => `The API server does not answer about the Lease: ${what}`],
  [/^buffer(.*?): (.*)$/, (of, what) => `Fluent Bit's buffer${of}: ${what}`],
  [/^setup (.*?): (.*)$/, (of, what) => `The output ${of}: ${what}`],
];

function inWords(line) {
  for (const [pattern, words] of LINES) {
    const found = pattern.exec(line);
    if (found) return words(...found.slice(1));
  }
  return line;
}

/* Counters of troubles that are not 0: when each last rose, as far as this page has seen it. */
function counted(samples) {
  const found = [];
  for (const { labels, value: number } of select(samples, "errors_total")) {
    const { stage, error_type: type } = labels;
    const reason = (OF_DISKS[stage] || {})[type] || ERRORS[type] || type;
    found.push([`${STAGES[stage] || stage}: ${reason}`, number]);
  }
  for (const [name, labels, words, isUsual] of OTHERS) {
    found.push([words, value(samples, name, labels), isUsual]);
  }
  const now = performance.now();
  const isFirst = known.size === 0;
  for (const [words, number] of found) {
    if (!isFirst && number > (known.get(words) || 0)) risen.set(words, now);
    known.set(words, number);
  }
  return found.filter(([, number]) => number > 0).map(([words, number, isUsual]) => {
    const age = risen.has(words) ? now - risen.get(words) : Infinity;
    const last = age === Infinity ? "not while this page is open" : `last ${span(age / 1000)} ago`;
    return { words: `${words}: ${times(number)}, ${last}`, age, isNow: !isUsual && age < RECENT_MS };
  }).sort((one, other) => one.age - other.age);
}

function showTroubles(samples, lines, isReady) {
  const told = lines.filter((line) => line !== "ok" && !line.startsWith("standby: "));
  const counters = counted(samples);
  const items = told.map((line) => element("li", {
    class: isReady || /^(buffer|setup)/.test(line) ? "warn" : "bad" }, inWords(line)));
  for (const { words, isNow } of counters) {
    items.push(element("li", { class: isNow ? "warn" : "" }, words));
  }
  if (!items.length) items.push(element("li", {}, "None since this watcher started."));
  at("trouble-list").replaceChildren(...items);
  return told.length > 0 || counters.some(({ isNow }) => isNow);
}

function showVerdict(samples, lines, isReady, hasTrouble) {
  const isLeading = value(samples, "leading") === 1;
  const note = lines.find((line) => line.startsWith("standby: "));
  // The identity is the pod's name and uid; no pod's name has an underscore.
  const leader = note ? note.slice("standby: ".length).replace(/_\S*/, "") : "nobody leads yet";
  const hasLease = value(samples, "lease_contact_timestamp_seconds") > 0;
  show("role", !isLeading ? `stands by: ${leader}` : hasLease ? "leads" : "leads, without a Lease",
    "quiet");
  document.body.classList.toggle("standby", !isLeading);
  const [words, state] = !isReady ? ["Not ready", "bad"]
    : !isLeading ? ["Standing by", hasTrouble ? "warn" : "good"]
      : hasTrouble ? ["Ready, with troubles", "warn"] : ["Ready", "good"];
  show("verdict", words, state);
  document.title = `${words}: eventrouter`;
}

/* ---- asking */

async function ask(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5000) });
  return [response, await response.text()];
}

async function look() {
  const [[metrics, text], [ready, said]] = await Promise.all([ask("metrics"), ask("readyz")]);
  if (!metrics.ok) throw new Error(`/metrics answers ${metrics.status}`);
  const now = Date.parse(metrics.headers.get("date")) / 1000;  // by the watcher's clock
  const samples = parse(text);
  const lines = said.split("\n").filter((line) => line);
  showCounts(samples);
  showPair(samples, now, lines);
  showVerdict(samples, lines, ready.ok, showTroubles(samples, lines, ready.ok));
  const [build] = select(samples, "build_info");
  const began = value(samples, "process_start_time_seconds");
  at("about").textContent = `version ${build.labels.version}`
    + (Number.isNaN(began) ? "" : `, runs for ${span(now - began)}`);
  answeredAt = performance.now();
  document.body.classList.remove("stale");
  document.body.dataset.looks = Number(document.body.dataset.looks || 0) + 1;
}

function showSilence() {
  const since = answeredAt === null ? "" : ` for ${span((performance.now() - answeredAt) / 1000)}`;
  show("verdict", `No answer from the watcher${since}`, "bad");
  document.title = "No answer: eventrouter";
  document.body.classList.add("stale");
}

async function keepLooking() {
  clearTimeout(timer);
  if (document.hidden || isLooking) return;
  isLooking = true;
  try {
    await look();
  } catch (error) {
    console.info(`No figures: ${error.message}`);
    showSilence();
  }
  isLooking = false;
  timer = setTimeout(keepLooking, EVERY_MS);
}

makeCounts();
document.addEventListener("visibilitychange", keepLooking);
keepLooking();
