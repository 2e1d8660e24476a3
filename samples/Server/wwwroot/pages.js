import { request } from "./api.js";

// The drawing: each square is a physical page, each colour a sequence. A page that several sequences share has all of their colours and a frame.

const busy = 200, calm = 1000; // milliseconds between two looks
const canvas = document.querySelector("#grid");
const context = canvas.getContext("2d");
const list = document.querySelector("#sequences");
const dark = matchMedia("(prefers-color-scheme: dark)");
const set = (id, value) => document.querySelector(id).textContent = value;

const hues = new Map(); // of the sequences that hold pages
let snapshot = null, before = null, rate = 0, pointed = null;

/** The hue that is farthest from those in use, so that neighbours in time look different. */
function hue(id) {
  if (!hues.has(id)) {
    const used = [...hues.values()];
    const distance = candidate => Math.min(360, ...used.map(other => Math.min(Math.abs(other - candidate), 360 - Math.abs(other - candidate))));
    const candidates = Array.from({ length: 72 }, (_, index) => (250 + index * 137.5) % 360);
    hues.set(id, candidates.reduce((best, candidate) => distance(candidate) > distance(best) + 0.01 ? candidate : best));
  }
  return hues.get(id);
}

const colour = id => `oklch(${dark.matches ? 0.74 : 0.64} 0.14 ${hue(id)})`;

function holders() {
  const pages = new Map();
  for (const sequence of snapshot.sequences) {
    for (const page of sequence.pages) {
      if (!pages.has(page)) pages.set(page, []);
      pages.get(page).push(sequence);
    }
  }
  return pages;
}

/** The largest squares with which all pages fit. */
function layout(width, height, pages) {
  for (let pitch = 24; pitch > 3; pitch--) {
    const columns = Math.floor(width / pitch);
    if (columns * Math.floor(height / pitch) >= pages) return { pitch, columns };
  }
  return { pitch: 3, columns: Math.floor(width / 3) };
}

function draw() {
  if (!snapshot) return;
  const { clientWidth: width, clientHeight: height } = canvas, scale = devicePixelRatio;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  context.scale(scale, scale);
  const style = getComputedStyle(document.body);
  const free = style.getPropertyValue("--free"), cachedColour = style.getPropertyValue("--cached"), ink = style.color;
  const probe = document.createElement("i");
  document.body.append(probe);
  const resolve = value => { probe.style.color = value; return getComputedStyle(probe).color; };
  const [freeFill, cachedLine] = [resolve(free), resolve(cachedColour)];
  probe.remove();

  const { pitch, columns } = layout(width, height, snapshot.pages);
  const gap = pitch > 9 ? 3 : pitch > 5 ? 2 : 1, size = pitch - gap, thick = size > 7 ? 1.5 : 1;
  const held = holders(), cached = new Set(snapshot.cached);
  for (let page = 0; page < snapshot.pages; page++) {
    const x = page % columns * pitch, y = Math.floor(page / columns) * pitch, sequences = held.get(page);
    context.globalAlpha = pointed !== null && !sequences?.some(sequence => sequence.id === pointed) ? 0.25 : 1;
    if (sequences) {
      const shown = sequences.slice(0, 4), width = size / shown.length;
      shown.forEach((sequence, index) => {
        context.fillStyle = colour(sequence.id);
        context.fillRect(x + index * width, y, width, size);
      });
      if (sequences.length > 1) frame(x, y, size, ink, thick);
    } else if (cached.has(page)) {
      frame(x + thick / 2, y + thick / 2, size - thick, cachedLine, thick);
    } else {
      context.fillStyle = freeFill;
      context.fillRect(x, y, size, size);
    }
  }
  context.globalAlpha = 1;
}

function frame(x, y, size, line, thick) {
  context.strokeStyle = line;
  context.lineWidth = thick;
  context.strokeRect(x, y, size, size);
}

function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

function describe() {
  const held = holders();
  const shared = [...held.values()].filter(sequences => sequences.length > 1).length;
  set("#rate", rate < 10 ? rate.toFixed(1).replace(/\.0$/, "") : Math.round(rate).toLocaleString());
  set("#running", snapshot.running);
  set("#room", ` of ${snapshot.most_running}${snapshot.waiting ? `, ${snapshot.waiting} waiting` : ""}`);
  set("#held", held.size.toLocaleString());
  set("#total", ` of ${snapshot.pages.toLocaleString()}, ${shared} shared, ${snapshot.cached.length} cached`);
  const bytes = snapshot.page_bytes >= 1048576 ? `${snapshot.page_bytes / 1048576} MiB` : `${snapshot.page_bytes / 1024} KiB`;
  set("#memory-title", `Keys and values: ${count(snapshot.pages, "page")} of ${bytes}, ${(snapshot.page_bytes / snapshot.token_bytes).toFixed(1).replace(/\.0$/, "")} tokens each`);
  canvas.setAttribute("aria-label", `${count(snapshot.sequences.length, "sequence")} hold ${count(held.size, "page")} of ${snapshot.pages}; ${shared} shared, ${snapshot.cached.length} cached.`);
  const items = snapshot.sequences.map(sequence => {
    const ours = sequence.pages.filter(page => held.get(page).length > 1).length;
    return { id: sequence.id, label: `${count(sequence.tokens, "token")}, ${count(sequence.pages.length, "page")}${ours ? `, ${ours} shared` : ""}${sequence.is_idle ? ", idle" : ""}` };
  });
  while (list.children.length > items.length) list.lastChild.remove();
  while (list.children.length < items.length) list.append(row());
  items.forEach(({ id, label }, index) => {
    const button = list.children[index].firstChild;
    button.dataset.id = id;
    button.textContent = label;
    button.style.setProperty("--colour", colour(id));
  });
}

function row() {
  const item = document.createElement("li"), button = document.createElement("button");
  button.type = "button";
  const point = id => { pointed = id; draw(); };
  button.addEventListener("pointerenter", () => point(Number(button.dataset.id)));
  button.addEventListener("focus", () => point(Number(button.dataset.id)));
  button.addEventListener("pointerleave", () => point(null));
  button.addEventListener("blur", () => point(null));
  item.append(button);
  return item;
}

function measure() {
  const seconds = before ? (snapshot.time - before.time) / 1000 : 0;
  const now = seconds > 0 ? (snapshot.generated_tokens - before.generated_tokens) / seconds : 0;
  rate = snapshot.running === 0 && now === 0 ? 0 : rate === 0 ? now : 0.6 * rate + 0.4 * now;
  const ids = new Set(snapshot.sequences.map(sequence => sequence.id));
  for (const id of hues.keys()) if (!ids.has(id)) hues.delete(id);
  if (!ids.has(pointed)) pointed = null;
}

async function look() {
  try {
    if (!document.hidden) {
      const next = await (await request("kv")).json();
      [before, snapshot] = [snapshot, next];
      measure();
      describe();
      draw();
    }
  } catch {
    // The server is away: the next look may find it again.
  }
  setTimeout(look, snapshot?.running ? busy : calm);
}

new ResizeObserver(draw).observe(canvas);
dark.addEventListener("change", draw);
look();
