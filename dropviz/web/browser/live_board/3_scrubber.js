// One step for every panel of the page, and one arm for those that show one. Its place is in the URL, so that a link reopens it.
const PLAY = 900; // milliseconds a step

class Scrubber {
  constructor(board) {
    this.board = board;
    this.step = null; // null: the newest
    this.stops = [];
    this.root = element("div", "dv-scrubber");
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Step and arm that the panels show");
    this.play = this.button("", () => this.toggle());
    this.range = element("input");
    this.range.type = "range";
    this.range.min = "0";
    this.range.step = "1";
    this.range.setAttribute("aria-label", "Step that every panel shows");
    this.range.addEventListener("input", () => { this.pause(); this.go(this.stops[Number(this.range.value)]); });
    this.label = element("output", "dv-now");
    this.newest = this.button("", () => { this.pause(); this.go(null); });
    this.choice = element("label", "dv-choice", "Maps of ");
    this.arms = element("select");
    this.arms.addEventListener("change", () => this.choose(this.arms.value));
    this.choice.append(this.arms);
    this.measure = this.button("measure here", () => this.ask("measure"));
    this.measure.title = "The whole spectrum of this arm at the step nearest to this one whose weights were kept";
    this.fork = this.button("fork from here", () => this.ask("fork"));
    this.fork.title = "Go on from this step as another arm, such as dropout's formulas in its place";
    this.root.append(this.play, this.range, this.label, this.newest, this.choice, this.measure, this.fork);
    this.play.hidden = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.pause();
  }

  button(text, action) {
    const made = element("button", "", text);
    made.type = "button";
    made.addEventListener("click", action);
    return made;
  }

  open(data) {
    this.pause();
    this.last = data.steps;
    const asked = new URLSearchParams(window.location.search);
    this.step = /^\d{1,9}$/.test(asked.get("step") ?? "") ? Math.min(Number(asked.get("step")), data.steps) : null;
    const arms = Object.keys(data.styles);
    this.usual = data.arm;
    this.arm = arms.includes(asked.get("arm")) ? asked.get("arm") : data.arm;
    this.arms.replaceChildren(...arms.map((arm) => Object.assign(element("option", "", data.styles[arm].label), { value: arm })));
    this.arms.value = this.arm;
    this.choice.hidden = arms.length < 2;
    this.stops = [];
    this.show();
  }

  // The steps at which anything of the page was measured.
  update(steps) {
    this.stops = [...new Set(steps)].sort((a, b) => a - b);
    this.show();
  }

  get now() {
    return this.step ?? this.stops.at(-1) ?? 0;
  }

  get place() {
    return Math.max(0, this.stops.findLastIndex((stop) => stop <= this.now));
  }

  show() {
    const now = this.now.toLocaleString("en"), last = this.last?.toLocaleString("en");
    const live = LIVE.includes(this.board.state ?? "queued");
    this.root.hidden = !this.stops.length;
    this.range.max = String(Math.max(0, this.stops.length - 1));
    this.range.value = String(this.place);
    this.range.setAttribute("aria-valuetext", `step ${now} of ${last}`);
    this.label.replaceChildren("step ", element("strong", "", now), ` of ${last}`);
    this.newest.textContent = live ? "follow live" : "last step";
    this.fork.hidden = this.last < 2;
    this.measure.hidden = this.board.state === "example";
    this.newest.disabled = this.step === null || (!live && this.step === this.stops.at(-1));
  }

  go(step) {
    this.step = step ?? null;
    this.show();
    this.board.scrubbed();
    this.keep();
  }

  // The script answers with what that costs, and a button.
  ask(what) {
    this.pause();
    this.board.component.setTriggerValue("asked", { what, arm: this.arm, step: this.now });
  }

  choose(arm) {
    this.arm = arm;
    this.board.scrubbed();
    this.keep();
  }

  keep() {
    clearTimeout(this.keeping); // browsers limit how often the address may change
    this.keeping = setTimeout(() => {
      const address = new URL(window.location.href);
      const set = (key, value) => value === null ? address.searchParams.delete(key) : address.searchParams.set(key, value);
      set("step", this.step === null ? null : String(this.step));
      set("arm", this.arm === this.usual ? null : this.arm);
      window.history.replaceState(window.history.state, "", address);
    }, 200);
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.place === this.stops.length - 1) this.go(this.stops[0]);
    this.playing = setInterval(() => {
      const next = this.stops[this.place + 1];
      if (next === undefined) this.pause();
      else this.go(next);
    }, PLAY);
    this.showPlaying();
  }

  pause() {
    clearInterval(this.playing);
    this.playing = null;
    this.showPlaying();
  }

  showPlaying() {
    this.play.textContent = this.playing ? "❚❚" : "▶";
    this.play.setAttribute("aria-label", this.playing ? "Pause" : "Play through the steps");
  }

  end() {
    this.pause();
    clearTimeout(this.keeping);
  }
}
