// One chart that Python drew whole: it keeps its node, its zoom and its legend while its numbers change.

const FIGURES = new WeakMap();

export default function (component) {
  const parent = component.parentElement;
  let figure = FIGURES.get(parent);
  if (!figure) {
    figure = new Figure(parent);
    FIGURES.set(parent, figure);
  }
  figure.show(component);
  // Also called for a pass that a newer one overtook, so it only ends what has left the page.
  return () => setTimeout(() => { if (!parent.isConnected) figure.end(); }, 0);
}

class Figure {
  constructor(parent) {
    this.parent = parent;
    this.root = element("section", "dropviz");
    this.card = element("figure", "dv-card");
    this.title = element("h3");
    this.subtitle = element("p");
    const titles = element("div"), head = element("div", "dv-head"), tools = element("div", "dv-tools");
    titles.append(this.title, this.subtitle);
    this.plot = element("div", "dv-plot");
    this.plot.setAttribute("role", "img");
    this.table = element("div", "dv-table");
    this.table.hidden = true;
    this.table.tabIndex = 0;
    this.button = element("button", "", "table");
    this.button.type = "button";
    this.button.setAttribute("aria-expanded", "false");
    this.button.addEventListener("click", () => this.toggleTable());
    this.problem = element("p", "dv-problem");
    this.problem.setAttribute("role", "status");
    this.menu = element("span");
    tools.append(this.button, this.menu);
    head.append(titles, tools);
    this.card.append(head, this.problem, this.plot, this.table);
    this.root.append(this.card);
    parent.append(this.root);
    this.resized = new ResizeObserver(() => this.onResize());
    this.resized.observe(this.root);
  }

  // Called on mount, after each script run that changed the data, and when the theme changes.
  show(component) {
    this.component = component;
    const data = component.data, mode = themeMode(this.root);
    const same = this.data && ["figure", "title", "subtitle", "alt", "table"].every((key) => this.data[key] === data[key]);
    if (same && mode === this.mode) return;
    Object.assign(this, { data, mode });
    this.rows = JSON.parse(data.table);
    this.title.textContent = data.title;
    this.subtitle.textContent = data.subtitle;
    this.subtitle.hidden = !data.subtitle;
    this.plot.setAttribute("aria-label", data.alt);
    this.button.setAttribute("aria-label", `Table of ${data.title}`);
    const menu = saveMenu(data.title, this.plot, () => this.rows);
    this.menu.replaceWith(menu);
    this.menu = menu;
    if (!this.table.hidden) this.table.replaceChildren(tableOf(this.rows));
    this.draw();
  }

  async draw() {
    try {
      await loadPlotly(this.data.base + this.data.plotly);
    } catch {
      this.problem.textContent = "The chart could not be loaded: reload the page. Its table is here.";
      return;
    }
    const width = this.plot.clientWidth;
    if (!width || !this.root.isConnected) return;
    this.problem.textContent = "";
    const figure = JSON.parse(this.data.figure), { layout } = figure;
    if (this.mode === "dark") recolour(figure, this.data.dark);
    layout.template = this.data.templates[this.mode];
    layout.width = width;
    layout.height ??= 340;
    layout.uirevision ??= "kept";
    layout.dragmode ??= window.matchMedia("(pointer: coarse)").matches ? false : "zoom";
    await window.Plotly.react(this.plot, figure.data, layout, { displayModeBar: false, responsive: false, doubleClick: "reset" });
    if (!this.drawn) this.plot.on("plotly_click", (event) => this.choose(event.points[0]?.customdata));
    this.drawn = true;
  }

  choose(what) {
    if (this.data.selectable && what !== undefined && what !== null) this.component.setTriggerValue("chosen", what);
  }

  toggleTable() {
    this.table.hidden = !this.table.hidden;
    this.button.setAttribute("aria-expanded", String(!this.table.hidden));
    if (!this.table.hidden) this.table.replaceChildren(tableOf(this.rows));
  }

  onResize() {
    const width = this.root.clientWidth;
    if (!this.data || !width || width === this.width) return;
    this.width = width;
    cancelAnimationFrame(this.resizing);
    this.resizing = requestAnimationFrame(() => this.draw());
  }

  end() {
    cancelAnimationFrame(this.resizing);
    this.resized.disconnect();
    if (this.drawn) window.Plotly?.purge(this.plot);
    this.root.remove();
    FIGURES.delete(this.parent);
  }
}

// Each colour that Python chose for a light page becomes its partner for a dark one, wherever it stands in the figure.
function recolour(node, partners) {
  for (const [key, value] of Object.entries(node)) {
    if (typeof value === "string") node[key] = partnerOf(value, partners);
    else if (value && typeof value === "object") recolour(value, partners);
  }
}

function partnerOf(text, partners) {
  if (text[0] === "#") return partners[text.toLowerCase()] ?? text;
  const match = /^rgba\((\d+), ?(\d+), ?(\d+), ?([\d.]+)\)$/.exec(text);
  if (!match) return text;
  const hex = "#" + match.slice(1, 4).map((channel) => Number(channel).toString(16).padStart(2, "0")).join("");
  return partners[hex] ? `rgba(${channels(partners[hex])},${match[4]})` : text;
}
