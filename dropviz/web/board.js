// The live board: one object per mounted component. It polls the data route, keeps the series in memory and
// fills the plotly skeletons that Python made: what a trace takes is in its meta (role, arm, metric, error).
// All text is set as text, never as HTML.

const BOARDS = new WeakMap();
const LIVE = ["queued", "running", "stalled", "paused"];
const MOVING = ["queued", "running", "stalled"];
const POLL = 1000, POLL_PAUSED = 3000, POLL_HIDDEN = 15000, POLL_LONGEST = 20000;
const SETTLED = 3; // polls after the end, for the last rows
const LABEL_ROW = -0.7, TOP_ROW = -0.95;
const STATES = {
  queued: "Waiting in the queue", running: "Running", stalled: "Stalled", paused: "Paused",
  stopped: "Stopped", failed: "Failed", done: "Done", cached: "Done, taken from cache", example: "Example",
};

export default function (component) {
  const parent = component.parentElement;
  let board = BOARDS.get(parent);
  if (!board) {
    board = new Board(parent);
    BOARDS.set(parent, board);
  }
  board.show(component);
  // Also called for a pass that a newer one overtook, so it only ends what has left the page.
  return () => setTimeout(() => { if (!parent.isConnected) board.end(); }, 0);
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

let plotlyLoading = null;
function loadPlotly(url) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = element("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { plotlyLoading = null; script.remove(); reject(new Error("plotly.js")); };
    document.head.append(script);
  });
  return plotlyLoading;
}

class Board {
  constructor(parent) {
    this.parent = parent;
    this.root = element("section", "dropviz");
    this.root.setAttribute("aria-label", "Live results");
    this.headline = element("h2", "dv-headline");
    this.note = element("p", "dv-note");
    this.bar = element("div", "dv-bar");
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", "Progress");
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", "100");
    this.filled = element("div");
    this.bar.append(this.filled);
    this.status = element("p", "dv-status");
    this.banner = element("p", "dv-banner");
    this.banner.hidden = true;
    this.legend = element("div", "dv-legend");
    this.legend.setAttribute("role", "group");
    this.legend.setAttribute("aria-label", "Arms: press to hide or show");
    this.grid = element("div", "dv-grid");
    this.hear = element("p", "dv-hear");
    this.hear.setAttribute("aria-live", "polite");
    this.root.append(this.headline, this.note, this.bar, this.status, this.banner, this.legend, this.grid, this.hear);
    parent.append(this.root);
    this.view = null;
    this.cards = [];
    this.waiting = null;
    this.onVisible = () => { if (!document.hidden && this.waiting) this.soon(0); };
    document.addEventListener("visibilitychange", this.onVisible);
    this.resized = new ResizeObserver(() => this.onResize());
    this.resized.observe(this.root);
  }

  // Called on mount, after each script run that changed the data, and when the theme changes.
  show(component) {
    this.component = component;
    const data = component.data;
    this.scriptState = data.state;
    const former = this.mode;
    this.mode = this.themeMode();
    if (data.view !== this.view || data.charts !== this.charts) {
      this.open(data);
    } else {
      if (former !== this.mode) this.restyle();
      // A button was pressed: whatever comes of it is worth a look now.
      if (data.state !== this.lastScriptState) { this.calm = 0; this.soon(0); }
    }
    this.lastScriptState = data.state;
  }

  open(data) {
    Object.assign(this, { view: data.view, charts: data.charts, base: data.base, styles: data.styles });
    this.templates = data.templates;
    this.forget();
    Object.assign(this, { state: null, half: false, failures: 0, calm: 0, reported: null, hidden: new Set(), progress: null });
    this.headline.textContent = "";
    this.note.textContent = "";
    this.drawLegend(data);
    for (const card of this.cards) card.end();
    this.cards = JSON.parse(data.charts).map((chart) => new Card(this, chart));
    this.grid.replaceChildren(...this.cards.map((card) => card.figure));
    this.run = (this.run ?? 0) + 1;
    this.begin(this.run, data.plotly);
  }

  forget() {
    this.series = new Map();
    this.surfaces = {};
    this.cursor = "";
    this.payload = { ladder: {}, effects: {}, arms: [], metrics: [] };
  }

  async begin(run, plotly) {
    try {
      await loadPlotly(this.base + plotly);
    } catch {
      this.unreachable("The charts could not be loaded");
      return this.later(() => this.begin(run, plotly), this.pause());
    }
    if (run !== this.run) return;
    this.draw();
    this.poll(run);
  }

  end() {
    clearTimeout(this.waiting);
    this.run = -1;
    document.removeEventListener("visibilitychange", this.onVisible);
    this.resized.disconnect();
    for (const card of this.cards) card.end();
    BOARDS.delete(this.parent);
  }

  // Polling

  later(what, milliseconds) {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => { this.waiting = null; what(); }, milliseconds);
  }

  soon(milliseconds) {
    const run = this.run;
    if (window.Plotly && !this.asking) this.later(() => this.poll(run), milliseconds);
  }

  pause() {
    this.failures += 1;
    return Math.min(POLL_LONGEST, POLL * 2 ** Math.min(this.failures, 5));
  }

  async poll(run) {
    if (run !== this.run) return;
    if (!this.root.isConnected) return this.end();
    this.asking = true;
    let answer = null, refused = null;
    try {
      const cursor = encodeURIComponent(this.cursor);
      const response = await fetch(`${this.base}/live/${this.view}?cursor=${cursor}`, { signal: AbortSignal.timeout(10000) });
      if (response.ok) answer = await response.json();
      else if (response.status < 500) refused = (await response.json()).error;
    } catch { /* the server is away: said below, and tried again */ }
    this.asking = false;
    if (run !== this.run) return;
    if (refused) return this.say(refused);
    if (!answer) {
      this.unreachable("The server does not answer");
      return this.later(() => this.poll(run), this.pause());
    }
    if (this.failures) { this.failures = 0; this.banner.hidden = true; }
    this.take(answer);
    const next = this.interval(answer.state);
    if (next) this.later(() => this.poll(run), next);
  }

  interval(state) {
    if (!LIVE.includes(state)) {
      this.calm += 1;
      return this.calm < SETTLED && state !== "example" ? POLL : 0;
    }
    this.calm = 0;
    if (document.hidden) return POLL_HIDDEN;
    return state === "paused" ? POLL_PAUSED : POLL;
  }

  unreachable(what) {
    this.say(`${what}. What you see is kept, and it is tried again by itself.`);
  }

  say(text) {
    this.banner.textContent = text;
    this.banner.hidden = false;
  }

  // Data

  take(answer) {
    if (answer.reset) this.forget();
    this.cursor = answer.cursor;
    const touched = answer.rows.length > 0 || answer.reset || Object.keys(answer.surfaces).length > 0;
    for (const [arm, metric, ...row] of answer.rows) {
      const key = `${answer.arms[arm]} ${answer.metrics[metric]}`;
      if (!this.series.has(key)) this.series.set(key, []);
      const rows = this.series.get(key);
      rows.push(row);
      if (rows.length > 1 && rows[rows.length - 2][0] > row[0]) rows.sort((a, b) => a[0] - b[0]);
    }
    Object.assign(this.surfaces, answer.surfaces);
    const changed = this.state !== answer.state;
    this.payload = answer;
    this.drawText(answer);
    if (touched || changed) this.draw();
    this.announce(answer);
    this.state = answer.state;
    // The buttons belong to the script: one run of it when the state is not the one it knows.
    if (answer.state !== this.scriptState && this.reported !== answer.state) {
      this.reported = answer.state;
      this.component.setTriggerValue("changed", answer.state);
    }
    if (answer.state === this.scriptState) this.reported = null;
  }

  rows(arm, metric) {
    return this.series.get(`${arm} ${metric}`) ?? [];
  }

  announce(answer) {
    const before = this.state, now = answer.state;
    let text = null;
    if (before !== now && (before || !["done", "cached", "example"].includes(now))) {
      text = now === "running" && before === "queued" ? "Started." : STATES[now];
      if (now === "failed") text = answer.progress.message;
      else if (["done", "cached"].includes(now)) text = `Done. ${this.headline.textContent}`;
    } else if (now === "running" && !this.half && answer.progress.fraction >= 0.5) {
      text = "Half done.";
    }
    if (answer.progress.fraction >= 0.5) this.half = true;
    if (text) this.hear.textContent = text;
  }

  // Text

  drawText(answer) {
    const parts = answer.headline?.parts ?? [];
    this.headline.replaceChildren(...parts.map((part) => part.strong ? element("strong", "", part.text) : part.text));
    this.note.textContent = answer.headline?.note ?? "";
    this.note.hidden = !this.note.textContent;
    const { state, progress } = answer;
    const percent = Math.round(100 * progress.fraction);
    this.filled.style.width = `${100 * progress.fraction}%`;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.hidden = ["example", "cached", "done"].includes(state);
    this.root.dataset.tone = ["failed", "stalled"].includes(state) ? "bad" : ["paused", "stopped", "queued"].includes(state) ? "quiet" : "";
    this.root.dataset.state = state;
    this.status.replaceChildren(...this.statusParts(state, progress));
    if (state === "failed") this.say(progress.message);
    else if (this.failures === 0) this.banner.hidden = true;
  }

  statusParts(state, progress) {
    const parts = [];
    const add = (text, className = "") => parts.push(element("span", className, text));
    const title = state === "stalled" ? `Stalled: last seen ${ago(progress.heartbeat_age)}` : STATES[state];
    const plain = ["example", "cached", "done", "stopped"].includes(state);
    if (!plain) add(title, "dv-state");
    if (progress.message && state !== "failed") add(progress.message);
    if (plain || state === "failed") return parts;
    add(`${progress.step.toLocaleString("en")} of ${progress.total.toLocaleString("en")} steps in all`);
    if (progress.steps_per_second && state === "running") add(`${Math.round(progress.steps_per_second).toLocaleString("en")} steps/s`);
    if (progress.eta_seconds !== null && state === "running") add(`about ${duration(progress.eta_seconds)} left`);
    if (state === "queued") add(progress.queue_position ? `${progress.queue_position} before you` : "next in line");
    if (progress.device) add(progress.device);
    if (progress.heartbeat_age !== null && state === "running") add(`last heartbeat ${ago(progress.heartbeat_age)}`);
    return parts;
  }

  drawLegend(data) {
    const chips = Object.entries(data.styles).map(([arm, style]) => {
      const chip = element("button", "dv-chip");
      chip.type = "button";
      chip.setAttribute("aria-pressed", "true");
      chip.append(sample(style, this.mode), element("span", "", arm));
      chip.addEventListener("click", () => {
        if (!this.hidden.delete(arm)) this.hidden.add(arm);
        chip.setAttribute("aria-pressed", String(!this.hidden.has(arm)));
        this.draw();
      });
      chip.dataset.arm = arm;
      return chip;
    });
    this.legend.replaceChildren(...chips, element("span", "dv-band", `bands: ${data.band}`));
  }

  // Drawing

  themeMode() {
    const color = getComputedStyle(this.root).getPropertyValue("--st-background-color").trim();
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = color || "#ffffff";
    const hex = canvas.fillStyle;
    const [red, green, blue] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return 0.3 * red + 0.59 * green + 0.11 * blue < 128 ? "dark" : "light";
  }

  restyle() {
    for (const chip of this.legend.querySelectorAll(".dv-chip")) {
      chip.firstChild.replaceWith(sample(this.styles[chip.dataset.arm], this.mode));
    }
    this.draw();
  }

  color(arm) {
    return this.styles[arm]?.[this.mode];
  }

  draw() {
    for (const card of this.cards) card.draw();
  }

  onResize() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      const width = this.root.clientWidth;
      if (width && width !== this.width) { this.width = width; this.draw(); }
    });
  }
}

function sample(style, mode) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  const line = document.createElementNS(namespace, "line");
  const dashes = { solid: "", dot: "2 3", dash: "7 4", dashdot: "8 3 2 3", longdash: "12 4", longdashdot: "12 3 3 3" };
  const set = (node, values) => Object.entries(values).forEach(([key, value]) => node.setAttribute(key, value));
  set(svg, { width: 34, height: 12, "aria-hidden": "true" });
  set(line, { x1: 0, x2: 34, y1: 6, y2: 6, stroke: style[mode], "stroke-width": 3 });
  set(line, { "stroke-dasharray": dashes[style.dash] ?? style.dash.replaceAll("px", "") });
  svg.append(line);
  return svg;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function ago(seconds) {
  if (seconds === null || seconds === undefined) return "a while ago";
  return seconds < 10 ? `${seconds.toFixed(1)} s ago` : `${duration(seconds)} ago`;
}

// One chart with its heading, its tools and its table. The plot's node stays the same as long as the view does.
class Card {
  constructor(board, chart) {
    this.board = board;
    this.chart = chart;
    this.log = chart.log;
    this.figure = element("figure", chart.wide ? "dv-card dv-wide" : "dv-card");
    this.figure.dataset.chart = chart.name;
    const head = element("div", "dv-head");
    const titles = element("div");
    titles.append(element("h3", "", chart.title), element("p", "", chart.subtitle));
    this.tools = element("div", "dv-tools");
    this.follow = this.tool("follow live", () => this.followLive());
    this.follow.classList.add("dv-follow");
    this.follow.hidden = true;
    if (chart.log !== null) this.scale = this.tool("", () => { this.log = !this.log; this.followLive(); });
    if (chart.name !== "boundary") this.tool("table", () => this.toggleTable());
    head.append(titles, this.tools);
    this.plot = element("div", "dv-plot");
    this.plot.setAttribute("role", "img");
    this.plot.setAttribute("aria-label", `${chart.title}. ${chart.subtitle}`);
    this.empty = element("p", "dv-empty", "no points yet");
    this.missing = element("p", "dv-missing");
    this.table = element("div", "dv-table");
    this.table.hidden = true;
    this.table.tabIndex = 0;
    this.figure.append(head, this.plot, this.empty, this.missing, this.table);
    this.drawn = false;
    this.touched = false;
  }

  tool(text, action) {
    const button = element("button", "", text);
    button.type = "button";
    button.addEventListener("click", action);
    this.tools.append(button);
    return button;
  }

  end() {
    if (this.drawn) window.Plotly?.purge(this.plot);
  }

  draw() {
    const Plotly = window.Plotly;
    const width = this.plot.clientWidth;
    if (!Plotly || !width) return;
    const layout = this.layout(width);
    const data = this.chart.figure.data.map((trace) => this.filled(trace));
    this.drawing = true;
    Plotly.react(this.plot, data, layout, {
      displaylogo: false, responsive: false, displayModeBar: false, doubleClick: "reset", scrollZoom: false,
    }).finally(() => { this.drawing = false; });
    if (!this.drawn) {
      this.drawn = true;
      this.plot.on("plotly_relayout", (change) => this.onRelayout(change));
    }
    this.empty.hidden = data.some((trace) => trace.meta?.role !== "examples" && ((trace.x?.length ?? 0) > 0 || trace.z));
    this.empty.textContent = LIVE.includes(this.board.state ?? "queued") ? "no points yet" : "no points";
    if (this.scale) this.scale.textContent = this.log ? "log" : "linear";
    if (this.scale) this.scale.setAttribute("aria-label", `y axis: ${this.log ? "logarithmic" : "linear"}; press to change`);
    this.countMissing(data);
    if (!this.table.hidden) this.drawTable();
  }

  layout(width) {
    const { board, chart } = this;
    const layout = structuredClone(chart.figure.layout);
    const narrow = width < 520;
    layout.template = board.templates[board.mode];
    layout.uirevision = board.view + this.log;
    layout.showlegend = false;
    layout.width = width;
    layout.height = layout.height ?? 320;
    layout.dragmode = window.matchMedia("(pointer: coarse)").matches ? false : "zoom";
    if (chart.log !== null) {
      for (const key of Object.keys(layout)) {
        if (/^yaxis\d*$/.test(key)) layout[key].type = this.log ? "log" : "linear";
      }
    }
    if (chart.name === "ladder") {
      layout.xaxis.title.text = board.payload.ladder_title ?? "accuracy";
      const range = ladderRange(board.payload.ladder ?? {});
      if (range) Object.assign(layout.xaxis, { range, autorange: false });
      if (narrow) layout.yaxis.ticktext = layout.yaxis.ticktext.map((arm) => arm.replace("+", "<br>+"));
    }
    if (chart.name === "boundary") arrange(layout, chart.figure.data.filter((trace) => trace.type === "heatmap").length, narrow ? 2 : layout.meta.columns, width);
    if (board.mode === "dark") for (const note of layout.annotations ?? []) note.font = { color: "#e8eaed" };
    return layout;
  }

  filled(skeleton) {
    const { board } = this;
    const meta = skeleton.meta ?? {};
    const trace = structuredClone(skeleton);
    this.paint(trace, meta);
    if (meta.metric) Object.assign(trace, this.overSteps(meta, trace));
    else if (meta.role === "seeds" || meta.role === "mean") rung(trace, meta, board.payload.ladder?.[meta.arm]);
    else if (meta.role === "effect" || meta.role === "effect-label") area(trace, meta, board.payload.effects?.[meta.effect]);
    else if (meta.role === "surface") surface(trace, meta, board.surfaces[meta.arm]);
    if (meta.arm && board.hidden.has(meta.arm) && meta.role !== "surface") trace.visible = false;
    return trace;
  }

  paint(trace, meta) {
    const color = this.board.color(meta.arm);
    if (this.board.mode === "light") return;
    if (meta.role === "effect") trace.fillcolor = meta.effect === "explicit" ? "rgba(77,159,230,0.14)" : "rgba(77,159,230,0.34)";
    if (meta.role === "effect-label") trace.textfont.color = "#8ec5f5";
    if (!color || meta.role === "surface") return;
    const translucent = (alpha) => color + Math.round(alpha * 255).toString(16).padStart(2, "0");
    if (trace.line) trace.line.color = color;
    if (trace.marker) trace.marker.color = meta.role === "seeds" ? translucent(0.5) : color;
    if (trace.fillcolor) trace.fillcolor = translucent(0.2);
    for (const error of [trace.error_x, trace.error_y]) if (error) error.color = color;
  }

  overSteps(meta, trace) {
    const rows = this.board.rows(meta.arm, meta.metric);
    const errors = new Map(meta.error ? this.board.rows(meta.arm, meta.error).map((row) => [row[0], row[1]]) : []);
    if (meta.role === "band") return band(rows, errors, this.log);
    const filled = { x: rows.map((row) => row[0]), y: rows.map((row) => row[1]) };
    if (meta.role === "points") filled.error_y = { ...trace.error_y, array: filled.x.map((step) => errors.get(step) ?? null) };
    return filled;
  }

  countMissing(data) {
    let count = 0;
    for (const trace of this.log ? data : []) {
      if (trace.meta?.role === "line" || trace.meta?.role === "points") count += trace.y.filter((y) => y !== null && y <= 0).length;
    }
    this.missing.textContent = count ? `${count} ${count === 1 ? "value" : "values"} at or below 0, which a log scale cannot show` : "";
    this.missing.hidden = !count;
  }

  // Zoom

  onRelayout(change) {
    if (this.drawing || this.resetting) return;
    const keys = Object.keys(change);
    if (keys.some((key) => /axis\d*\.range/.test(key))) this.setTouched(true);
    else if (keys.some((key) => /axis\d*\.autorange/.test(key))) this.setTouched(false);
  }

  setTouched(touched) {
    this.touched = touched;
    this.follow.hidden = !touched;
  }

  async followLive() {
    this.setTouched(false);
    this.resetting = true;
    const change = {};
    for (const [key, axis] of Object.entries(this.chart.figure.layout)) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      if (axis.range) change[`${key}.range`] = [...axis.range];
      else change[`${key}.autorange`] = true;
    }
    await window.Plotly.relayout(this.plot, change);
    this.resetting = false;
    this.draw();
  }

  // Table

  toggleTable() {
    this.table.hidden = !this.table.hidden;
    if (!this.table.hidden) this.drawTable();
  }

  drawTable() {
    const rows = this.chart.name === "ladder" ? this.ladderRows() : this.curveRows();
    const table = element("table");
    const caption = (cells, tag) => {
      const row = element("tr");
      row.append(...cells.map((cell) => element(tag, "", cell)));
      return row;
    };
    const top = element("thead"), body = element("tbody");
    top.append(caption(rows[0], "th"));
    body.append(...rows.slice(1).map((row) => caption(row, "td")));
    table.append(top, body);
    this.table.replaceChildren(table);
  }

  ladderRows() {
    const percent = (value) => value === null || value === undefined ? "–" : `${(100 * value).toFixed(2)} %`;
    const entries = Object.entries(this.board.payload.ladder ?? {});
    const lines = entries.map(([arm, e]) => [arm, percent(e.mean), percent(e.lower), percent(e.upper), String(e.values.length), String(e.step)]);
    return [["arm", "mean", "lower", "upper", "seeds", "step"], ...lines];
  }

  curveRows() {
    const number = (value) => value === null || value === undefined ? "–" : String(Number(value.toPrecision(4)));
    const columns = this.chart.figure.data.map((trace) => trace.meta).filter((meta) => ["line", "points"].includes(meta?.role));
    const maps = columns.map((meta) => new Map(this.board.rows(meta.arm, meta.metric).map((row) => [row[0], row[1]])));
    const used = columns.map((meta, index) => index).filter((index) => maps[index].size);
    const steps = [...new Set(used.flatMap((index) => [...maps[index].keys()]))].sort((a, b) => a - b);
    const head = ["step", ...used.map((index) => `${columns[index].arm} ${columns[index].metric}`)];
    return [head, ...steps.map((step) => [String(step), ...used.map((index) => number(maps[index].get(step)))])];
  }
}

// Rows of the route into traces

function band(rows, errors, log) {
  const edges = [];
  for (let [step, mean, lower, upper] of rows) {
    const error = errors.get(step);
    if (lower === null && mean !== null && error !== undefined && error !== null) [lower, upper] = [mean - error, mean + error];
    if (lower === null || (log && mean <= 0)) continue;
    edges.push([step, log ? Math.max(lower, mean / 10) : lower, upper]);
  }
  const x = edges.map((edge) => edge[0]);
  return { x: [...x, ...x.toReversed()], y: [...edges.map((edge) => edge[2]), ...edges.map((edge) => edge[1]).toReversed()] };
}

function rung(trace, meta, entry) {
  if (!entry) return Object.assign(trace, { x: [], y: [] });
  trace.opacity = entry.level ? 1 : 0.35;
  if (meta.role === "seeds") return Object.assign(trace, { x: entry.values, y: entry.values.map(() => meta.row) });
  Object.assign(trace, { x: [entry.mean], y: [meta.row] });
  if (entry.lower !== null) Object.assign(trace.error_x, { array: [entry.upper - entry.mean], arrayminus: [entry.mean - entry.lower] });
  return trace;
}

// The width that the comparable arms need: one that has only begun must not squeeze them.
function ladderRange(ladder) {
  const level = Object.values(ladder).filter((entry) => entry.level);
  const ends = level.flatMap((entry) => [...entry.values, entry.lower ?? entry.mean, entry.upper ?? entry.mean]);
  if (!ends.length) return null;
  const low = Math.min(...ends), high = Math.max(...ends), room = Math.max(0.01, 0.08 * (high - low));
  return [low - room, high + room];
}

function area(trace, meta, bounds) {
  if (!bounds) return Object.assign(trace, { x: [], y: [] });
  const [start, end] = bounds;
  if (meta.role === "effect-label") return Object.assign(trace, { x: [meta.effect === "explicit" ? (start + end) / 2 : end], y: [LABEL_ROW] });
  const bottom = meta.rows - 0.5;
  return Object.assign(trace, { x: [start, end, end, start], y: [TOP_ROW, TOP_ROW, bottom, bottom] });
}

function surface(trace, meta, found) {
  if (!found) return;
  const bytes = Uint8Array.from(atob(found.data), (letter) => letter.charCodeAt(0));
  const [left, right, bottom, top] = meta.extent;
  const z = [];
  for (let row = 0; row < found.height; row += 1) z.push([...bytes.subarray(row * found.width, (row + 1) * found.width)]);
  Object.assign(trace, { z, dx: (right - left) / (found.width - 1), dy: (top - bottom) / (found.height - 1) });
}

function arrange(layout, count, columns, width) {
  const rows = Math.ceil(count / columns), wide = 1 / columns, high = 1 / rows;
  for (let index = 0; index < count; index += 1) {
    const row = Math.floor(index / columns), column = index % columns;
    const suffix = index ? String(index + 1) : "";
    const across = (width < 520 ? 0.3 : 0.16) * wide, up = 0.26 * high;
    layout[`xaxis${suffix}`].domain = [column * wide + across / 2, (column + 1) * wide - across / 2];
    layout[`yaxis${suffix}`].domain = [1 - (row + 1) * high + up * 0.7, 1 - row * high - up * 0.3];
  }
  layout.height = Math.round(Math.min(280, width / columns * 0.82)) * rows;
}
