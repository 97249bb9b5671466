// Small things that the board and its cards share.

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
