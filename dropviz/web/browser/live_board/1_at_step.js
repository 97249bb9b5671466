// What a skeleton's meta asks for at one step: numbers side by side, and arrays. No DOM here.

// The names that * in a metric stands for, in the order in which they were first measured.
function namesOf(pattern, metrics) {
  const [start, end] = pattern.split("*");
  const fits = (metric) => metric.startsWith(start) && metric.endsWith(end) && metric.length > start.length + end.length;
  return metrics.filter(fits).map((metric) => metric.slice(start.length, metric.length - end.length));
}

// The metrics of a trace with the labels and the errors that belong to them.
function asked(meta, metrics) {
  if (meta.role === "profile") return meta.metrics.map((metric, index) => ({ place: meta.places[index], metric, error: meta.errors?.[index], own: meta.own_error }));
  return namesOf(meta.metric, metrics).map((name) => ({ place: name, metric: meta.metric.replace("*", name), error: meta.error?.replace("*", name) }));
}

// Half-widths up and down: the interval over seeds where there is one, else the estimate's own error.
function spread(row, error, own) {
  if (row[2] !== null && !own) return [row[3] - row[1], row[1] - row[2]];
  return error ? [error[1], error[1]] : [null, null];
}

// at: metric → its row at the step, if any.
function sideBySide(trace, meta, metrics, at) {
  const found = asked(meta, metrics).map((one) => ({ ...one, row: at(one.metric) })).filter((one) => one.row);
  Object.assign(trace, { x: found.map((one) => one.place), y: found.map((one) => one.row[1]) });
  const bars = found.map((one) => spread(one.row, one.error ? at(one.error) : null, meta.own_error));
  const some = bars.some(([up]) => up > 0);
  if (trace.error_y) Object.assign(trace.error_y, { symmetric: false, array: bars.map((bar) => bar[0]), arrayminus: bars.map((bar) => bar[1]), visible: some });
  return found;
}

const eigenvalueAt = (place, scale) => Math.sign(place) * scale * (10 ** Math.abs(place) - 1);

function density(trace, grid, found) {
  const x = found.values.map((value, index) => grid.lowest + grid.spacing * (found.first + index));
  const y = found.values.map((value) => value < grid.floor ? null : value);
  Object.assign(trace, { x, y, customdata: x.map((place) => eigenvalueAt(place, grid.scale)) });
}

// Columns: one a step, {step, found}; found is undefined as long as it is on its way.
function spectrum(trace, grid, columns) {
  const ranges = columns.filter(({ found }) => found?.values.length).map(({ found }) => {
    const seen = found.values.map((value, index) => [value, found.first + index]).filter(([value]) => value >= grid.floor);
    return [seen[0][1], seen.at(-1)[1]];
  });
  if (!ranges.length) return Object.assign(trace, { x: [], y: [], z: null });
  const first = Math.min(...ranges.map((range) => range[0])), last = Math.max(...ranges.map((range) => range[1]));
  const places = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const y = places.map((place) => grid.lowest + grid.spacing * place);
  const value = (found, place) => found?.values[place - found.first] ?? 0;
  const z = places.map((place) => columns.map(({ found }) => found ? Math.log10(Math.max(value(found, place), grid.floor)) : null));
  const x = columns.map(({ step }) => step.toLocaleString("en"));
  return Object.assign(trace, { x, y, z, customdata: y.map((place) => columns.map(() => eigenvalueAt(place, grid.scale))) });
}

function slice(trace, found) {
  const axis = (reach, count) => Array.from({ length: count }, (_, index) => reach * (2 * index / (count - 1) - 1));
  Object.assign(trace, { z: found.loss, x: axis(found.reach[0], found.loss[0].length), y: axis(found.reach[1], found.loss.length) });
}

// In words: at which step a panel's numbers were measured, where the page is at the step `now`.
function stepInWords(used, now) {
  const steps = [...new Set(used)].sort((a, b) => a - b);
  const shown = (step) => step.toLocaleString("en");
  if (!steps.length) return "";
  if (steps.length > 1) return `at steps ${shown(steps[0])} to ${shown(steps.at(-1))}: of each arm the last measured`;
  return steps[0] === now ? `at step ${shown(now)}` : `at step ${shown(steps[0])}, the last measured before step ${shown(now)}`;
}
