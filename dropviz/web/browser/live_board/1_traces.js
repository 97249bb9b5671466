// Rows of the data route into traces: what a skeleton's meta (role, arm, metric, error) asks for. No DOM here.

const LABEL_ROW = -0.7, TOP_ROW = -0.95;

function hasPoints(trace) {
  return (trace.x?.length ?? 0) > 0 || Boolean(trace.z);
}

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

// A number that is known beforehand, from one end of the axis to the other.
function reference(trace, meta, rows) {
  const mean = rows.at(-1)?.[1] ?? null;
  if (mean === null) Object.assign(trace, { x: [], y: [] });
  else Object.assign(trace, { x: meta.span, y: [mean, mean] });
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
function ladderRange(ladder, inPercent) {
  const level = Object.values(ladder).filter((entry) => entry.level);
  const ends = level.flatMap((entry) => [...entry.values, entry.lower ?? entry.mean, entry.upper ?? entry.mean]);
  if (!ends.length) return null;
  const low = Math.min(...ends), high = Math.max(...ends), room = Math.max(inPercent ? 0.01 : 0.002, 0.08 * (high - low));
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
  const rows = Math.ceil(count / columns), wide = 1 / columns, high = 1 / rows, narrow = width < 520;
  for (let index = 0; index < count; index += 1) {
    const row = Math.floor(index / columns), column = index % columns;
    const suffix = index ? String(index + 1) : "";
    const across = (narrow ? 0.3 : 0.16) * wide, up = (narrow ? 0.44 : 0.26) * high;
    layout[`xaxis${suffix}`].domain = [column * wide + across / 2, (column + 1) * wide - across / 2];
    layout[`yaxis${suffix}`].domain = [1 - (row + 1) * high + up * 0.7, 1 - row * high - up * 0.3];
  }
  layout.height = Math.round(Math.min(280, width / columns * 0.82) + (narrow ? 36 : 0)) * rows;
}

// Puts a row where its step belongs; of a pool that has grown, in place of the former row of this step.
function put(rows, row) {
  if (!rows.length || rows[rows.length - 1][0] < row[0]) return rows.push(row);
  const place = rows.findIndex((one) => one[0] >= row[0]);
  return rows.splice(place, rows[place][0] === row[0] ? 1 : 0, row);
}
