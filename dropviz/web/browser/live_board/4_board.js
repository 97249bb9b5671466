// The live board: one object per mounted component. It polls the data route, keeps the series in memory and fills the
// plotly skeletons that Python made. All text is set as text, never as HTML.

const BOARDS = new WeakMap();
const LIVE = ["queued", "running", "stalled", "paused", "open"];
const UNDER_WAY = ["queued", "running", "stalled"]; // a run changes between these with every arm, and its page has nothing to do
const RESTING = ["example", "cached", "done", "open", "closed"]; // nothing is on its way whose progress there is to show
const POLL = 1000, POLL_OPEN = 2000, POLL_PAUSED = 3000, POLL_HIDDEN = 15000, POLL_LONGEST = 20000;
const SETTLED = 3; // polls after the end, for the last rows; more until the script knows of it
const STATES = {
  queued: "Waiting in the queue", running: "Running", stalled: "Stalled", paused: "Paused",
  stopped: "Stopped", failed: "Failed", done: "Done", cached: "Done, taken from cache", example: "Example",
  open: "Class open", closed: "Class closed",
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

// What the buttons go by.
function standing(state) {
  return UNDER_WAY.includes(state) ? "under way" : state;
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
    this.top = element("div", "dv-top");
    this.top.append(this.legend);
    this.notice = element("p", "dv-notice");
    this.notice.hidden = true;
    this.grid = element("div", "dv-grid");
    this.folds = element("div");
    this.hear = element("p", "dv-hear");
    this.hear.setAttribute("aria-live", "polite");
    this.root.append(this.headline, this.note, this.bar, this.status, this.banner, this.top, this.notice, this.grid, this.folds, this.hear);
    parent.append(this.root);
    this.view = null;
    this.cards = [];
    this.waiting = null;
    this.onVisible = () => { if (!document.hidden && this.waiting) this.soon(0); };
    document.addEventListener("visibilitychange", this.onVisible);
    this.reports = new Reports(this.root);
    this.resized = new ResizeObserver(() => this.onResize());
    this.resized.observe(this.root);
  }

  // Called on mount, after each script run that changed the data, and when the theme changes.
  show(component) {
    this.component = component;
    const data = component.data;
    this.scriptState = data.state;
    this.reports.answered();
    const former = this.mode;
    this.mode = themeMode(this.root);
    if (data.view !== this.view || data.charts !== this.charts) {
      this.open(data);
    } else {
      if (former !== this.mode) this.restyle();
      // A button was pressed: whatever comes of it is worth a look now.
      if (data.state !== this.lastScriptState || data.measured !== this.measured) { this.calm = 0; this.soon(0); }
    }
    this.lastScriptState = data.state;
    this.measured = data.measured;
  }

  open(data) {
    Object.assign(this, { view: data.view, charts: data.charts, base: data.base, styles: data.styles, page: data.page });
    Object.assign(this, { templates: data.templates, refreshes: data.refreshes, noticed: data.notice });
    this.scrubber?.end();
    this.scrubber = data.page === "curvature" ? new Scrubber(this) : null;
    this.top.replaceChildren(this.legend, ...(this.scrubber ? [this.scrubber.root] : []));
    this.root.dataset.page = data.page;
    this.forget();
    Object.assign(this, { state: null, half: false, failures: 0, calm: 0, hidden: new Set(), asking: false });
    this.heading = data.heading;
    this.headline.textContent = data.heading.title || "Loading …";
    this.note.textContent = data.heading.note;
    this.notice.hidden = true;
    this.drawLegend(data);
    for (const card of this.cards) card.end();
    this.cards = JSON.parse(data.charts).map((chart) => new Card(this, chart));
    if (data.samples) {
      const place = this.cards.findIndex((card) => card.chart.name === data.samples.before);
      this.cards.splice(place, 0, new Samples(this, data.samples));
    }
    this.grid.replaceChildren(...this.cards.filter((card) => !card.chart?.fold).map((card) => card.figure));
    this.folds.replaceChildren(...this.folded());
    this.scrubber?.open(data);
    this.run = (this.run ?? 0) + 1;
    this.begin(this.run, data.plotly);
  }

  // A folded group of cards for each heading, drawn when it is opened.
  folded() {
    const cards = this.cards.filter((card) => card.chart?.fold);
    return [...new Set(cards.map((card) => card.chart.fold))].map((heading) => {
      const fold = element("details", "dv-fold"), grid = element("div", "dv-grid");
      grid.append(...cards.filter((card) => card.chart.fold === heading).map((card) => card.figure));
      fold.append(element("summary", "", heading), grid);
      fold.addEventListener("toggle", () => { if (fold.open) this.draw(); });
      return fold;
    });
  }

  forget() {
    this.arrays = new Arrays(this.base, () => this.soonDrawn());
    this.arrays.open(this.view);
    this.series = new Map();
    this.surfaces = {};
    this.samples = {};
    this.cursor = "";
    this.payload = { ladder: {}, effects: {}, arms: [], metrics: [] };
  }

  async begin(run, plotly) {
    try {
      await loadPlotly(this.base + plotly);
    } catch {
      this.unreachable("The charts could not be loaded.");
      return this.later(() => this.begin(run, plotly), this.pause());
    }
    if (run !== this.run) return;
    this.draw();
    this.poll(run);
  }

  end() {
    clearTimeout(this.waiting);
    cancelAnimationFrame(this.frame);
    this.scrubber?.end();
    this.run = -1;
    document.removeEventListener("visibilitychange", this.onVisible);
    this.reports.end();
    this.resized.disconnect();
    for (const card of this.cards) card.end();
    this.root.remove();
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
    const sent = this.cursor;
    let answer = null, refused = null, trouble = "The server does not answer.";
    try {
      const cursor = encodeURIComponent(sent);
      const response = await fetch(`${this.base}/live/${this.view}?page=${this.page}&cursor=${cursor}`, { signal: AbortSignal.timeout(10000) });
      if (response.ok) answer = await response.json();
      else if ([TOO_OFTEN, 503].includes(response.status)) trouble = (await response.json()).error ?? trouble;
      else if (response.status < 500) refused = (await response.json()).error;
    } catch { /* the server is away: said below, and tried again */ }
    if (run !== this.run || sent !== this.cursor) return; // another view was opened, or another poll was faster
    this.asking = false;
    if (refused) return this.say(refused);
    if (!answer) {
      this.unreachable(trouble);
      return this.later(() => this.poll(run), this.pause());
    }
    if (this.failures) { this.failures = 0; this.banner.hidden = true; }
    try {
      this.take(answer);
    } catch (error) {
      console.error(error); // one bad drawing must not end the updates
    }
    const next = this.interval(answer.state);
    if (next) this.later(() => this.poll(run), next);
  }

  interval(state) {
    if (!LIVE.includes(state)) {
      this.calm += 1;
      return (this.calm < SETTLED || state !== this.scriptState) && state !== "example" ? POLL : 0;
    }
    this.calm = 0;
    if (document.hidden) return POLL_HIDDEN;
    return { paused: POLL_PAUSED, open: POLL_OPEN }[state] ?? POLL;
  }

  unreachable(what) {
    this.say(`${what} What you see is kept, and it is tried again by itself.`);
  }

  say(text) {
    this.banner.textContent = text;
    this.banner.hidden = false;
  }

  // Data

  take(answer) {
    if (answer.reset) this.forget();
    answer = { ...this.payload, ...answer }; // what is as it was need not be sent
    this.cursor = answer.cursor;
    const pictures = [answer.surfaces ?? {}, answer.samples ?? {}]; // carried results may lack either
    const arrays = answer.arrays ?? [];
    this.arrays.take(arrays, answer.arms);
    const touched = answer.rows.length > 0 || arrays.length > 0 || answer.reset || pictures.some((found) => Object.keys(found).length > 0);
    for (const [arm, metric, ...row] of answer.rows) {
      const key = `${answer.arms[arm]} ${answer.metrics[metric]}`;
      if (!this.series.has(key)) this.series.set(key, []);
      put(this.series.get(key), row);
    }
    Object.assign(this.surfaces, answer.surfaces);
    Object.assign(this.samples, answer.samples);
    const changed = this.state !== answer.state;
    this.payload = answer;
    this.drawText(answer);
    this.announce(answer);
    this.state = answer.state;
    if (touched || changed) { this.drawScrubber(); this.draw(); }
    // The buttons belong to the script: a run of it when they are not those of the state that it knows.
    if (standing(answer.state) !== standing(this.scriptState)) this.reports.send(this.component, answer.state);
  }

  rows(arm, metric) {
    return this.series.get(`${arm} ${metric}`) ?? [];
  }

  // Of a metric that is the same for all arms: the first arm's that has it.
  known(metric) {
    return this.payload.arms.map((arm) => this.rows(arm, metric)).find((rows) => rows.length) ?? [];
  }

  // The row of a metric at the scrubbed step, or the last one before it.
  rowAt(arm, metric) {
    const now = this.now;
    return this.rows(arm, metric).findLast((row) => row[0] <= now);
  }

  get now() {
    return this.scrubber?.now ?? 0;
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
    const parts = answer.headline?.parts ?? [{ text: this.heading.title }];
    this.headline.replaceChildren(...parts.map((part) => part.strong ? element("strong", "", part.text) : part.text));
    this.note.textContent = answer.headline?.note ?? this.heading.note;
    this.note.hidden = !this.note.textContent;
    if (answer.seeds) this.legend.lastChild.textContent = `bands: ${answer.seeds}`;
    const { state, progress } = answer;
    const percent = Math.round(100 * progress.fraction);
    this.filled.style.width = `${100 * progress.fraction}%`;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.hidden = RESTING.includes(state);
    this.root.dataset.tone = ["failed", "stalled"].includes(state) ? "bad" : ["paused", "stopped", "queued"].includes(state) ? "quiet" : "";
    this.root.dataset.state = state;
    this.status.replaceChildren(...this.statusParts(state, progress));
    if (state === "failed") this.say(progress.message);
    else if (this.failures === 0) this.banner.hidden = true;
  }

  statusParts(state, progress) {
    const parts = [];
    const add = (text, className = "") => parts.push(element("span", className, text));
    const why = progress.idle ? "no step for a while" : `last seen ${ago(progress.heartbeat_age)}`;
    const title = state === "stalled" ? `Stalled: ${why}` : STATES[state];
    const plain = state === "stopped" || RESTING.includes(state);
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
      chip.append(sample(style, this.mode), element("span", "", style.label));
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

  restyle() {
    for (const chip of this.legend.querySelectorAll(".dv-chip")) {
      chip.firstChild.replaceWith(sample(this.styles[chip.dataset.arm], this.mode));
    }
    this.draw();
  }

  // An arm's name as a person reads it.
  label(arm) {
    return this.styles[arm]?.label ?? arm;
  }

  color(arm) {
    return this.styles[arm]?.[this.mode];
  }

  draw() {
    for (const card of this.cards) card.draw();
  }

  drawScrubber() {
    if (!this.scrubber) return;
    this.scrubber.update([...[...this.series.values()].flat().map((row) => row[0]), ...this.arrays.allSteps()]);
    this.notice.textContent = this.noticed;
    this.notice.hidden = !this.noticed || this.arrays.has("density");
  }

  // The scrubber or its menu has moved.
  scrubbed() {
    this.arrays.tryAgain();
    this.soonDrawn(() => true);
  }

  // However often something moves or arrives within a frame, it is drawn once: what is in view at once, then the rest.
  soonDrawn(stale = (card) => card.chart?.at_step || card.chart?.one_arm) {
    for (const card of this.cards) card.stale ||= stale(card);
    this.frame ??= requestAnimationFrame(() => this.catchUp());
  }

  catchUp() {
    this.frame = null;
    const stale = this.cards.filter((card) => card.stale), seen = stale.filter((card) => card.inView());
    const now = seen.length ? seen : stale.slice(0, 1);
    for (const card of now) { card.stale = false; card.scrub(); }
    if (stale.length > now.length) this.frame ??= requestAnimationFrame(() => this.catchUp());
  }

  onResize() {
    cancelAnimationFrame(this.resizing);
    this.resizing = requestAnimationFrame(() => {
      const width = this.root.clientWidth;
      if (width && width !== this.width) { this.width = width; this.draw(); }
    });
  }
}
