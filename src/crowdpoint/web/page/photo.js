// A photo with its points and zones, and the edits of a person. Coordinates are pixels of the photo.

// `context` has the other members of the file of the zones, such as `ground` and `lines`.
const UNEDITED = { removed: new Set(), added: [], zones: [], context: {} };

export class Photo {
  constructor(file, name) {
    this.file = file;
    this.name = name;
    this.url = URL.createObjectURL(file);
    this.width = 0;
    this.height = 0;
    this.edits = UNEDITED; // never changed in place: undo and redo go back to the same objects
    this.saved = UNEDITED; // the edits that are in a saved file
    this.reset();
  }

  /** Discard the points and their edits, so that the photo is counted; keep the zones. */
  reset() {
    this.state = "waiting"; // then "working", and "done" or "failed"
    this.turn = (this.turn ?? 0) + 1; // an answer to an earlier turn is outdated
    this.title = ""; // of the message
    this.message = "";
    this.sent = 0; // part of the upload
    this.scale = null; // finest working scale of the count
    this.candidates = []; // { x, y, score, box_width?, box_height? }, in descending order of scores
    this.interval = null; // [low, high], which the true count is in
    this.warning = ""; // why the count may be far off
    this.source = ""; // name of the file that the points are from
    this.past = [];
    this.future = [];
    const keepZones = ({ zones, context }) => ({ ...UNEDITED, zones, context });
    this.edits = keepZones(this.edits);
    this.saved = keepZones(this.saved);
  }

  /** Take the points of a record; of the server, or of the file `source`. */
  take(record, source = "") {
    this.reset();
    this.state = "done";
    this.width = record.width;
    this.height = record.height;
    this.source = source;
    this.scale = record.scale ?? null;
    this.candidates = [...record.points].sort((a, b) => b.score - a.score);
    this.interval = Number.isInteger(record.count_low) ? [record.count_low, record.count_high] : null;
    this.warning = record.warning ?? "";
  }

  fail(title, message) {
    Object.assign(this, { state: "failed", title, message });
  }

  /** Candidates that reach the threshold, removed ones included. Points from a file always do. */
  reaching(threshold) {
    if (this.source) return this.candidates;
    let low = 0;
    let high = this.candidates.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.candidates[middle].score >= threshold) low = middle + 1;
      else high = middle;
    }
    return this.candidates.slice(0, low);
  }

  /** The points that count: first the candidates, then the added ones. */
  points(threshold) {
    const { removed, added } = this.edits;
    return this.reaching(threshold).filter((point) => !removed.has(point)).concat(added);
  }

  /** Whether points were added or removed. */
  get corrected() {
    return this.edits.added.length > 0 || this.edits.removed.size > 0;
  }

  /** Whether there are edits that no saved file has. */
  get unsaved() {
    return this.hasUnsaved(...Object.keys(UNEDITED));
  }

  /** Check whether one of these parts of the edits is in no saved file. */
  hasUnsaved(...parts) {
    return parts.some((part) => this.edits[part] !== this.saved[part]);
  }

  /** Note that a file has these parts of the edits. */
  markSaved(...parts) {
    this.saved = { ...this.saved, ...Object.fromEntries(parts.map((part) => [part, this.edits[part]])) };
  }

  /** Replace parts of the edits. */
  edit(parts) {
    this.past.push(this.edits);
    this.future = [];
    this.edits = { ...this.edits, ...parts };
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, to) {
    if (!from.length) return;
    to.push(this.edits);
    this.edits = from.pop();
  }

  /** Remove the point at (x, y), restore a removed one, or add one. Returns a description. */
  toggle(x, y, threshold, reach) {
    const { removed, added } = this.edits;
    const point = findNearest(this.reaching(threshold).concat(added), x, y, reach);
    if (!point) {
      if (x < 0 || y < 0 || x >= this.width || y >= this.height) return "";
      const size = getSize(findNearest(this.candidates, x, y, Infinity) ?? {}); // files have sizes for all points or none
      this.edit({ added: [...added, { x, y, score: 1, ...size }] });
      return "Point added";
    }
    if (added.includes(point)) this.edit({ added: added.filter((other) => other !== point) });
    else if (removed.has(point)) this.edit({ removed: new Set([...removed].filter((other) => other !== point)) });
    else this.edit({ removed: new Set([...removed, point]) });
    return removed.has(point) ? "Point restored" : "Point removed";
  }

  addZone(polygon) {
    let number = 1;
    while (this.hasZone(`Zone ${number}`)) number += 1;
    this.edit({ zones: [...this.edits.zones, { name: `Zone ${number}`, polygon }] });
  }

  removeZone(index) {
    this.edit({ zones: this.edits.zones.toSpliced(index, 1) });
  }

  /** Rename a zone, unless the name is empty or taken. */
  renameZone(index, name) {
    const { zones } = this.edits;
    if (!name || this.hasZone(name)) return;
    this.edit({ zones: zones.with(index, { ...zones[index], name }) });
  }

  /** Check whether a zone has this name, or a line of the file of the zones. */
  hasZone(name) {
    const { zones, context } = this.edits;
    return [...zones, ...(context.lines ?? [])].some((one) => one.name === name);
  }
}

/** Return the size of the head of a point, as members of a point; none if it is not known. */
export function getSize({ box_width, box_height }) {
  return box_width == null ? {} : { box_width, box_height };
}

/** Find the nearest of `points` to (x, y) within `reach` pixels; null if there is none. */
function findNearest(points, x, y, reach) {
  let best = null;
  let least = reach * reach;
  for (const point of points) {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (distance <= least) [best, least] = [point, distance];
  }
  return best;
}
