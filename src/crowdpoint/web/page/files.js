// What the page saves, in the formats that crowdpoint reads: `json`, `csv`, and the files of zones.

/** One record for each photo, as `crowdpoint predict --json` has them. */
export function records(photos, threshold) {
  return photos.map((photo) => {
    const points = photo.points(threshold).map(({ x, y, score }) => ({ x: short(x), y: short(y), score }));
    return { image: photo.name, width: photo.width, height: photo.height, count: points.length, points };
  });
}

/** The same as truth: every point is sure. */
export function annotation(photos, threshold) {
  const sure = ({ x, y }) => ({ x, y, score: 1 });
  return records(photos, threshold).map((record) => ({ ...record, points: record.points.map(sure) }));
}

/** A row for each point; a photo without any has a row without x and y. */
export function csv(photos, threshold) {
  const rows = ["image,x,y,score,width,height"];
  for (const { image, width, height, points } of records(photos, threshold)) {
    const name = quoted(image);
    for (const { x, y, score } of points) rows.push([name, x, y, score, width, height].join(","));
    if (!points.length) rows.push([name, "", "", "", width, height].join(","));
  }
  return `${rows.join("\n")}\n`;
}

/** A row for each photo, for a spreadsheet. */
export function counts(photos, threshold) {
  const rows = records(photos, threshold).map(({ image, width, height, count }) => [quoted(image), width, height, count].join(","));
  return `${["image,width,height,count", ...rows].join("\n")}\n`;
}

/** The zones of one photo, for `crowdpoint.zones`. */
export function zones(photo) {
  const parts = photo.zones.map(({ name, polygon }) => ({ name, polygon: polygon.map((c) => c.map(short)) }));
  return { image_size: [photo.width, photo.height], zones: parts };
}

/** The photo in its own size with its points on it, as JPEG. */
export async function picture(photo, threshold) {
  const image = new Image();
  image.src = photo.url;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: photo.width, height: photo.height });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, photo.width, photo.height);
  context.fillStyle = "#00e5ff";
  context.strokeStyle = "rgba(8, 24, 40, 0.9)";
  const radius = Math.max(2, Math.hypot(photo.width, photo.height) / 400);
  context.lineWidth = radius / 3;
  for (const { x, y } of photo.points(threshold)) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

/** Hands a file to the browser: a blob, a text, or an object as JSON. */
export function save(name, content) {
  const text = typeof content === "string" || content instanceof Blob ? content : JSON.stringify(content, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A cell of CSV; a spreadsheet must not take it for a formula, so that `=1` becomes `'=1`. */
function quoted(name) {
  const safe = /^'*[=+\-@\t\r]/.test(name) ? `'${name}` : name;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function short(value) {
  return Math.round(value * 1000) / 1000;
}
