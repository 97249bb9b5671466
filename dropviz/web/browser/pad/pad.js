// An empty chart to draw a prediction on: with a mouse, a finger, or the arrow keys. A few points over the x axis, each a slider.

const PADS = new WeakMap();
const HEIGHT = 320, MARGIN = { left: 64, right: 18, top: 14, bottom: 52 };
const KEYS = { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5 };
const STRIDES = 40; // of the height of the chart, that an arrow key moves a point by one of
const CLOSE = 8; // pixels from a point's place, within which it follows the pointer
const QUIET_MS = 350; // after the last key, before the page hears of it

export default function (component) {
  const parent = component.parentElement;
  let pad = PADS.get(parent);
  if (!pad) {
    pad = new Pad(parent);
    PADS.set(parent, pad);
  }
  pad.show(component);
  return () => setTimeout(() => { if (!parent.isConnected) pad.end(); }, 0);
}

function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes ?? {})) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

class Pad {
  constructor(parent) {
    this.parent = parent;
    this.root = element("section", "dropviz dv-pad");
    const card = (this.card = element("div", "dv-card")), head = element("div", "dv-head"), tools = element("div", "dv-tools");
    this.legend = element("div", "dv-legend");
    this.clear = element("button", "", "clear");
    this.clear.type = "button";
    this.clear.addEventListener("click", () => { this.values.fill(null); this.draw(); this.tell(); });
    tools.append(this.clear);
    head.append(this.legend, tools);
    this.chart = svg("svg", { class: "dv-drawing", role: "group" });
    this.help = element("p", "dv-help");
    card.append(head, this.chart, this.help);
    this.root.append(card);
    parent.append(this.root);
    this.chart.addEventListener("pointerdown", (event) => this.onDown(event));
    this.chart.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"]) this.chart.addEventListener(name, () => this.onUp());
    this.chart.addEventListener("keydown", (event) => this.onKey(event));
    this.resized = new ResizeObserver(() => { if (this.card.clientWidth - 30 !== this.width) this.draw(); });
    this.resized.observe(this.root);
  }

  // Called on mount, after each script run that changed the data, and when the theme changes.
  show(component) {
    this.component = component;
    const data = component.data;
    if (this.subject !== data.subject) {
      this.subject = data.subject;
      this.values = data.labels.map((_, index) => data.drawn[index] ?? null);
      this.focused = 0;
    }
    this.data = data;
    this.mode = themeMode(this.root);
    this.draw();
  }

  // Between the low end, 0, and the high one, 1.
  height(value) {
    const [low, high] = this.data.range.map((end) => this.scaled(end));
    return (this.scaled(value) - low) / (high - low);
  }

  value(height) {
    const [low, high] = this.data.range.map((end) => this.scaled(end));
    const found = low + Math.min(1, Math.max(0, height)) * (high - low);
    return Number((this.data.log ? 10 ** found : found).toPrecision(4));
  }

  scaled(value) {
    return this.data.log ? Math.log10(Math.max(value, 1e-30)) : value;
  }

  x(index) {
    const inner = this.width - MARGIN.left - MARGIN.right - 24;
    return MARGIN.left + 12 + inner * this.data.positions[index];
  }

  y(value) {
    return MARGIN.top + (1 - this.height(value)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  }

  draw() {
    if (!this.data || !this.root.clientWidth) return;
    const had = this.chart.contains(document.activeElement);
    this.width = this.card.clientWidth - 30; // without its padding
    this.chart.replaceChildren();
    for (const [name, value] of [["width", this.width], ["height", HEIGHT], ["viewBox", `0 0 ${this.width} ${HEIGHT}`]])
      this.chart.setAttribute(name, value);
    this.chart.setAttribute("aria-label", `Your prediction: ${this.data.y} against ${this.data.x}`);
    this.axes();
    for (const line of this.data.given) this.curve(line.values, line.color[this.mode], line.dash, "dv-given");
    this.curve(this.values, "var(--dv-ink)", "", "dv-mine");
    this.handles = this.values.map((value, index) => this.handle(value, index));
    this.chart.append(...this.handles);
    this.legend.replaceChildren(...this.data.given.map((line) => {
      const entry = element("span", "dv-entry");
      entry.append(sample({ ...line.color, dash: line.dash }, this.mode), element("span", "", line.label));
      return entry;
    }));
    const set = this.values.filter((value) => value !== null).length, all = this.values.length;
    this.clear.disabled = !set;
    this.help.textContent = set < all
      ? `${set ? `${set} of ${all} points are drawn. ` : ""}Draw across the chart with the mouse or a finger. Keys: Tab to a point, ↑ ↓ move it, ← → choose another.`
      : "Drag a point to change it.";
    if (had) this.handles[this.focused].focus();
  }

  axes() {
    const ground = svg("g", { class: "dv-axes", "aria-hidden": "true" });
    for (const tick of this.ticks()) {
      const y = this.y(tick);
      ground.append(svg("line", { x1: MARGIN.left, x2: this.width - MARGIN.right, y1: y, y2: y }));
      ground.append(svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, String(tick)));
    }
    this.data.labels.forEach((label, index) => {
      const narrow = this.width < 480 && this.data.labels.length > 5 && index % 2;
      ground.append(svg("line", { x1: this.x(index), x2: this.x(index), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
      if (!narrow) ground.append(svg("text", { x: this.x(index), y: HEIGHT - MARGIN.bottom + 18, "text-anchor": "middle" }, label));
    });
    const middle = (HEIGHT - MARGIN.bottom + MARGIN.top) / 2;
    ground.append(svg("text", { x: this.width / 2, y: HEIGHT - 10, "text-anchor": "middle", class: "dv-title" }, this.data.x));
    ground.append(svg("text", { transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle", class: "dv-title" }, this.data.y));
    this.chart.append(ground);
  }

  ticks() {
    const [low, high] = this.data.range;
    if (this.data.log) {
      const found = [];
      for (let power = Math.ceil(Math.log10(low) - 1e-9); power <= Math.log10(high) + 1e-9; power++) found.push(Number((10 ** power).toPrecision(1)));
      return found;
    }
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((width) => width >= rough * 0.99);
    const found = [];
    for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + 1e-9 * step; tick += step) found.push(Number(tick.toPrecision(6)));
    return found;
  }

  curve(values, color, dash, className) {
    const there = values.map((value, index) => [value, index]).filter(([value]) => value !== null && value !== undefined);
    const points = there.map(([value, index]) => `${this.x(index)},${this.y(Math.min(Math.max(value, this.data.range[0]), this.data.range[1]))}`);
    const dashes = { solid: "", dot: "2 3", dash: "7 4", dashdot: "8 3 2 3", longdash: "12 4", longdashdot: "12 3 3 3" };
    const line = svg("polyline", { points: points.join(" "), class: className, "aria-hidden": "true" });
    line.style.stroke = color;
    line.setAttribute("stroke-dasharray", dashes[dash] ?? dash.replaceAll("px", ""));
    this.chart.append(line);
  }

  handle(value, index) {
    const [low, high] = this.data.range, { labels, x, unit } = this.data;
    const shown = value ?? this.value(0.5);
    const made = svg("circle", { cx: this.x(index), cy: this.y(shown), r: 9, role: "slider", class: value === null ? "dv-unset" : "dv-set" });
    const said = value === null ? "not drawn yet" : `${value} ${unit}`.trim();
    const spoken = {
      "aria-label": `${x} ${labels[index]}`, "aria-valuemin": low, "aria-valuemax": high, "aria-valuenow": shown,
      "aria-valuetext": said, "aria-orientation": "vertical", tabindex: index === this.focused ? 0 : -1,
    };
    for (const [name, content] of Object.entries(spoken)) made.setAttribute(name, content);
    made.addEventListener("focus", () => { this.focused = index; });
    made.append(svg("title", {}, `${labels[index]}: ${said}`));
    return made;
  }

  onDown(event) {
    if (event.button) return;
    event.preventDefault();
    this.chart.setPointerCapture(event.pointerId);
    this.last = null;
    this.dragging = true;
    this.onMove(event);
  }

  // Each point that the pointer passed since the last event gets the height of its path there; a point that it rests on follows it.
  onMove(event) {
    if (!this.dragging) return;
    const box = this.chart.getBoundingClientRect();
    const at = { x: event.clientX - box.left, y: event.clientY - box.top };
    const nearest = this.nearest(at.x), from = this.last ?? at;
    this.values.forEach((_, index) => {
      const x = this.x(index);
      if ((x - from.x) * (x - at.x) < 0) this.set(index, from.y + ((at.y - from.y) * (x - from.x)) / (at.x - from.x));
    });
    if (!this.last || Math.abs(at.x - this.x(nearest)) <= CLOSE) this.set(nearest, at.y);
    this.last = at;
    this.focused = nearest;
    this.draw();
  }

  // Whoever stops a little before the last point means it, too.
  onUp() {
    if (!this.dragging) return;
    this.dragging = false;
    const nearest = this.nearest(this.last.x);
    if (this.values[nearest] === null) this.set(nearest, this.last.y);
    this.draw();
    this.tell();
  }

  nearest(x) {
    const gaps = this.values.map((_, index) => Math.abs(this.x(index) - x));
    return gaps.indexOf(Math.min(...gaps));
  }

  set(index, y) {
    const height = 1 - (y - MARGIN.top) / (HEIGHT - MARGIN.top - MARGIN.bottom);
    this.values[index] = this.value(height);
  }

  onKey(event) {
    const index = this.focused, former = this.values[index];
    const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (side) {
      this.focused = Math.min(this.values.length - 1, Math.max(0, index + side));
    } else if (event.key in KEYS) {
      const known = former ?? this.values.slice(0, index).findLast((value) => value !== null) ?? this.value(0.5);
      this.values[index] = this.value(this.height(known) + KEYS[event.key] / STRIDES);
    } else if (event.key === "Home" || event.key === "End") {
      this.values[index] = this.data.range[event.key === "Home" ? 0 : 1];
    } else return;
    event.preventDefault();
    this.draw();
    this.handles[this.focused].focus();
    if (this.values[index] === former) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.tell(), QUIET_MS);
  }

  tell() {
    this.component.setStateValue("drawn", { subject: this.subject, values: [...this.values] });
  }

  end() {
    clearTimeout(this.waiting);
    this.resized.disconnect();
    this.root.remove();
    PADS.delete(this.parent);
  }
}
