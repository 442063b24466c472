/* Arrays as numbers and pictures. A digest (digest.py) is an array in full, a heat map with statistics, or statistics only. */

const ZERO = 126, MINUS_INFINITY = 253, PLUS_INFINITY = 254, NOT_A_NUMBER = 255;

/* A number of the JSON; a complex one stays a pair. */
function numberOf(x) {
  return typeof x === "string" ? {nan: NaN, inf: Infinity, "-inf": -Infinity}[x] ?? Number(x)
    : Array.isArray(x) ? x.map(numberOf) : Number(x);
}

function format(x, digits = 4) {
  if (Array.isArray(x)) {
    const [re, im] = x.map(numberOf);
    return `${format(re, digits)}${im < 0 || Object.is(im, -0) ? "−" : "+"}${format(Math.abs(im), digits)}i`;
  }
  if (typeof x === "boolean") return x ? "True" : "False";
  if (typeof x === "string" && !["nan", "inf", "-inf"].includes(x)) return x;
  x = numberOf(x);
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  let text = size >= 1e5 || size < 1e-3 ? x.toExponential(Math.min(digits - 1, 2)) : String(Number(x.toPrecision(digits)));
  text = text.replace(/\.?0+e/, "e").replace("e+", "e");
  return text.replace("-", "−").replace("e-", "e−");
}

/* The number that a cell is coloured by: of a complex one, its absolute value. */
function magnitude(x) {
  x = numberOf(x);
  return Array.isArray(x) ? Math.hypot(...x) : x;
}

function isFiniteDigest(digest) {
  return digest.full ? digest.full.every(x => Number.isFinite(magnitude(x))) : !(digest.nans || digest.infs);
}

/* The Euclidean norm, or null if it is not known. */
function normOf(digest) {
  if (digest.full) return digest.euclidean ??= Math.hypot(...digest.full.map(magnitude));
  return digest.norm === undefined ? null : numberOf(digest.norm);
}

/* A grid of numbers to be coloured: {columns, cells}; null if only statistics are known. */
function gridOf(digest) {
  if (digest.grid !== undefined) return digest.grid;
  digest.grid = null;
  if (digest.full && digest.full.length) {
    const columns = digest.shape.length ? digest.shape[digest.shape.length - 1] : 1;
    digest.grid = {columns, cells: digest.full.map(magnitude)};
  } else if (digest.heat) {
    const cells = Array.from(atob(digest.heat), character => {
      const code = character.charCodeAt(0);
      return code === NOT_A_NUMBER ? NaN : code === PLUS_INFINITY ? Infinity : code === MINUS_INFINITY ? -Infinity
        : (code - ZERO) / ZERO * digest.scale;
    });
    digest.grid = {columns: digest.columns, cells};
  }
  return digest.grid;
}

/* The sum of digests, as one: of arrays in full, and of heat maps, which are means over blocks and so add up. */
function sumOf(digests) {
  const [first, ...rest] = digests;
  if (!rest.length) return first;
  if (digests.every(digest => digest.full)) {
    const full = first.full.map((_, i) => digests.map(digest => numberOf(digest.full[i])).reduce(added));
    return {shape: first.shape, dtype: first.dtype, full};
  }
  const grids = digests.map(gridOf);
  if (!grids.every(grid => grid && grid.cells.length === grids[0].cells.length)) {
    return {shape: first.shape, dtype: first.dtype};    // not known
  }
  const cells = grids[0].cells.map((_, i) => grids.reduce((sum, grid) => sum + grid.cells[i], 0));
  return {shape: first.shape, dtype: first.dtype, grid: {columns: grids[0].columns, cells}};
}

function added(x, y) {
  if (!Array.isArray(x) && !Array.isArray(y)) return x + y;
  const [a, b] = [x, y].map(z => Array.isArray(z) ? z : [z, 0]);
  return [a[0] + b[0], a[1] + b[1]];
}

/* Red for positive, blue for negative, t in [-1, 1]. */
function colour(t, dark) {
  if (Number.isNaN(t)) return [214, 51, 210];
  if (!Number.isFinite(t)) return [255, 200, 0];
  const zero = dark ? [38, 43, 54] : [246, 247, 249];
  const far = t < 0 ? (dark ? [70, 150, 255] : [24, 100, 190]) : (dark ? [255, 112, 82] : [205, 50, 40]);
  const part = Math.abs(t) ** 0.7;                      // small numbers are to be told from 0
  return zero.map((from, i) => Math.round(from + (far[i] - from) * part));
}

/* The colour of text on a colour. */
function readable([r, g, b]) { return r * 0.3 + g * 0.59 + b * 0.11 > 135 ? "#15181f" : "#fff"; }

function css(rgb) { return `rgb(${rgb.join(",")})`; }

function largest(cells) {
  let found = 0;
  for (const x of cells) if (Number.isFinite(x) && Math.abs(x) > found) found = Math.abs(x);
  return found;
}

/* The heat map of a grid, drawn on a canvas with a pixel per cell. */
function paint(canvas, grid, dark) {
  canvas.width = grid.columns;
  canvas.height = Math.ceil(grid.cells.length / grid.columns);
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  const scale = largest(grid.cells) || 1;
  grid.cells.forEach((x, i) => {
    const [r, g, b] = colour(x / scale, dark);
    image.data.set([r, g, b, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

/* The address of the heat map of a digest, made once for each of the two themes. */
function pictureOf(digest, dark) {
  const kept = dark ? "darkPicture" : "lightPicture";
  if (digest[kept] === undefined) {
    const grid = gridOf(digest), canvas = document.createElement("canvas");
    if (grid) paint(canvas, grid, dark);
    digest[kept] = grid ? canvas.toDataURL() : null;
  }
  return digest[kept];
}

/* At most `most` numbers as text lines for a small place, or null if a picture says more. */
function fewNumbers(digest, most = 4) {
  if (!digest.full) return digest.heat || digest.grid ? null : statisticsOf(digest);
  if (!digest.full.length) return ["empty"];
  const complex = digest.full.some(Array.isArray);
  if (digest.full.length > (complex ? most / 2 : most)) return null;
  return digest.full.map(x => format(x, complex ? 2 : 4));
}

function statisticsOf(digest) {
  const lines = [];
  if (digest.min !== undefined) lines.push(`${format(digest.min, 3)} ..`, format(digest.max, 3));
  if (digest.nans) lines.push(`${digest.nans} NaN`);
  if (digest.infs) lines.push(`${digest.infs} ∞`);
  return lines.length ? lines.slice(-2) : ["?"];
}

/* `[[1, 2], [3, 4]]` */
function nested(texts, [n, ...shape]) {
  const size = texts.length / n, parts = Array.from({length: n}, (_, i) => texts.slice(i * size, (i + 1) * size));
  return `[${parts.map(part => shape.length ? nested(part, shape) : part[0]).join(", ")}]`;
}

/* A few characters about an array. */
function brief(digest) {
  if (digest.nans || digest.infs) return digest.nans ? `${digest.nans} NaN` : `${digest.infs} ∞`;
  if (digest.full && digest.full.length <= 3) return summary(digest);
  const most = digest.full ? largest(digest.full.map(magnitude))
    : Math.max(Math.abs(numberOf(digest.min)), Math.abs(numberOf(digest.max)));
  if (digest.full && !isFiniteDigest(digest)) return digest.full.some(x => Number.isNaN(magnitude(x))) ? "NaN" : "∞";
  return Number.isFinite(most) ? most ? `±${format(most, 2)}` : "0" : summary(digest);
}

/* One line about an array, for lists and for screen readers. */
function summary(digest) {
  if (digest.full) {
    if (!digest.full.length) return "empty";
    if (digest.shape.length < 2) {
      const shown = digest.full.slice(0, 6).map(x => format(x, 3)).join(", ");
      return digest.shape.length ? `[${shown}${digest.full.length > 6 ? ", …" : ""}]` : shown;
    }
    return digest.full.length <= 9 ? nested(digest.full.map(x => format(x, 3)), digest.shape)
      : `${shapeText(digest.shape)} ${brief(digest)}`;
  }
  const bad = [[digest.nans, "NaN"], [digest.infs, "∞"]].filter(([n]) => n).map(([n, name]) => `${n} ${name}`);
  if (digest.min === undefined) return bad.join(", ") || shapeText(digest.shape);
  return [`${format(digest.min, 3)} .. ${format(digest.max, 3)}`, ...bad].join(", ");
}
