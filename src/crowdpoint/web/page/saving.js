// The files that the page saves, in the formats that crowdpoint reads.

import { getSize } from "./photo.js";

/** Build a record for each photo, as `crowdpoint predict --json` prints them. */
export function buildRecords(photos, threshold) {
  return photos.map((photo) => {
    const points = photo.points(threshold).map((point) => (
      { x: round(point.x), y: round(point.y), score: point.score, ...getSize(point) }
    ));
    return { image: photo.name, width: photo.width, height: photo.height, count: points.length, points };
  });
}

/** Build the same records as ground truth, with a score of 1 for each point. */
export function buildAnnotation(photos, threshold) {
  const setScore = (point) => ({ ...point, score: 1 });
  return buildRecords(photos, threshold).map((record) => ({ ...record, points: record.points.map(setScore) }));
}

/** Build a table with a row for each point. A photo without points has a row without x and y. */
export function buildPointTable(photos, threshold) {
  const records = buildRecords(photos, threshold);
  const isSized = records.some(({ points }) => points.some((point) => "box_width" in point));
  const sizes = isSized ? ["box_width", "box_height"] : [];
  const rows = [["image", "x", "y", "score", "width", "height", ...sizes]];
  for (const { image, width, height, points } of records) {
    for (const point of points.length ? points : [{ x: "", y: "", score: "" }]) {
      const { x, y, score } = point;
      rows.push([escapeCell(image), x, y, score, width, height, ...sizes.map((name) => point[name] ?? "")]);
    }
  }
  return joinRows(rows);
}

/** Build a table with a row for each photo, failed ones included, as `crowdpoint predict --save counts` does. */
export function buildCountTable(photos, threshold, interval) {
  const rows = photos.map((photo) => {
    if (photo.state === "failed") return [escapeCell(photo.name), "", "", "", "", "", "", "", escapeCell(photo.message)];
    const [low, high] = interval(photo) ?? ["", ""];
    const { name, width, height, scale } = photo;
    const warning = photo.corrected ? "" : photo.warning;
    return [escapeCell(name), width, height, photo.points(threshold).length, low, high, escapeCell(warning), scale ?? "", ""];
  });
  return joinRows([["name", "width", "height", "count", "low", "high", "warning", "scale", "error"], ...rows]);
}

/** Build the file of a photo's zones, for `--zones` of `crowdpoint predict`, with all members of an opened one. */
export function buildZones(photo) {
  const zones = photo.edits.zones.map((zone) => ({ ...zone, polygon: zone.polygon.map((corner) => corner.map(round)) }));
  return { image_size: [photo.width, photo.height], ...photo.edits.context, zones };
}

/** Draw a photo at full size with the result of a scene, and its legend. Resolves to a JPEG file; rejects if the browser cannot make it. */
export async function drawPicture(photo, scene) {
  const image = new Image();
  image.src = photo.url;
  await image.decode();
  const { width, height } = photo;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, width, height);
  if (scene.heat) dim(context, width, height);
  const unit = Math.max(1, Math.hypot(width, height) / 1500);
  scene.paintResult(context, { width, height, place: (x, y) => [x, y], scale: 1, unit });
  if (scene.heat) scene.paintLegend(width, height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("too large for a canvas"))), "image/jpeg", 0.92);
  });
}

/** Offer a file to the browser: a blob, a text, or an object as JSON. */
export function save(name, content) {
  const text = typeof content === "string" || content instanceof Blob ? content : JSON.stringify(content, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Make a picture grey, and 0.55 as bright, as `crowdpoint.draw.heatmap` does. */
function dim(context, width, height) {
  for (const [operation, color] of [["saturation", "#808080"], ["multiply", "rgb(55% 55% 55%)"]]) {
    context.globalCompositeOperation = operation;
    context.fillStyle = color;
    context.fillRect(0, 0, width, height);
  }
  context.globalCompositeOperation = "source-over";
}

function joinRows(rows) {
  return rows.map((cells) => `${cells.map(quote).join(",")}\n`).join("");
}

/** Quote a cell of CSV if it has to be. */
function quote(cell) {
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Escape a name so that no spreadsheet takes it for a formula: `=1` becomes `'=1`. */
function escapeCell(name) {
  return /^'*[=+\-@\t\r]/.test(name) ? `'${name}` : name;
}

function round(value) {
  return Math.round(value * 1000) / 1000;
}
