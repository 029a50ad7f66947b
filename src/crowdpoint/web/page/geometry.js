// Geometry of points and polygons, in pixels of the photo.

/** Count the points inside a polygon, by the even-odd rule. */
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

/** Check whether adding `corner` to an outline, or closing it without one, makes its sides cross. */
export function checkCrossing(outline, corner = null) {
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

/** Map each point to the distance to its nearest neighbour, at most `limit`, by a grid of cells of this side. */
export function computeSpacings(points, limit) {
  const cells = new Map();
  const key = (x, y) => Math.floor(x / limit) * 65536 + Math.floor(y / limit);
  for (const point of points) {
    const cell = key(point.x, point.y);
    if (cells.has(cell)) cells.get(cell).push(point);
    else cells.set(cell, [point]);
  }
  const spacings = new Map();
  for (const point of points) {
    let least = limit * limit;
    for (const dx of [-limit, 0, limit]) {
      for (const dy of [-limit, 0, limit]) {
        for (const other of cells.get(key(point.x + dx, point.y + dy)) ?? []) {
          const distance = (other.x - point.x) ** 2 + (other.y - point.y) ** 2;
          if (other !== point && distance < least) least = distance;
        }
      }
    }
    spacings.set(point, Math.sqrt(least));
  }
  return spacings;
}
