// Generated text, one column an arm. All of it is set as text: what a network writes is never markup.
class Samples {
  constructor(board, card) {
    this.board = board;
    this.card = card;
    this.figure = element("figure", "dv-card dv-wide dv-samples");
    this.figure.dataset.chart = "samples";
    this.figure.dataset.token = card.token;
    this.columns = element("div", "dv-columns");
    this.figure.append(element("h3", "", card.title), element("p", "", card.subtitle), this.columns);
    this.shown = new Map(card.arms.map((arm) => [arm, this.column(arm)]));
  }

  column(arm) {
    const root = element("section", "dv-sample");
    root.setAttribute("aria-label", `Generated text of ${this.board.label(arm)}`);
    const head = element("h4"), look = element("span", "dv-look"), step = element("span", "dv-step"), text = element("div", "dv-text");
    head.append(look, element("span", "dv-arm", this.board.label(arm)), step);
    root.append(head, text);
    this.columns.append(root);
    return { root, look, step, text };
  }

  draw() {
    const { board } = this;
    const waits = LIVE.includes(board.state ?? "queued");
    for (const [arm, column] of this.shown) {
      const found = board.samples[arm];
      column.root.hidden = board.hidden.has(arm);
      column.look.replaceChildren(sample(board.styles[arm], board.mode));
      this.fill(column, found, waits);
    }
  }

  fill(column, found, waits) {
    if (found && column.found === found) return; // what somebody has scrolled or selected stays so
    column.found = found;
    column.step.textContent = found ? `step ${found.step.toLocaleString("en")}` : "";
    column.text.classList.toggle("dv-none", !found);
    if (found) column.text.replaceChildren(element("span", "dv-prompt", found.prompt), found.text);
    else column.text.textContent = waits ? "The first sample comes with the first evaluation." : "There is no sample.";
    if (column.text.scrollHeight > column.text.clientHeight) column.text.tabIndex = 0; // to be scrolled with the keyboard
  }

  end() { /* nothing to let go of */ }
}
