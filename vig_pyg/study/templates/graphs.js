"use strict";
const { graphs, blocks, place } = JSON.parse(document.getElementById("numbers").textContent);
const depth = Math.max(...graphs.map((all) => all.length));
const find = (id) => document.getElementById(id);
const panels = [...document.querySelectorAll(".panel")];
const state = { image: 0, step: 0, place, held: false, active: panels[0] };

// Numbers ///////////////////////////////////////////////////////////////////////////////////////////////////////////

/** The graph that a panel shows; a model with fewer blocks stays at its last. */
function graphOf(panel) {
  const all = graphs[panels.indexOf(panel)];
  const number = Math.min(blocks[state.step], all.length);
  return { ...all[number - 1], number, last: all.length };
}

/** Row and column of a grid over a place, which is given as shares of the image's height and width. */
function cellAt([rows, columns], [down, right]) {
  return [Math.floor(down * rows), Math.floor(right * columns)];
}

/** How often every source is somebody's neighbor. */
function degreesOf(graph) {
  const degrees = new Array(graph.places?.length ?? graph.sources[0] * graph.sources[1]).fill(0);
  for (const near of graph.neighbors) for (const source of near) degrees[source] += 1;
  return degrees;
}

/** Row and column of a source, in units of the grid of sources or, where there is none, of patches. */
function placeOf(source, graph) {
  return graph.places?.[source] ?? [Math.floor(source / graph.sources[1]), source % graph.sources[1]];
}

/** What a panel tells of the node at the chosen place. */
function look(panel) {
  const graph = graphOf(panel);
  const [row, column] = cellAt(graph.grid, state.place);
  const node = row * graph.grid[1] + column;
  const unit = graph.sources ?? graph.grid;
  const [sourceRow, sourceColumn] = cellAt(unit, state.place);
  const own = graph.places ? null : sourceRow * unit[1] + sourceColumn;
  const degrees = degreesOf(graph);
  return {
    graph, row, column, degrees, own, unit,
    near: graph.neighbors[node].map((source, rank) => {
      const [down, right] = placeOf(source, graph);
      const weight = graph.weights?.[node][rank] ?? 1;
      return { source, row: down, column: right, distance: graph.distances[node][rank], weight };
    }),
    chosen: degrees[own] ?? "–",
    pooled: unit[0] !== graph.grid[0] || unit[1] !== graph.grid[1],
  };
}

// Drawing ///////////////////////////////////////////////////////////////////////////////////////////////////////////

function make(name, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

/** From the color of the nearest neighbor, itself left out, to that of the farthest. */
function colorOf(distance, near) {
  const distances = near.map((n) => n.distance).filter((d) => d > 0);
  const [low, high] = [Math.min(...distances), Math.max(...distances)];
  const share = high > low ? Math.max(0, Math.round((100 * (distance - low)) / (high - low))) : 0;
  return `color-mix(in oklab, var(--far) ${share}%, var(--near))`;
}

function star(x, y, radius) {
  return Array.from({ length: 10 }, (_, i) => {
    const [angle, r] = [(Math.PI * i) / 5, i % 2 ? 0.45 * radius : radius];
    return `${x + r * Math.sin(angle)},${y - r * Math.cos(angle)}`;
  }).join(" ");
}

/** The boxes of a neighbor: its own or, of a hyperedge, those of its nodes. */
function boxesOf({ source, row, column }, { graph, unit }, width, height) {
  const members = graph.members?.[source].map((node) => [Math.floor(node / graph.grid[1]), node % graph.grid[1]]);
  const [w, h] = members ? [width / graph.grid[1], height / graph.grid[0]] : [width / unit[1], height / unit[0]];
  return (members ?? [[row, column]]).map(([down, right]) => ({ x: right * w, y: down * h, width: w, height: h, rx: 0.08 * w }));
}

function drawStage(panel, found) {
  const svg = panel.querySelector("svg");
  const { width, height } = svg.viewBox.baseVal;
  const [rows, columns] = found.graph.grid;
  svg.replaceChildren();
  const boxes = found.near.map((n) => boxesOf(n, found, width, height));
  const holes = [...new Set(boxes.flat().map((b) => `M${b.x} ${b.y}h${b.width}v${b.height}h${-b.width}z`))].join("");
  if (!find("degrees").checked) make("path", { class: "dim", "fill-rule": "evenodd", d: `M0 0H${width}V${height}H0z${holes}` }, svg);
  const heaviest = Math.max(...found.near.map((n) => n.weight), 1e-9);
  found.near.forEach((n, rank) => {
    const color = colorOf(n.distance, found.near);
    const style = `fill: ${color}; stroke: ${color}; opacity: ${Math.max(n.weight / heaviest, 0.2)}`;
    for (const box of boxes[rank]) make("rect", { class: "neighbor", "data-source": n.source, ...box, style }, svg);
  });
  const [x, y] = [((found.column + 0.5) * width) / columns, ((found.row + 0.5) * height) / rows];
  const radius = Math.max((0.5 * width) / columns, 0.028 * width);
  make("polygon", { class: "star", "data-node": found.row * columns + found.column, points: star(x, y, radius) }, svg);
}

function drawDegrees(panel, { graph, degrees }) {
  const canvas = panel.querySelector("canvas");
  const shown = find("degrees").checked && !graph.places;
  canvas.hidden = panel.querySelector(".degrees").hidden = !shown;
  if (!shown) return;
  [canvas.height, canvas.width] = graph.sources;
  const most = Math.max(...degrees);
  const stops = [[11, 29, 81], [31, 119, 180], [247, 251, 255]];
  const pixels = degrees.flatMap((degree) => {
    const at = (2 * degree) / Math.max(most, 1);
    const i = Math.min(Math.floor(at), 1);
    return [...stops[i].map((from, c) => from + (at - i) * (stops[i + 1][c] - from)), 215];
  });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels), canvas.width, canvas.height), 0, 0);
  panel.querySelector(".degrees b").textContent = most;
}

function nameOf(n, found) {
  if (found.graph.members) return `hyperedge ${n.source}, ${found.graph.members[n.source].length} patches`;
  if (found.graph.places) return `source ${n.source}`;
  const own = n.source === found.own;
  if (found.pooled) return `${own ? "own " : ""}window ${n.row}, ${n.column}`;
  return own ? `itself` : `${n.row}, ${n.column}`;
}

function drawNumbers(panel, found) {
  const { graph, near, degrees } = found;
  const mean = near.reduce((sum, n) => sum + n.distance, 0) / Math.max(near.length, 1);
  const usual = degrees.reduce((sum, degree) => sum + degree, 0) / degrees.length;
  const put = (name, text) => { panel.querySelector(name).textContent = text; };
  put(".where", `block ${graph.number} of ${graph.last} · ${graph.grid.join("×")} patches · row ${found.row}, column ${found.column}`);
  put(".count", near.length);
  put(".distance", mean.toFixed(2));
  put(".degree", found.chosen);
  const small = document.createElement("small");
  small.textContent = ` (mean ${usual.toFixed(usual < 20 ? 1 : 0)})`;
  panel.querySelector(".degree").append(small);
  const farthest = Math.max(...near.map((n) => n.distance), 1e-9);
  panel.querySelector("ol").replaceChildren(...near.map((n) => {
    const item = document.createElement("li");
    item.style.setProperty("--share", `${(100 * n.distance) / farthest}%`);
    item.style.setProperty("--color", colorOf(n.distance, near));
    const weight = graph.weights ? `, weight ${n.weight.toFixed(2)}` : "";
    for (const [tag, text] of [["span", nameOf(n, found) + weight], ["span", n.distance.toFixed(2)], ["i", ""]]) {
      item.append(Object.assign(document.createElement(tag), { textContent: text }));
    }
    return item;
  }));
}

/** Say to a screen reader what the active panel shows. */
function say(panel, found) {
  const first = found.near.slice(0, 4).map((n) => `${nameOf(n, found)} at ${n.distance.toFixed(2)}`).join("; ");
  find("live").textContent =
    `${panel.querySelector("h2").textContent}, block ${found.graph.number}: row ${found.row}, column ${found.column}; ` +
    `${found.near.length} neighbors, the first: ${first}; chosen by ${found.chosen} patches.`;
}

function show() {
  for (const panel of panels) {
    panel.hidden = Number(panel.dataset.image) !== state.image;
    if (panel.hidden) continue;
    const found = look(panel);
    drawStage(panel, found);
    drawDegrees(panel, found);
    drawNumbers(panel, found);
    if (panel === state.active) say(panel, found);
  }
  find("block").value = state.step;
  const text = `${blocks[state.step]} of ${depth}`;
  find("number").textContent = text;
  find("block").setAttribute("aria-valuetext", `block ${text}`);
  find("previous").disabled = state.step === 0;
  find("next").disabled = state.step === blocks.length - 1;
}

// Pointing, keys and controls ///////////////////////////////////////////////////////////////////////////////////////

function goTo(step) {
  state.step = Math.min(Math.max(step, 0), blocks.length - 1);
  show();
}

function point(panel, event) {
  const box = panel.querySelector(".stage").getBoundingClientRect();
  const share = (at, start, length) => Math.min(Math.max((at - start) / length, 0), 1 - 1e-9);
  state.place = [share(event.clientY, box.top, box.height), share(event.clientX, box.left, box.width)];
  state.active = panel;
  show();
}

const WALK = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const LEAP = { PageUp: -1, PageDown: 1 };

function press(panel, event) {
  if (event.key in LEAP) goTo(state.step + LEAP[event.key]);
  else if (event.key in WALK) {
    const { grid } = graphOf(panel);
    const cell = cellAt(grid, state.place).map((at, i) => Math.min(Math.max(at + WALK[event.key][i], 0), grid[i] - 1));
    state.place = cell.map((at, i) => (at + 0.5) / grid[i]);
    state.held = true; // a mouse that rests there does not interfere
    show();
  } else return;
  event.preventDefault();
}

for (const panel of panels) {
  const stage = panel.querySelector(".stage");
  stage.addEventListener("pointermove", (event) => { if (!state.held || event.pointerType === "touch") point(panel, event); });
  stage.addEventListener("pointerdown", (event) => {
    state.held = event.pointerType === "mouse" && !state.held;
    point(panel, event);
  });
  stage.addEventListener("focus", () => { state.active = panel; show(); });
  stage.addEventListener("keydown", (event) => press(panel, event));
}
find("block").addEventListener("input", (event) => goTo(Number(event.target.value)));
find("previous").addEventListener("click", () => goTo(state.step - 1));
find("next").addEventListener("click", () => goTo(state.step + 1));
find("degrees").addEventListener("change", show);
find("image")?.addEventListener("change", (event) => {
  state.image = Number(event.target.value);
  state.active = panels.find((panel) => Number(panel.dataset.image) === state.image);
  show();
});
show();
