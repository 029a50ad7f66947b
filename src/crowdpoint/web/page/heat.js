// A heat map of points: their density, spread about as wide as a crowd's people are apart.

const SIDE = 480; // of the map; density needs no more detail
const COLORS = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];

/** A canvas to be stretched over the photo. */
export function heat(points, width, height) {
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const columns = Math.max(1, Math.round(width * scale));
  const rows = Math.max(1, Math.round(height * scale));
  let density = new Float32Array(columns * rows);
  for (const { x, y } of points) {
    const column = Math.floor((x / width) * columns);
    const row = Math.floor((y / height) * rows);
    if (column >= 0 && row >= 0 && column < columns && row < rows) density[row * columns + column] += 1;
  }
  const spacing = Math.sqrt((columns * rows) / Math.max(points.length, 1));
  const radius = Math.round(Math.min(Math.max(0.55 * spacing, 4), SIDE / 18));
  for (let pass = 0; pass < 3; pass++) { // three box means are close to a Gaussian
    density = blurred(blurred(density, columns, rows, radius), rows, columns, radius);
  }
  return painted(density, columns, rows);
}

/** The running mean along rows, transposed, so that the second call does the columns. */
function blurred(values, columns, rows, radius) {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let sum = 0;
    for (let i = 0; i < Math.min(radius, columns); i++) sum += values[start + i];
    for (let column = 0; column < columns; column++) {
      if (column + radius < columns) sum += values[start + column + radius];
      if (column - radius - 1 >= 0) sum -= values[start + column - radius - 1];
      result[column * rows + row] = sum / (2 * radius + 1);
    }
  }
  return result;
}

function painted(density, columns, rows) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  let most = 1e-9;
  for (const value of density) most = Math.max(most, value);
  for (let i = 0; i < density.length; i++) {
    const level = Math.max(density[i] / most, 0) ** 0.6;
    const place = level * (COLORS.length - 1);
    const low = COLORS[Math.min(Math.floor(place), COLORS.length - 2)];
    const high = COLORS[Math.min(Math.floor(place), COLORS.length - 2) + 1];
    const part = place - Math.min(Math.floor(place), COLORS.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[4 * i + channel] = low[channel] + part * (high[channel] - low[channel]);
    }
    pixels.data[4 * i + 3] = 215 * Math.min(1, 2.2 * level);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
