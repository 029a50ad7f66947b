// Reads files of points (CSV or JSON) and of zones, so that a person can go on correcting them.

import { findFault } from "./geometry.js";
import { getSize } from "./photo.js";

export const FILE_OF_POINTS = /\.(csv|json|jsonl|geojson|ya?ml)$/i;

const OTHER_ZONES = /\.(geojson|ya?ml)$/i;

const SHAPE_TOLERANCE = 0.02; // of aspect ratios, as in `crowdpoint.zones`

const NUMBERS = ["x", "y", "score", "box_width", "box_height"]; // of a point

/**
 * Read a file. Resolves to `{ records }` of `{ image, width, height, points }`, or to `{ zones, context, size }`.
 * Throws an `Error` whose message names the file.
 */
export async function readFile(file) {
  const text = (await file.text()).replace(/^\uFEFF/, "");
  try {
    if (/\.csv$/i.test(file.name)) return { records: readTable(text).map(checkBoxes) };
    const document = OTHER_ZONES.test(file.name) ? { type: "FeatureCollection" } : readJson(text);
    if (document?.type === "FeatureCollection") {
      throw new Error("the page reads zones as JSON with the key `zones` only, not as YAML or GeoJSON");
    }
    // The record of a prediction has figures of its zones.
    const isOfZones = (document?.zones || document?.lines) && !document.points;
    return isOfZones ? readZones(document) : { records: [document].flat().map(readRecord).map(checkBoxes) };
  } catch (error) {
    throw new Error(`${file.name}: ${error.message}`);
  }
}

/** Check that points or zones are on a photo of this size. */
export function checkSize(width, height, photo, source) {
  if (!width || !photo.width || (width === photo.width && height === photo.height)) return;
  throw new Error(
    `${source} is for a photo of ${width} × ${height} pixels, and ${photo.name} has ${photo.width} × ${photo.height}.`,
  );
}

/**
 * Scale zones, and the pixels in their context, to a photo of the same view as that of `size`, as
 * `crowdpoint.zones.Zones.fit` does.
 */
export function fitZones({ zones, context, size, source }, photo) {
  if (!size) return { zones, context };
  if (!photo.width) throw new Error(`the size of ${photo.name} is not known yet; add ${source} again when it is counted`);
  const factors = [photo.width / size[0], photo.height / size[1]];
  if (Math.abs(factors[0] / factors[1] - 1) > SHAPE_TOLERANCE) checkSize(...size, photo, source);
  const scale = (corners) => corners.map((corner) => corner.map((value, axis) => value * factors[axis]));
  const { ground, lines } = context;
  return {
    zones: zones.map((zone) => ({ ...zone, polygon: scale(zone.polygon) })),
    context: {
      ...context,
      ...(ground && { ground: { ...ground, image: scale(ground.image) } }),
      ...(lines && { lines: lines.map((one) => ({ ...one, line: scale(one.line) })) }),
    },
  };
}

/** Return the name of a photo without its folder. */
export function getBaseName(name) {
  return name.split(/[/\\]/).at(-1);
}

/** Reduce the name of a photo to what stays the same in other folders and file systems. */
export function normalizeName(name) {
  return getBaseName(name).normalize("NFC").toLowerCase();
}

function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text.split("\n").filter((line) => line.trim()).map((line, index) => {
      try {
        return JSON.parse(line);
      } catch {
        throw new Error(`line ${index + 1} is not JSON`);
      }
    });
  }
}

function readRecord(record) {
  const { image, width = null, height = null, points } = record ?? {};
  if (typeof image !== "string" || !Array.isArray(points)) {
    throw new Error("expected objects with `image`, a name, and `points`, a list");
  }
  return { image, width, height, points: points.map((point) => readPoint(image, point)) };
}

function readPoint(image, values) {
  const { x, y, score, ...sizes } = values ?? {};
  const point = { x, y, score: score ?? 1, ...getSize(sizes) };
  if (Object.values(point).every(Number.isFinite)) return point;
  throw new Error(`expected numbers as x, y and score of a point of ${image}, and as its box_width and box_height, or none`);
}

function checkBoxes(record) {
  const sized = record.points.filter((point) => "box_width" in point);
  if (!sized.length || sized.length === record.points.length) return record;
  throw new Error(`expected box_width and box_height on all points of ${record.image} or on none`);
}

function readZones({ image_size: size, zones = [], ...context }) {
  const { ground, lines = [] } = context;
  if (size != null && !(isPair(size) && size.every((side) => Number.isInteger(side) && side > 0))) {
    throw new Error("expected [width, height] in pixels as `image_size`");
  }
  if (!Array.isArray(zones) || !zones.every((zone) => isNamed(zone) && isOutline(zone.polygon) && zone.polygon.length > 2)) {
    throw new Error("expected zones with `name`, of at most 100 characters, and `polygon`, a list of at least three corners [x, y]");
  }
  if (!Array.isArray(lines) || !lines.every((one) => isNamed(one) && isOutline(one.line))) {
    throw new Error("expected lines with `name`, of at most 100 characters, and `line`, two points [x, y]");
  }
  if (ground != null && !isOutline(ground.image)) throw new Error("expected points [x, y] as `image` of `ground`");
  const names = [...zones, ...lines].map(({ name }) => name);
  const double = names.find((name, index) => names.indexOf(name) !== index);
  if (double !== undefined) throw new Error(`expected unique names of zones and lines, found ${double} twice`);
  for (const { name, polygon } of zones) {
    const fault = findFault(polygon);
    if (fault) throw new Error(`${name}: ${fault}`);
  }
  return { size, context, zones };
}

const isPair = (value) => Array.isArray(value) && value.length === 2 && value.every(isCoordinate);
const isCoordinate = (value) => typeof value === "number" && Math.abs(value) < 1e9;
const isOutline = (value) => Array.isArray(value) && value.every(isPair);
const isNamed = (value) => typeof value?.name === "string" && /^.{1,100}$/su.test(value.name);

function readTable(text) {
  const [header = [], ...rows] = readRows(text);
  const missing = ["image", "x", "y"].filter((name) => !header.includes(name));
  if (missing.length) throw new Error(`expected the columns image, x and y; ${missing.join(", ")} missing`);
  const records = new Map();
  for (const cells of rows) {
    const row = Object.fromEntries(header.map((name, index) => [name, cells[index] ?? ""]));
    const image = unescapeCell(row.image);
    if (!records.has(image)) {
      records.set(image, { image, width: Number(row.width) || null, height: Number(row.height) || null, points: [] });
    }
    if (row.x === "" && row.y === "") continue; // an image without points
    const numbers = NUMBERS.map((name) => [name, row[name] ? parse(row[name]) : null]);
    records.get(image).points.push(readPoint(image, Object.fromEntries(numbers)));
  }
  return [...records.values()];
}

function parse(cell) {
  return cell.trim() === "" ? NaN : Number(cell);
}

/** Split CSV (RFC 4180) into rows of cells, without empty rows. */
function readRows(text) {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ",") rows.push([]);
  }
  return rows.filter((row) => row.some((cell) => cell !== ""));
}

/** Undo the `'` that keeps spreadsheets from taking a name for a formula. */
function unescapeCell(text) {
  return /^'+[=+\-@\t\r]/.test(text) ? text.slice(1) : text;
}
