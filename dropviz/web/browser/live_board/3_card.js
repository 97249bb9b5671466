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
    this.at = element("p", "dv-at");
    titles.append(element("h3", "", chart.title), element("p", "", chart.subtitle), this.at);
    this.tools = element("div", "dv-tools");
    this.follow = this.tool("follow live", () => this.followLive());
    this.follow.classList.add("dv-follow");
    this.follow.hidden = true;
    if (chart.log !== null) this.scale = this.tool(chart.log ? "log" : "linear", () => { this.log = !this.log; this.followLive(); });
    this.tableButton = this.tool("table", () => this.toggleTable());
    this.tableButton.setAttribute("aria-expanded", "false");
    this.tableButton.setAttribute("aria-label", `Table of ${chart.title}`);
    this.plot = element("div", "dv-plot");
    this.tools.append(saveMenu(chart.title, this.plot, () => rowsOf(this)));
    head.append(titles, this.tools);
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

  traces() {
    return this.chart.figure.data.map((trace) => trace.meta ?? {});
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

  // Unless forced, a chart whose numbers are the same as before only moves its mark.
  draw(forced = true) {
    const Plotly = window.Plotly;
    if (this.unmeasured()) return;
    const width = this.plot.clientWidth;
    if (!Plotly || !width) return;
    Object.assign(this, { used: [], coming: false, lost: false, seed: null });
    const data = this.chart.figure.data.map((trace) => this.filled(trace));
    this.say();
    if (this.coming && this.drawn) return; // what is there stays until the other has come
    const shown = `${this.board.scrubber?.arm} ${this.used}`;
    if (!forced && this.drawn && shown === this.shown) return this.moveMark();
    this.shown = shown;
    const layout = this.layout(width, data);
    this.drawing = true;
    Plotly.react(this.plot, data, layout, {
      displaylogo: false, responsive: false, displayModeBar: false, doubleClick: "reset", scrollZoom: false,
    }).finally(() => { this.drawing = false; });
    if (!this.drawn) {
      this.drawn = true;
      this.plot.on("plotly_relayout", (change) => this.onRelayout(change));
    }
    this.empty.hidden = data.some((trace) => !["examples", "reference", "center"].includes(trace.meta?.role) && hasPoints(trace));
    this.empty.textContent = this.nothing();
    if (this.scale) this.scale.textContent = this.log ? "log" : "linear";
    if (this.scale) this.scale.setAttribute("aria-label", `y axis: ${this.log ? "logarithmic" : "linear"}; press to change`);
    this.countMissing(data);
    this.plot.setAttribute("aria-label", inWords(this));
    if (!this.table.hidden) this.drawTable();
  }

  // At which step, and of which arm, the numbers are.
  say() {
    const { chart, board } = this;
    if (this.coming || !board.scrubber || !(chart.at_step || chart.one_arm)) return;
    const words = chart.at_step ? stepInWords(this.used, board.now) : this.used.length ? "each column a refresh" : "";
    const of = [chart.one_arm ? board.label(board.scrubber.arm) : "", this.seed === null ? "" : `seed ${this.seed}`, words];
    const shown = this.lost ? "could not be loaded: move the scrubber to try again" : of.filter(Boolean).join(", ");
    this.at.textContent = words || this.lost ? shown : "";
    this.at.dataset.step = chart.at_step ? [...new Set(this.used)].join(" ") : "";
  }

  // Without any refresh there is no plot of one, only a line that says so; above the charts it says how to get one.
  unmeasured() {
    const { board, chart } = this;
    const none = chart.refreshed && !board.refreshes && !board.arrays.has("density");
    this.figure.classList.toggle("dv-unmeasured", none);
    if (none) this.empty.textContent = "Not measured in this run: it takes a refresh.";
    return none;
  }

  nothing() {
    const { board, chart } = this;
    const waits = LIVE.includes(board.state ?? "queued");
    if (this.coming || board.state === null) return "loading";
    if (chart.at_step && board.scrubber?.step !== null && this.anyLater()) return "nothing measured up to this step";
    return waits ? "no points yet" : "no points";
  }

  anyLater() {
    return this.board.scrubber.stops.some((stop) => stop > this.board.now);
  }

  // The scrubber has moved, or an array has come.
  scrub() {
    if (this.chart.at_step || this.chart.one_arm) this.draw(false);
    else this.moveMark();
  }

  moveMark() {
    const shapes = this.marks();
    if (this.drawn && shapes.length) window.Plotly.relayout(this.plot, { shapes });
  }

  inView() {
    const { top, bottom, width } = this.plot.getBoundingClientRect();
    return width > 0 && bottom > 0 && top < window.innerHeight;
  }

  overTime() {
    return this.chart.figure.layout.xaxis?.title?.text === "step";
  }

  marks() {
    return [...this.switches(), ...this.place()];
  }

  // Where arms go on as others.
  switches() {
    const shapes = structuredClone(this.chart.figure.layout.shapes ?? []);
    if (this.board.mode === "dark") for (const shape of shapes) shape.line.color = shape.label.font.color = "#b3bac5";
    return shapes;
  }

  // Where on its x axis a chart over time is.
  place() {
    const { board } = this;
    if (!board.scrubber?.stops.length) return [];
    const line = { color: board.mode === "dark" ? "#e8eaed" : "#1c232d", width: 1.5 };
    if (this.overTime()) return [{ type: "line", xref: "x", yref: "paper", x0: board.now, x1: board.now, y0: 0, y1: 1, line: { ...line, dash: "dot" } }];
    const column = this.columns?.findLastIndex((step) => step <= board.now) ?? -1;
    if (column < 0) return [];
    return [{ type: "rect", xref: "x", yref: "paper", x0: column - 0.5, x1: column + 0.5, y0: 0, y1: 1, line }];
  }

  layout(width, data) {
    const { board, chart } = this;
    const layout = structuredClone(chart.figure.layout);
    const narrow = width < 520;
    layout.template = board.templates[board.mode];
    layout.uirevision = board.view + this.log;
    layout.showlegend = false;
    layout.width = width;
    layout.shapes = this.marks();
    layout.height = layout.height ?? 320;
    layout.dragmode = window.matchMedia("(pointer: coarse)").matches ? false : "zoom";
    if (chart.log !== null) {
      for (const key of Object.keys(layout)) {
        if (/^yaxis\d*$/.test(key)) layout[key].type = this.log ? "log" : "linear";
      }
    }
    if (chart.name === "ladder") {
      layout.xaxis.title.text = board.payload.ladder_title ?? layout.xaxis.title.text;
      const range = ladderRange(board.payload.ladder ?? {}, this.inPercent());
      if (range) Object.assign(layout.xaxis, { range, autorange: false });
      if (narrow) layout.yaxis.ticktext = layout.yaxis.ticktext.map((arm) => arm.replaceAll("+", "<br>+"));
    }
    if (!data.some(hasPoints)) { // the ticks that plotly makes up would be read as numbers
      for (const [key, axis] of Object.entries(layout)) if (/^[xy]axis\d*$/.test(key) && !axis.tickvals) axis.showticklabels = false;
    }
    if (this.traces().some((meta) => meta.role === "surface")) arrange(layout, chart.figure.data.filter((trace) => trace.type === "heatmap").length, narrow ? 2 : layout.meta.columns, width);
    if (board.mode === "dark") for (const note of layout.annotations ?? []) note.font = { color: "#e8eaed" };
    return layout;
  }

  filled(skeleton) {
    const { board } = this;
    const meta = skeleton.meta ?? {};
    const trace = structuredClone(skeleton);
    this.paint(trace, meta);
    if (meta.role === "reference") reference(trace, meta, board.known(meta.metric));
    else if (meta.role === "parts" || meta.role === "profile") this.sideBySide(trace, meta);
    else if (meta.metric) Object.assign(trace, this.overSteps(meta, trace));
    else if (meta.role === "seeds" || meta.role === "mean") rung(trace, meta, board.payload.ladder?.[meta.arm]);
    else if (meta.role === "effect" || meta.role === "effect-label") area(trace, meta, board.payload.effects?.[meta.effect]);
    else if (meta.role === "surface") surface(trace, meta, this.chart.at_step ? this.array("surface", meta.arm) : board.surfaces[meta.arm]);
    else if (meta.role === "density") this.with("density", meta.arm, (found) => density(trace, meta.grid, found));
    else if (meta.role === "spectrum") this.spectrum(trace, meta);
    else if (meta.role === "slice") this.with("slice", board.scrubber.arm, (found) => { slice(trace, found); this.seed = found.seed; });
    else if (meta.role === "center" && this.used.length) Object.assign(trace, { x: [0], y: [0] });
    if (meta.arm && board.hidden.has(meta.arm) && meta.role !== "surface") trace.visible = false;
    return trace;
  }

  sideBySide(trace, meta) {
    const found = sideBySide(trace, meta, this.board.payload.metrics, (metric) => this.board.rowAt(meta.arm, metric));
    if (!this.board.hidden.has(meta.arm)) this.used.push(...found.map((one) => one.row[0]));
  }

  with(kind, arm, fill) {
    const found = this.array(kind, arm);
    if (found) fill(found);
  }

  // The array of this arm at the scrubbed step, or at the last one before it that has it; asked for if it is not here.
  array(kind, arm) {
    if (this.board.hidden.has(arm) && !this.chart.one_arm) return null;
    const there = this.board.arrays.upTo(kind, arm, this.board.now);
    if (!there) return null;
    if (there.found === undefined) this.coming = true;
    else if (there.found === null) this.lost = true;
    else this.used.push(there.step);
    return there.found;
  }

  spectrum(trace, meta) {
    const { arrays, scrubber } = this.board;
    this.columns = arrays.of("density", scrubber.arm);
    const columns = this.columns.map((step) => ({ step, found: arrays.get("density", scrubber.arm, step) }));
    this.used.push(...columns.filter(({ found }) => found).map(({ step }) => step));
    spectrum(trace, meta.grid, columns);
  }

  paint(trace, meta) {
    const color = this.board.color(meta.arm);
    if (meta.role === "slice") trace.line.color = this.board.mode === "dark" ? "rgba(232,234,237,0.55)" : "rgba(28,35,45,0.6)";
    if (this.board.mode === "light") return;
    if (meta.role === "effect") trace.fillcolor = meta.effect === "explicit" ? "rgba(77,159,230,0.14)" : "rgba(77,159,230,0.34)";
    if (meta.role === "effect-label") trace.textfont.color = "#8ec5f5";
    if (meta.role === "reference") trace.line.color = trace.textfont.color = "#b3bac5";
    if (!color || meta.role === "surface") return;
    const translucent = (alpha) => color + Math.round(alpha * 255).toString(16).padStart(2, "0");
    if (trace.line) trace.line.color = color;
    if (meta.role === "parts") Object.assign(trace.marker, { color: translucent(0.55), line: { ...trace.marker.line, color }, pattern: { ...trace.marker.pattern, fgcolor: color } });
    else if (trace.marker) trace.marker.color = color;
    if (trace.fillcolor) trace.fillcolor = translucent(0.2);
    for (const error of [trace.error_x, trace.error_y]) if (error) error.color = color;
  }

  overSteps(meta, trace) {
    const rows = this.board.rows(meta.arm, meta.metric);
    const errors = new Map(meta.error ? this.board.rows(meta.arm, meta.error).map((row) => [row[0], row[1]]) : []);
    if (meta.role === "band") return band(rows, errors, this.log);
    const filled = { x: rows.map((row) => row[0]), y: rows.map((row) => row[1]) };
    if (meta.error) {
      const array = filled.x.map((step) => errors.get(step) ?? null);
      filled.error_y = { ...trace.error_y, array, visible: array.some((error) => error > 0) }; // of an exact value there is none
    }
    return filled;
  }

  countMissing(data) {
    let count = 0;
    for (const trace of this.log ? data : []) {
      if (["line", "points", "profile", "parts"].includes(trace.meta?.role)) count += trace.y.filter((y) => y !== null && y <= 0).length;
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
    this.tableButton.setAttribute("aria-expanded", String(!this.table.hidden));
    if (!this.table.hidden) this.drawTable();
  }

  drawTable() {
    this.table.replaceChildren(tableOf(rowsOf(this)));
  }

  inPercent() {
    return this.chart.figure.layout.xaxis.tickformat?.endsWith("%") ?? false;
  }
}
