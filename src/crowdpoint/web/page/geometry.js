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

/** Check whether adding `corner` to an outline makes its sides cross or touch. */
export function checkCrossing(outline, corner) {
  const added = [outline.at(-1), corner];
  return outline.slice(1).some((end, index) => sidesMeet([outline[index], end], added));
}

/** Describe why an outline, closed, is no zone, by the rules of `--zones`; null if it is one. */
export function findFault(outline) {
  const corners = outline.filter((corner, index) => String(corner) !== String(outline.at(index - 1)));
  if (corners.every((corner) => getTurn(corners[0], corners[1], corner) === 0)) {
    return "A zone needs three corners that are not on one line";
  }
  const sides = corners.map((corner, index) => [corner, corners[(index + 1) % corners.length]]);
  const crosses = sides.some((side, index) => sides.slice(index + 1).some((other) => sidesMeet(side, other)));
  return crosses ? "The sides of a zone may not cross" : null;
}

/** Return on which side of the line from `p` to `q` the point `r` is: 1, -1, or 0 for on the line. */
function getTurn(p, q, r) {
  return Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
}

/** Check whether two sides of an outline cross or touch, apart from the corner that neighbours share. */
function sidesMeet([a, b], [c, d]) {
  if (d === a) return sidesMeet([c, d], [a, b]);
  if (b === c) return getTurn(a, b, d) === 0 && (b[0] - a[0]) * (d[0] - c[0]) + (b[1] - a[1]) * (d[1] - c[1]) < 0;
  const turns = [getTurn(a, b, c), getTurn(a, b, d), getTurn(c, d, a), getTurn(c, d, b)];
  if (turns.some(Boolean)) return turns[0] !== turns[1] && turns[2] !== turns[3];
  return [0, 1].every((axis) => (
    Math.max(Math.min(a[axis], b[axis]), Math.min(c[axis], d[axis]))
      <= Math.min(Math.max(a[axis], b[axis]), Math.max(c[axis], d[axis]))
  ));
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
