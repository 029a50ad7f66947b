// Reads files of points (CSV or JSON) and of zones, so that a person can go on correcting them.

import { getSize } from "./photo.js";

export const FILE_OF_POINTS = /\.(csv|json|jsonl)$/i;

const NUMBERS = ["x", "y", "score", "box_width", "box_height"]; // of a point

/**
 * Read a file. Resolves to `{ records }` of `{ image, width, height, points }`, or to `{ zones, size }`.
 * Throws an `Error` whose message names the file.
 */
export async function readFile(file) {
  const text = (await file.text()).replace(/^\uFEFF/, "");
  try {
    if (/\.csv$/i.test(file.name)) return { records: readTable(text).map(checkBoxes) };
    const document = readJson(text);
    const isOfZones = document?.zones && !document.points; // a record of a prediction has figures of its zones
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

/** Reduce the name of a photo to what stays the same in other folders and file systems. */
export function normalizeName(name) {
  return name.split(/[/\\]/).at(-1).normalize("NFC").toLowerCase();
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

function readPoint(image, { x, y, score, ...sizes }) {
  const point = { x, y, score: score ?? 1, ...getSize(sizes) };
  if (Object.values(point).every(Number.isFinite)) return point;
  throw new Error(`expected numbers as x, y and score of a point of ${image}, and as its box_width and box_height, or none`);
}

function checkBoxes(record) {
  const sized = record.points.filter((point) => "box_width" in point);
  if (!sized.length || sized.length === record.points.length) return record;
  throw new Error(`expected box_width and box_height on all points of ${record.image} or on none`);
}

function readZones({ image_size: size, zones }) {
  const isPolygon = (polygon) => Array.isArray(polygon) && polygon.length > 2 && polygon.flat().every(Number.isFinite);
  if (!Array.isArray(zones) || !zones.every(({ name, polygon }) => typeof name === "string" && isPolygon(polygon))) {
    throw new Error("expected zones with `name` and `polygon`, a list of at least three corners");
  }
  return { size, zones: zones.map(({ name, polygon }) => ({ name, polygon })) };
}

function readTable(text) {
  const [header, ...rows] = readRows(text);
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
