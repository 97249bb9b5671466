// What a card shows as rows of text, the first of which is the head, and in a sentence.

const MOST_PLACES = 13; // along each side of a picture in numbers
const MOST_SAID = 8;

function rowsOf(card) {
  if (card.chart.name === "ladder") return ladderRows(card);
  const roles = new Set(card.traces().map((meta) => meta.role)), data = card.plot.data ?? [];
  if (roles.has("surface")) return surfaceRows(data.filter((trace) => trace.meta?.role === "surface"));
  if (roles.has("density")) return densityRows(data.filter((trace) => trace.meta?.role === "density"));
  if (roles.has("spectrum")) return gridRows("eigenvalue \\ step", data[0], (row) => data[0].customdata[row][0], (z) => 10 ** z);
  if (roles.has("slice")) return gridRows("second \\ sharpest", data[0], (row) => data[0].y[row], (z) => z);
  return card.chart.at_step ? stepRows(card) : curveRows(card);
}

// What the chart is, and what it says last.
function inWords(card) {
  const { chart } = card, said = `${chart.title}. ${chart.subtitle.replace(/\.?$/, ".")}`;
  if (chart.name === "ladder") {
    const means = ladderRows(card).slice(1).map(([arm, mean]) => `${arm} ${mean}`);
    return means.length ? `${said} Means: ${means.join(", ")}.` : said;
  }
  if (chart.at_step || chart.one_arm || card.traces().some((meta) => meta.role === "surface")) return said;
  const [head, ...rows] = curveRows(card);
  if (!rows.length) return said;
  const last = rows.at(-1), found = head.slice(1).map((name, index) => `${name} ${last[index + 1]}`).filter((text) => !text.endsWith(" –"));
  return `${said} At step ${last[0]}: ${found.slice(0, MOST_SAID).join(", ")}.`;
}

function short(value) {
  return value === null || value === undefined ? "–" : String(Number(value.toPrecision(4)));
}

function ladderRows(card) {
  const inPercent = card.inPercent();
  const shown = (value) => inPercent ? `${(100 * value).toFixed(2)} %` : value.toFixed(4);
  const number = (value) => value === null || value === undefined ? "–" : shown(value);
  const entries = Object.entries(card.board.payload.ladder ?? {});
  const lines = entries.map(([arm, e]) => [card.board.label(arm), number(e.mean), number(e.lower), number(e.upper), String(e.values.length), String(e.step)]);
  return [["arm", "mean", "lower", "upper", "seeds", "step"], ...lines];
}

// A line a metric, a column an arm, at the scrubbed step: [the interval over seeds], or ± the estimate's own error.
function stepRows(card) {
  const { board } = card;
  const metas = card.traces().filter((meta) => ["parts", "profile"].includes(meta.role));
  const arms = [...new Set(metas.map((meta) => meta.arm))];
  const metrics = [...new Map(metas.flatMap((meta) => asked(meta, board.payload.metrics)).map((one) => [one.metric, one])).values()];
  const lines = metrics.map((one) => [one.metric, ...arms.map((arm) => {
    const row = board.rowAt(arm, one.metric), error = row && one.error ? board.rowAt(arm, one.error)?.[1] : null;
    if (!row) return "–";
    if (row[2] !== null && !one.own) return `${short(row[1])} [${short(row[2])}, ${short(row[3])}]`;
    return error ? `${short(row[1])} ± ${short(error)}` : short(row[1]);
  })]);
  return [[`step ${board.now.toLocaleString("en")}`, ...arms.map((arm) => board.label(arm))], ...lines];
}

function curveRows(card) {
  const columns = card.chart.figure.data.map((trace) => trace.meta).filter((meta) => ["line", "points", "reference"].includes(meta?.role));
  const rows = (meta) => meta.arm ? card.board.rows(meta.arm, meta.metric) : card.board.known(meta.metric);
  const maps = columns.map((meta) => new Map(rows(meta).map((row) => [row[0], row[1]])));
  const used = columns.map((meta, index) => index).filter((index) => maps[index].size);
  const steps = [...new Set(used.flatMap((index) => [...maps[index].keys()]))].sort((a, b) => a - b);
  const head = ["step", ...used.map((index) => `${card.board.label(columns[index].arm) ?? ""} ${columns[index].metric}`.trim())];
  return [head, ...steps.map((step) => [String(step), ...used.map((index) => short(maps[index].get(step)))])];
}

// A line an eigenvalue of the grid, a column an arm: the share a decade.
function densityRows(traces) {
  const shown = traces.filter((trace) => trace.x?.length);
  const eigenvalues = new Map(shown.flatMap((trace) => trace.x.map((place, index) => [place, trace.customdata[index]])));
  const columns = shown.map((trace) => new Map(trace.x.map((place, index) => [place, trace.y[index]])));
  const places = [...eigenvalues.keys()].sort((a, b) => a - b);
  const lines = places.map((place) => [short(eigenvalues.get(place)), ...columns.map((column) => short(column.get(place)))]);
  return [["eigenvalue", ...shown.map((trace) => trace.name)], ...lines.filter((line) => line.slice(1).some((cell) => cell !== "–"))];
}

function gridRows(corner, trace, label, value) {
  if (!trace?.z) return [[corner]];
  const columns = trace.z[0].map((_, index) => index);
  const head = columns.map((column) => typeof trace.x[column] === "number" ? short(trace.x[column]) : trace.x[column]);
  return [[corner, ...head], ...trace.z.map((line, row) => [short(label(row)), ...columns.map((column) => line[column] === null ? "–" : short(value(line[column])))])];
}

// The probability of class 1 at some places of each picture.
function surfaceRows(traces) {
  const shown = traces.filter((trace) => trace.z);
  if (!shown.length) return [["arm", "x₂"]];
  const places = (count) => Array.from({ length: Math.min(MOST_PLACES, count) }, (_, index) => Math.round(index * (count - 1) / (Math.min(MOST_PLACES, count) - 1)));
  const columns = places(shown[0].z[0].length), rows = places(shown[0].z.length).toReversed();
  const head = ["arm", "x₂", ...columns.map((column) => `x₁ = ${short(shown[0].x0 + column * shown[0].dx)}`)];
  const percent = (value) => `${Math.round(100 * value / 255)} %`;
  return [head, ...shown.flatMap((trace) => rows.map((row) => [trace.name, short(trace.y0 + row * trace.dy), ...columns.map((column) => percent(trace.z[row][column]))]))];
}
