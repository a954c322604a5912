// The cohort's page: searches, sorts and pages through all exams; loads what it shows from the scripts in index/.
const $ = (id) => document.getElementById(id);
const meta = JSON.parse($("data").textContent);
const FAR = 3.5; // robust SD from the median: an outlier
const BINS = 36, MARKED = 40, KEPT_FILES = 300;

// data beside the page: a page from disk may fetch nothing, so each file is a script that hands in its value
const arrived = new Map(), asked = new Map();
globalThis.dmcvr = (key, value) => arrived.set(key, value);
function load(key) {
  if (!asked.has(key)) {
    asked.set(key, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `index/${key}.js`;
      script.onload = () => {
        script.remove();
        resolve(arrived.get(key));
        arrived.delete(key);
      };
      script.onerror = () => {
        script.remove();
        asked.delete(key);
        reject(new Error(key));
      };
      document.head.append(script);
    }));
  }
  return asked.get(key);
}
function trouble() {
  $("trouble").hidden = false;
  $("trouble").textContent = "Some of this page's data is not there: the cohort has gone on since it was opened, or the folder index/ was not copied with it. Load the page again.";
}
function decoded(text, type) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return new type(bytes.buffer);
}

// what is chosen stands in the address, so that a reload and the way back from a report keep it
const START = { q: "", show: "", flag: "", range: "", from: "", to: "", sort: "worst", order: "down", page: 1, size: 25, columns: meta.shown.join(" ") };
const state = { ...START };
function remember() {
  const parts = Object.keys(START).filter((key) => state[key] !== START[key]).map((key) => [key, state[key]]);
  history.replaceState(null, "", parts.length ? `#${new URLSearchParams(parts)}` : location.pathname + location.search);
}
function recall() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const key in START) if (found.has(key)) state[key] = typeof START[key] === "number" ? Number(found.get(key)) || START[key] : found.get(key);
  state.columns = shown().join(" ");
  if (state.range && !meta.columns[state.range]) state.range = "";
  if (!["worst", "name", "seconds"].includes(state.sort) && !meta.columns[state.sort]) state.sort = "worst";
}
const shown = () => state.columns.split(" ").filter((name) => name in meta.columns);

let exams, count, all, mains, selection = new Uint32Array(0), chosen = -1;
start().catch(trouble);

async function start() {
  recall();
  const base = await load(meta.base);
  count = base.exams.length;
  exams = {
    names: base.exams, lower: base.exams.map((name) => name.toLowerCase()), files: base.files,
    measured: decoded(base.measured, Uint8Array), report: decoded(base.report, Uint8Array), looks: decoded(base.looks, Uint8Array),
    farthest: decoded(base.farthest, Float32Array), which: decoded(base.which, Int8Array), starts: decoded(base.starts, Uint32Array),
    flags: Object.fromEntries(Object.entries(base.flags).map(([name, rows]) => [name, decoded(rows, Uint32Array)])),
  };
  exams.looking = byRow(exams.flags);
  columns.set("seconds", decoded(base.seconds, Float32Array));
  all = Uint32Array.from({ length: count }, (_, row) => row);
  listen();
  show();
  await choose();
  await Promise.all(meta.main.map(({ name }) => column(name)));
  mains = meta.main.map(distribution);
  draw();
  document.documentElement.dataset.ready = "yes";
}

// the flags of each row: where they begin in one list of indices
function byRow(flags) {
  const names = Object.keys(flags), starts = new Uint32Array(count + 1);
  for (const name of names) for (const row of flags[name]) starts[row + 1]++;
  for (let row = 0; row < count; row++) starts[row + 1] += starts[row];
  const list = new Uint8Array(starts[count]), next = starts.slice();
  names.forEach((name, k) => { for (const row of flags[name]) list[next[row]++] = k; });
  return (row) => [...list.subarray(starts[row], starts[row + 1])].map((k) => names[k]);
}

const columns = new Map();
async function column(name) {
  if (!columns.has(name)) columns.set(name, decoded(await load(meta.columns[name].file), Float32Array));
  return columns.get(name);
}

// sorted once a column and order; a search then only walks through
const orders = new Map();
async function ordered() {
  const { sort } = state, down = state.order === "down", key = `${sort} ${down}`;
  if (!orders.has(key)) orders.set(key, sort === "name" ? byName(down) : sort === "worst" ? byWorst(down) : byNumber(await column(sort), down));
  return orders.get(key);
}
function byName(down) {
  const sign = down ? -1 : 1, { names } = exams;
  return all.slice().sort((a, b) => (names[a] < names[b] ? -sign : names[a] > names[b] ? sign : a - b));
}
function byWorst(down) {
  const bad = new Float64Array(count);
  for (let row = 0; row < count; row++) bad[row] = exams.measured[row] ? exams.looks[row] * 1e6 + Math.min(exams.farthest[row], 9e5) : Infinity;
  return byNumber(bad, down);
}
function byNumber(values, down) {
  const known = all.filter((row) => values[row] === values[row]), unknown = all.filter((row) => values[row] !== values[row]);
  const sign = down ? -1 : 1;
  known.sort((a, b) => (values[a] < values[b] ? -sign : values[a] > values[b] ? sign : a - b));
  const found = new Uint32Array(count);
  found.set(known);
  found.set(unknown, known.length);
  return found;
}

async function choose() {
  const order = await ordered(), words = state.q.trim().toLowerCase();
  const range = state.range && (state.from !== "" || state.to !== "") ? await column(state.range) : null;
  const from = state.from === "" ? -Infinity : Number(state.from), to = state.to === "" ? Infinity : Number(state.to);
  let flagged = null;
  if (state.flag && exams.flags[state.flag]) {
    flagged = new Uint8Array(count);
    for (const row of exams.flags[state.flag]) flagged[row] = 1;
  }
  const { measured, looks, lower } = exams, found = new Uint32Array(count);
  let size = 0;
  for (const row of order) {
    if (state.show === "failed" ? measured[row] : state.show === "measured" ? !measured[row] : state.show === "look" && !looks[row]) continue;
    if (flagged && !flagged[row]) continue;
    if (range && !(range[row] >= from && range[row] <= to)) continue;
    if (words && !lower[row].includes(words)) continue;
    found[size++] = row;
  }
  selection = found.subarray(0, size);
  state.page = Math.max(1, Math.min(state.page, pages()));
  await fill();
  draw();
}
const pages = () => Math.max(1, Math.ceil(selection.length / state.size));
const number = (value) => value.toLocaleString("en");

// the table
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function header(sort, label, unit, className) {
  const button = element("button", { type: "button" }, label);
  button.onclick = () => change({ sort, order: state.sort === sort ? (state.order === "down" ? "up" : "down") : sort === "name" ? "up" : "down", page: 1 });
  const cell = element("th", { scope: "col", class: className, "aria-sort": state.sort === sort ? (state.order === "down" ? "descending" : "ascending") : null }, button);
  if (unit) cell.append(element("span", { class: "unit" }, unit));
  return cell;
}
async function fill() {
  const names = shown(), values = await Promise.all(names.map(column));
  const first = (state.page - 1) * state.size, rows = [...selection.subarray(first, first + state.size)];
  const focused = document.activeElement?.closest?.("#head th")?.cellIndex;
  $("head").replaceChildren(
    element("th", { scope: "col" }, element("span", { class: "unseen" }, "Picture")), header("name", "Exam"), header("worst", "To look at"),
    ...names.map((name) => header(name, meta.columns[name].label, meta.columns[name].unit, "number")),
  );
  if (focused !== undefined) $("head").cells[focused]?.querySelector("button")?.focus();
  $("body").replaceChildren(...rows.map((row) => line(row, names, values)));
  const total = selection.length, whole = total === count ? "" : ` of ${number(count)}`;
  $("status").textContent = total ? `${number(total)}${whole} exams, ${number(first + 1)} to ${number(first + rows.length)} shown` : "No exam is like that.";
  $("pages").textContent = `of ${number(pages())}`;
  $("page").max = pages();
  $("first").disabled = $("back").disabled = state.page === 1;
  $("next").disabled = $("last").disabled = state.page === pages();
  show();
  remember();
}
function line(row, names, values) {
  const name = exams.names[row];
  const path = meta.report.replace("{exam}", () => name.split("/").map(encodeURIComponent).join("/"));
  const thumb = element("span", { class: "thumb" }), failed = !exams.measured[row];
  const title = element("th", { scope: "row", class: "name" }, exams.report[row] ? element("a", { href: path }, name) : name);
  const why = element("td", { class: "why", colspan: failed ? names.length + 1 : null });
  const cells = failed ? [] : names.map((measure, k) => cell(measure, values[k][row]));
  const made = element("tr", { class: [row === chosen && "chosen", failed && "failed"].filter(Boolean).join(" "), tabindex: row === chosen ? "-1" : null }, element("td", { class: "picture" }, failed ? "" : thumb), title, why, ...cells);
  explain(why, row, {});
  about(row).then((found) => {
    if (!made.isConnected) return;
    if (found.thumbnail) thumb.replaceWith(element("img", { class: "thumb", src: `data:image/webp;base64,${found.thumbnail}`, alt: "", width: 72, height: 72 }));
    explain(why, row, found);
  }, trouble);
  return made;
}
function cell(measure, value) {
  const { label, unit, digits } = meta.columns[measure], made = element("td", { class: "number", "data-label": unit ? `${label}, ${unit}` : label });
  if (value !== value) made.append("–");
  else {
    const main = meta.main.find(({ name }) => name === measure), z = main ? (value - main.median) / main.scale : 0;
    if (Math.abs(z) > FAR) made.append(element("span", { class: "mark-outside", title: `z ${z.toFixed(1)}` }, z > 0 ? "▲ " : "▼ ", element("span", { class: "unseen" }, z > 0 ? "far above the median: " : "far below the median: ")));
    made.append(value.toFixed(digits));
  }
  return made;
}
function explain(where, row, { flags = [], sentence = "" }) {
  const parts = [];
  if (!exams.measured[row]) parts.push(element("p", { class: "failed" }, element("b", {}, "Failed"), sentence ? `: ${sentence}` : ""));
  const looking = exams.looking(row);
  if (looking.length) {
    const title = element("summary", {}, element("b", { class: "mark-outside" }, `▲ ${looking.length}: `), looking.join(", "));
    const texts = flags.filter(([level]) => level === "look").map(([, name, text]) => element("li", {}, element("b", {}, name), `: ${text}`));
    parts.push(element("details", where.querySelector("details")?.open ? { open: "" } : {}, title, element("ul", {}, ...texts)));
  }
  if (exams.farthest[row] > FAR) parts.push(element("p", { class: "soft" }, `${meta.columns[meta.main[exams.which[row]].name].label} far from the median (z ${exams.farthest[row].toFixed(1)})`));
  where.replaceChildren(...parts);
}
async function about(row) {
  let low = 0, high = exams.starts.length - 1; // the file that the row is in
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (exams.starts[middle] <= row) low = middle;
    else high = middle - 1;
  }
  const key = `rows/${exams.files[low]}`, found = await load(key);
  asked.delete(key); // the least recently used go first
  asked.set(key, Promise.resolve(found));
  const held = [...asked.keys()].filter((name) => name.startsWith("rows/"));
  for (const old of held.slice(0, Math.max(0, held.length - KEPT_FILES))) asked.delete(old);
  return found[row - exams.starts[low]];
}

// distributions
function distribution({ name, median, scale }) {
  const values = columns.get(name);
  let least = Infinity, most = -Infinity;
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const low = Math.max(least, median - 6 * scale), high = Math.max(Math.min(most, median + 6 * scale), low + 1e-6);
  const bins = new Int16Array(count).fill(-1), counts = new Uint32Array(BINS);
  for (let row = 0; row < count; row++) {
    if (values[row] !== values[row]) continue;
    bins[row] = Math.max(0, Math.min(BINS - 1, Math.floor(((values[row] - low) / (high - low)) * BINS)));
    counts[bins[row]]++;
  }
  const away = (row) => Math.abs(values[row] - median) / scale;
  const far = all.filter((row) => away(row) > FAR).sort((a, b) => away(b) - away(a));
  return { name, median, least, most, low, high, values, bins, counts, top: Math.max(...counts), far };
}
const SVG = "http://www.w3.org/2000/svg";
function shape(tag, attributes, title) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (title) {
    made.append(document.createElementNS(SVG, "title"));
    made.lastChild.textContent = title;
    made.setAttribute("aria-label", title);
  }
  return made;
}
const WIDTH = 232, HEIGHT = 77, BASE = 66;
function draw() {
  if (!mains || !$("histograms")) return;
  const kept = new Uint8Array(count);
  for (const row of selection) kept[row] = 1;
  const focused = document.activeElement?.dataset?.spot;
  $("histograms").replaceChildren(...mains.map((main) => histogram(main, kept)));
  if (focused) $("histograms").querySelector(`[data-spot="${focused}"]`)?.focus();
}
function histogram(main, kept) {
  const { name, low, high, bins, counts, top, values, far } = main, { label, unit, digits } = meta.columns[name];
  const now = new Uint32Array(BINS);
  for (const row of selection) if (bins[row] >= 0) now[bins[row]]++;
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group" }, "");
  svg.setAttribute("aria-label", `${label}: ${BINS} bars, then outliers; arrow keys`);
  const step = WIDTH / BINS, edge = (k) => low + ((high - low) * k) / BINS, spots = [];
  for (let k = 0; k < BINS; k++) {
    const tall = (n) => (n ? Math.max(1, (n / top) * (BASE - 4)) : 0);
    for (const [kind, n] of [["all", counts[k]], ["kept", now[k]]]) svg.append(shape("rect", { class: kind, x: k * step, width: step - 0.8, y: BASE - tall(n), height: tall(n) }));
  }
  for (let k = 0; k < BINS; k++) {
    if (!counts[k]) continue;
    const from = k ? edge(k) : main.least, to = k < BINS - 1 ? edge(k + 1) : main.most;
    const hit = shape("rect", { class: "hit", x: k * step, width: step, y: 0, height: BASE, role: "button" }, `${from.toFixed(digits)} to ${to.toFixed(digits)} ${unit}: ${number(counts[k])} exams`);
    hit.onclick = () => change({ range: name, from: String(Number(from.toPrecision(6))), to: String(Number(to.toPrecision(6))), page: 1 });
    spots.push(hit);
  }
  for (const row of [...far.subarray(0, MARKED)].sort((a, b) => values[a] - values[b])) {
    const x = Math.max(3, Math.min(WIDTH - 3, ((values[row] - low) / (high - low)) * WIDTH));
    const mark = shape("path", { class: kept[row] ? "outlier" : "outlier out", d: `M${x - 4} ${BASE + 9}L${x} ${BASE + 2}L${x + 4} ${BASE + 9}Z`, role: "button" }, `${exams.names[row]}: ${values[row].toFixed(digits)} ${unit}`);
    mark.onclick = () => reveal(row);
    spots.push(mark);
  }
  spots.forEach((spot, k) => {
    spot.setAttribute("tabindex", k ? "-1" : "0");
    spot.dataset.spot = `${name} ${k}`;
    spot.onkeydown = (event) => {
      const to = { ArrowRight: k + 1, ArrowLeft: k - 1, Home: 0, End: spots.length - 1 }[event.key];
      if (to !== undefined && spots[to]) {
        spot.setAttribute("tabindex", "-1");
        spots[to].setAttribute("tabindex", "0");
        spots[to].focus();
      } else if (event.key === "Enter" || event.key === " ") spot.onclick();
      else return;
      event.preventDefault();
    };
  });
  svg.append(...spots);
  svg.append(shape("line", { class: "grid", x1: 0, x2: WIDTH, y1: BASE + 0.5, y2: BASE + 0.5 }));
  const axis = element("p", { class: "axis", "aria-hidden": "true" }, ...[low, (low + high) / 2, high].map((value) => element("span", {}, value.toFixed(digits))));
  const more = far.length ? `${number(far.length)} outlier${far.length > 1 ? "s" : ""}` : "no outliers";
  return element("div", { class: "histogram" }, element("h3", {}, unit ? `${label}, ${unit}` : label), svg, axis, element("p", {}, `median ${main.median.toFixed(digits)}, ${more}`));
}

// what a person does
async function change(what) {
  Object.assign(state, what);
  await choose().catch(trouble);
}
async function reveal(row) {
  chosen = row;
  if (!selection.includes(row)) await change({ q: "", show: "", flag: "", range: "", from: "", to: "" });
  await change({ page: Math.floor(selection.indexOf(row) / state.size) + 1 });
  const found = document.querySelector("tr.chosen");
  found?.scrollIntoView({ block: "center" });
  found?.focus({ preventScroll: true });
}
const FIELDS = ["q", "show", "flag", "range", "from", "to", "sort", "order", "page", "size"];
function show() {
  for (const key of FIELDS) if ($(key) && document.activeElement !== $(key) && $(key).value !== String(state[key])) $(key).value = state[key];
  const names = shown();
  for (const box of document.querySelectorAll("#choices input")) box.checked = names.includes(box.value);
}
function listen() {
  let waiting;
  for (const key of FIELDS) {
    $(key)?.addEventListener(key === "q" ? "input" : "change", () => {
      const value = typeof START[key] === "number" ? Number($(key).value) || START[key] : $(key).value;
      const turned = key === "sort" ? { order: value === "name" ? "up" : "down" } : {};
      clearTimeout(waiting);
      waiting = setTimeout(() => change({ page: 1, [key]: value, ...turned }), key === "q" ? 60 : 0);
    });
  }
  $("tools").onsubmit = (event) => event.preventDefault();
  $("tools").onreset = (event) => {
    event.preventDefault();
    chosen = -1;
    document.activeElement?.blur?.();
    change({ ...START, size: state.size, columns: state.columns });
  };
  $("choices")?.addEventListener("change", () => change({ columns: [...document.querySelectorAll("#choices input:checked")].map((box) => box.value).join(" ") }));
  for (const [id, to] of [["first", () => 1], ["back", () => state.page - 1], ["next", () => state.page + 1], ["last", pages]]) {
    $(id).onclick = () => change({ page: to() });
  }
  $("save").onclick = () => {
    const text = [...selection].map((row) => `${exams.names[row]}\n`).join("");
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: "exams.txt" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  window.onhashchange = () => {
    Object.assign(state, START);
    recall();
    change({});
  };
}
