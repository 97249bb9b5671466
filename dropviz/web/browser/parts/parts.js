// Small things that all components share: each gets this text in front of its own.

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Once for all components of the page.
function loadPlotly(url) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  window.dropvizPlotly ??= new Promise((resolve, reject) => {
    const script = element("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { window.dropvizPlotly = null; script.remove(); reject(new Error("plotly.js")); };
    document.head.append(script);
  });
  return window.dropvizPlotly;
}

// Whether Streamlit's theme is dark, by the ground that it gives to a node.
function themeMode(node) {
  const color = getComputedStyle(node).getPropertyValue("--st-background-color").trim();
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = color || "#ffffff";
  const [red, green, blue] = channels(canvas.fillStyle);
  return 0.3 * red + 0.59 * green + 0.11 * blue < 128 ? "dark" : "light";
}

function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

// A table of text; the first row is its head. A cell is text, or { text, href }.
function tableOf(rows) {
  const table = element("table"), head = element("thead"), body = element("tbody");
  const line = (cells, tag) => {
    const row = element("tr");
    row.append(...cells.map((cell) => cellOf(cell, tag)));
    return row;
  };
  head.append(line(rows[0], "th"));
  for (const cell of head.querySelectorAll("th")) cell.scope = "col";
  body.append(...rows.slice(1).map((row) => line(row, "td")));
  table.append(head, body);
  return table;
}

function cellOf(cell, tag) {
  if (!cell?.href) return element(tag, "", cell?.text ?? String(cell));
  const made = element(tag), link = element("a", "", cell.text);
  link.href = cell.href;
  made.append(link);
  return made;
}

// A small menu of what a chart can be kept as. `rows()` is its table, whose first row is the head.
function saveMenu(name, plot, rows) {
  const menu = element("details", "dv-menu"), list = element("div", "dv-list");
  menu.append(element("summary", "", "save"), list);
  menu.firstChild.setAttribute("aria-label", `Save ${name}`);
  const entry = (text, action) => {
    const button = element("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => { menu.open = false; menu.firstChild.focus(); action(); });
    list.append(button);
  };
  const file = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  for (const format of ["png", "svg"]) entry(format.toUpperCase(), () => saveImage(plot, file, format));
  entry("CSV", () => saveText(`${file}.csv`, csvOf(rows()), "text/csv"));
  menu.addEventListener("focusout", (event) => { if (!menu.contains(event.relatedTarget)) menu.open = false; });
  menu.addEventListener("keydown", (event) => { if (event.key === "Escape") { menu.open = false; menu.firstChild.focus(); } });
  return menu;
}

// On a ground of its own, so that light text is not lost on white paper.
async function saveImage(plot, filename, format) {
  const { width, height } = plot.getBoundingClientRect();
  const ground = getComputedStyle(plot).getPropertyValue("--st-background-color").trim() || "#ffffff";
  const figure = { data: plot.data, layout: { ...plot.layout, paper_bgcolor: ground, width, height } };
  await window.Plotly.downloadImage(figure, { format, filename, width, height, scale: format === "png" ? 2 : 1 });
}

function saveText(filename, text, type) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// A text that begins like a formula is marked as text, for whoever opens the file in a spreadsheet.
function csvOf(rows) {
  const shown = (cell) => {
    const text = String(cell?.text ?? cell);
    const safe = /^[=+@\t\r]/.test(text) || /^-[^\d.]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => row.map(shown).join(",")).join("\r\n") + "\r\n";
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
