// One photo: what the server found on it, and what a person made of that. Coordinates are pixels of the photo.

export class Photo {
  constructor(file, name) {
    this.file = file;
    this.name = name;
    this.url = URL.createObjectURL(file);
    this.state = "waiting"; // then "working", and "done" or "failed"
    this.message = "";
    this.width = 0;
    this.height = 0;
    this.zones = []; // { name, polygon: [[x, y], …] }
    this.forget();
  }

  /** Back to a photo that nothing was found on yet; its zones stay. */
  forget() {
    this.candidates = []; // { x, y, score }, the surest first
    this.removed = new Set(); // of candidates
    this.added = []; // { x, y, score: 1 }
    this.history = []; // functions that undo
  }

  /** Takes the server's record. */
  take(record) {
    this.width = record.width;
    this.height = record.height;
    this.candidates = record.points.sort((a, b) => b.score - a.score);
  }

  /** Candidates that reach the threshold, whether removed by hand or not. */
  reaching(threshold) {
    let low = 0;
    let high = this.candidates.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.candidates[middle].score >= threshold) low = middle + 1;
      else high = middle;
    }
    return this.candidates.slice(0, low);
  }

  /** The points that count. */
  points(threshold) {
    const kept = this.reaching(threshold);
    return (this.removed.size ? kept.filter((p) => !this.removed.has(p)) : kept).concat(this.added);
  }

  /** The nearest of `points` to (x, y) within `reach` pixels, if there is one. */
  static nearest(points, x, y, reach) {
    let best = null;
    let least = reach * reach;
    for (const point of points) {
      const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (distance <= least) [best, least] = [point, distance];
    }
    return best;
  }

  /** Removes the point at (x, y), brings a removed one back, or adds one. Says which it did. */
  toggle(x, y, threshold, reach) {
    const point = Photo.nearest(this.reaching(threshold).concat(this.added), x, y, reach);
    if (!point) {
      if (x < 0 || y < 0 || x >= this.width || y >= this.height) return "";
      this.added.push({ x, y, score: 1 });
      this.history.push(() => this.added.pop());
      return "Point added";
    }
    const place = this.added.indexOf(point);
    if (place >= 0) {
      this.added.splice(place, 1);
      this.history.push(() => this.added.splice(place, 0, point));
      return "Point removed";
    }
    const back = this.removed.delete(point);
    if (!back) this.removed.add(point);
    this.history.push(() => (back ? this.removed.add(point) : this.removed.delete(point)));
    return back ? "Point is back" : "Point removed";
  }

  addZone(polygon) {
    const taken = new Set(this.zones.map((zone) => zone.name));
    let number = 1;
    while (taken.has(`Zone ${number}`)) number += 1;
    this.zones.push({ name: `Zone ${number}`, polygon });
  }

  undo() {
    this.history.pop()?.();
  }
}

/** How many of `points` are inside `polygon`, by the even-odd rule. */
export function countInside(points, polygon) {
  let count = 0;
  for (const { x, y } of points) {
    let inside = false;
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
      const [x0, y0] = polygon[j];
      const [x1, y1] = polygon[i];
      if ((y0 > y) !== (y1 > y) && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside;
    }
    if (inside) count += 1;
  }
  return count;
}

/** Whether adding `corner` to an outline (or closing it, without one) makes its sides cross. */
export function crosses(outline, corner = null) {
  const [start, end] = corner ? [outline.at(-1), corner] : [outline.at(-1), outline[0]];
  const first = corner ? 0 : 1; // the closing side meets the first one at its corner
  for (let i = first; i < outline.length - 2; i++) {
    if (sidesCross(outline[i], outline[i + 1], start, end)) return true;
  }
  return false;
}

function sidesCross(a, b, c, d) {
  const turn = (p, q, r) => Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  return turn(a, b, c) !== turn(a, b, d) && turn(c, d, a) !== turn(c, d, b);
}

/**
 * A map from each point to the distance of its nearest neighbour, at most `side`: the side of a grid's cells,
 * which keep that quick.
 */
export function spacings(points, side) {
  const cells = new Map();
  const key = (x, y) => Math.floor(x / side) * 65536 + Math.floor(y / side);
  for (const point of points) {
    const cell = key(point.x, point.y);
    if (cells.has(cell)) cells.get(cell).push(point);
    else cells.set(cell, [point]);
  }
  const found = new Map();
  for (const point of points) {
    let least = side * side;
    for (const dx of [-side, 0, side]) {
      for (const dy of [-side, 0, side]) {
        for (const other of cells.get(key(point.x + dx, point.y + dy)) ?? []) {
          const distance = (other.x - point.x) ** 2 + (other.y - point.y) ** 2;
          if (other !== point && distance < least) least = distance;
        }
      }
    }
    found.set(point, Math.sqrt(least));
  }
  return found;
}
