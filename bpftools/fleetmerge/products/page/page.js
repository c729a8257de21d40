"use strict";
// What others wrote reaches the page as text alone: textContent and attributes, never markup.
const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// What a link leads to is opened; every basis is open on paper.
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") {
    for (let one = target; one; one = one.parentElement.closest("details")) one.open = true;
    target.scrollIntoView({ block: "center" });
    target.querySelector("summary").focus({ preventScroll: true });
  }
}
addEventListener("hashchange", openTarget);
addEventListener("click", event => {
  const link = event.target.closest && event.target.closest("a");
  if (link && (link.getAttribute("href") || "") === location.hash) openTarget();
});
openTarget();
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("#verdict details:not([open]), details.packet:not([open])")];
  for (const one of opened) one.open = true;
});
addEventListener("afterprint", () => { for (const one of opened) one.open = false; });

// Flows: each head sorts, the field searches.
const table = document.getElementById("flow-table");
if (table) {
  const body = table.tBodies[0], rows = [...body.rows], found = document.getElementById("found");
  const words = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  const number = text => parseFloat(text.replace(/[^\d.-]/g, ""));
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const text = column < 2 || column === table.tHead.rows[0].cells.length - 1;
      const value = row => row.cells[column].textContent;
      rows.sort((one, two) => {
        const by = text ? value(one).localeCompare(value(two), "en", { numeric: true })
          : (number(value(one)) || 0) - (number(value(two)) || 0);
        return up ? by : -by;
      });
      body.append(...rows);
    });
  });
  document.getElementById("search").addEventListener("input", event => {
    const wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      row.hidden = !wanted.every(word => words.get(row).includes(word));
      count += !row.hidden;
    }
    found.textContent = wanted.length ? count + " found" : "";
  });
}

// Time: one strip below the other on one axis.
const place = document.getElementById("strips");
if (place) {
  const { start, width, counts, lines } = JSON.parse(document.getElementById("series").textContent);
  const bins = counts.packets.length, LEFT = 190, RIGHT = 12, HEIGHT = 54, GAP = 10;
  const reading = document.getElementById("reading");
  const any = values => values.some(value => value);
  const strips = [{ name: "packets", kind: "packets", unit: "packets", values: counts.packets }];
  for (const [name, kind] of [["dropped", "certain"], ["vanished", "certain"], ["not certain", "unknown"],
    ["sent again", "again"]]) {
    if (any(counts[name])) strips.push({ name, kind, unit: "packets", values: counts[name] });
  }
  for (const line of lines) {
    strips.push({ name: line.name, kind: "line", unit: line.unit, values: line.fill, high: line.high, limit: line.limit });
  }
  let view = [0, bins], drag = null;
  const seconds = bin => bin * width / 1e9;
  const clock = bin => new Date((start + bin * width) / 1e6).toISOString().slice(11, 23);
  const room = () => Math.max(300, place.clientWidth) - LEFT - RIGHT;
  const x = bin => LEFT + (bin - view[0]) / (view[1] - view[0]) * room();
  const binAt = pixel => view[0] + (pixel - LEFT) / room() * (view[1] - view[0]);
  const short = value => value >= 1e6 ? (value / 1e6).toPrecision(3) + " M" : value >= 1e4
    ? (value / 1e3).toPrecision(3) + " k" : String(Math.round(value * 10) / 10);

  function ticks() {
    const span = seconds(view[1] - view[0]), raw = span / Math.max(2, room() / 110);
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map(times => times * power).find(one => one >= raw);
    const out = [];
    for (let at = Math.ceil(seconds(view[0]) / step) * step; at <= seconds(view[1]) + 1e-12; at += step) {
      out.push([at * 1e9 / width, step]);
    }
    return out;
  }

  function path(strip, top, most, values = strip.values) {
    const y = value => top + HEIGHT - value / most * HEIGHT;
    let line = "", drawn = false;
    for (let bin = Math.max(0, Math.floor(view[0])); bin < Math.min(bins, Math.ceil(view[1])); bin++) {
      const value = values[bin];
      if (strip.kind === "line") {
        if (value === null) continue;
        line += (drawn ? "L" : "M") + x(bin + .5).toFixed(1) + " " + y(value).toFixed(1);
        drawn = true;
      } else if (value) {
        const left = x(bin), right = Math.max(x(bin + 1), left + 1);
        line += `M${left.toFixed(1)} ${top + HEIGHT}V${y(value).toFixed(1)}H${right.toFixed(1)}V${top + HEIGHT}Z`;
      }
    }
    return line;
  }

  function draw() {
    const height = strips.length * (HEIGHT + GAP) + 34;
    const svg = make("svg", { width: LEFT + room() + RIGHT, height, role: "img" });
    svg.append(make("title", {}, "Over time: " + strips.map(strip => strip.name).join(", ")));
    for (const [bin, step] of ticks()) {
      svg.append(make("line", { x1: x(bin), x2: x(bin), y1: 4, y2: height - 26, class: "grid" }));
      svg.append(make("text", { x: x(bin), y: height - 10, class: "tick" },
        "+" + seconds(bin).toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))) + " s"));
    }
    strips.forEach((strip, number) => {
      const top = 8 + number * (HEIGHT + GAP);
      const inside = (strip.high || strip.values).slice(Math.max(0, Math.floor(view[0])), Math.ceil(view[1]));
      const most = Math.max(1, ...inside, strip.limit && Math.max(...inside) > strip.limit / 2 ? strip.limit : 0);
      svg.append(make("line", { x1: LEFT, x2: LEFT + room(), y1: top + HEIGHT, y2: top + HEIGHT, class: "border" }));
      svg.append(make("text", { x: 0, y: top + 14, class: "host" },
        strip.name.length > 30 ? strip.name.slice(0, 29) + "…" : strip.name));
      svg.append(make("text", { x: 0, y: top + 29, class: "dim" }, strip.kind === "line"
        ? strip.unit + (strip.limit ? ", of " + strip.limit : "")
        : short(strip.values.reduce((sum, value) => sum + value, 0)) + " in all"));
      svg.append(make("text", { x: LEFT - 6, y: top + 9, class: "most" }, short(most)));
      if (strip.limit && strip.limit <= most) {
        const y = top + HEIGHT - strip.limit / most * HEIGHT;
        svg.append(make("line", { x1: LEFT, x2: LEFT + room(), y1: y, y2: y, class: "limit" }));
      }
      if (strip.high) svg.append(make("path", { d: path(strip, top, most, strip.high), class: "strip line high" }));
      svg.append(make("path", { d: path(strip, top, most), class: "strip " + strip.kind }));
    });
    svg.append(make("rect", { x: 0, y: 4, width: 0, height: height - 30, class: "span" }));
    svg.append(make("line", { x1: -9, x2: -9, y1: 4, y2: height - 26, class: "cursor" }));
    place.replaceChildren(svg);
  }

  function show(from, to) {
    const span = Math.min(bins, Math.max(5, to - from)), first = Math.min(Math.max(0, from), bins - span);
    view = [first, first + span];
    draw();
  }

  function read(pixel) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(binAt(pixel))));
    reading.textContent = clock(bin) + " UTC, " + (width / 1e6).toPrecision(3) + " ms: " + strips.map(strip =>
      strip.name + " " + (strip.values[bin] === null ? "–" : strip.values[bin])
      + (strip.kind === "line" ? " " + strip.unit : "")).join("; ");
    const cursor = place.querySelector(".cursor");
    cursor.setAttribute("x1", pixel);
    cursor.setAttribute("x2", pixel);
  }

  const pixelOf = event => Math.min(LEFT + room(), Math.max(LEFT, event.clientX - place.getBoundingClientRect().left));
  place.addEventListener("pointerdown", event => { drag = pixelOf(event); place.setPointerCapture(event.pointerId); });
  place.addEventListener("pointermove", event => {
    const at = pixelOf(event);
    read(at);
    if (drag !== null) {
      const span = place.querySelector(".span");
      span.setAttribute("x", Math.min(at, drag));
      span.setAttribute("width", Math.abs(at - drag));
    }
  });
  place.addEventListener("pointerup", event => {
    const at = pixelOf(event);
    if (drag !== null && Math.abs(at - drag) > 4) show(binAt(Math.min(at, drag)), binAt(Math.max(at, drag)));
    drag = null;
  });
  place.addEventListener("dblclick", () => show(0, bins));
  place.addEventListener("keydown", event => {
    const span = view[1] - view[0], middle = (view[0] + view[1]) / 2;
    const moves = {
      "+": () => show(middle - span / 4, middle + span / 4), "=": () => show(middle - span / 4, middle + span / 4),
      "-": () => show(middle - span, middle + span), "0": () => show(0, bins),
      ArrowLeft: () => show(view[0] - span / 5, view[1] - span / 5),
      ArrowRight: () => show(view[0] + span / 5, view[1] + span / 5),
    };
    if (moves[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      moves[event.key]();
      event.preventDefault();
    }
  });
  addEventListener("resize", draw);
  addEventListener("beforeprint", draw);
  draw();
}
