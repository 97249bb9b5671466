// Arrays at a step: an index of which there are, and those that were asked for, kept as long as the view.
const TOO_OFTEN = 429; // status of an answer
const TRIES = 8, LONGEST_WAIT = 30; // seconds

class Arrays {
  constructor(base, onArrival) {
    this.base = base;
    this.onArrival = onArrival;
    this.open("");
  }

  open(view) {
    this.view = view;
    this.steps = new Map(); // "kind arm" → ascending steps
    this.kept = new Map(); // "kind/step" → {arm: array}
    this.coming = new Map(); // "kind/step" → a promise
    this.failed = new Set();
  }

  take(entries, arms) {
    for (const [arm, kind, step] of entries) {
      const key = `${kind} ${arms[arm]}`;
      const steps = this.steps.get(key) ?? [];
      this.steps.set(key, steps.includes(step) ? steps : [...steps, step].sort((a, b) => a - b));
    }
  }

  of(kind, arm) {
    return this.steps.get(`${kind} ${arm}`) ?? [];
  }

  allSteps() {
    return [...this.steps.values()].flat();
  }

  has(kind) {
    return [...this.steps.keys()].some((key) => key.startsWith(`${kind} `));
  }

  // The newest one up to a step: {step, found}. found is undefined while it comes, null where it could not be had.
  upTo(kind, arm, now) {
    const steps = this.of(kind, arm);
    const place = steps.findLastIndex((step) => step <= now);
    if (place < 0) return null;
    const found = this.get(kind, arm, steps[place]);
    if (found) for (const near of [place + 1, place - 1]) if (steps[near] !== undefined) this.get(kind, arm, steps[near]);
    return { step: steps[place], found };
  }

  get(kind, arm, step) {
    const key = `${kind}/${step}`;
    const found = this.kept.get(key)?.[arm];
    if (found) return found;
    if (this.failed.has(key)) return null;
    if (!this.coming.has(key)) this.coming.set(key, this.load(this.view, key));
    return undefined;
  }

  async load(view, key) {
    let answer = null;
    try {
      const response = await this.ask(view, key);
      if (response?.ok) answer = await response.json();
    } catch { /* said on the panel; another move of the scrubber tries again */ }
    if (view !== this.view) return;
    this.coming.delete(key);
    if (answer) this.kept.set(key, answer);
    else this.failed.add(key);
    this.onArrival();
  }

  // Who asks too often is told when to ask again, and each time waits longer. Undefined where another view was opened meanwhile.
  async ask(view, key) {
    for (let tries = 0; ; tries += 1) {
      const response = await fetch(`${this.base}/arrays/${view}/${key}`, { signal: AbortSignal.timeout(15000) });
      if (response.status !== TOO_OFTEN || tries === TRIES) return response;
      const seconds = Math.min(LONGEST_WAIT, (Number(response.headers.get("Retry-After")) || 1) * 2 ** tries);
      await new Promise((done) => setTimeout(done, 1000 * seconds * (0.5 + Math.random()))); // not all of them at once
      if (view !== this.view) return undefined;
    }
  }

  tryAgain() {
    this.failed.clear();
  }
}
