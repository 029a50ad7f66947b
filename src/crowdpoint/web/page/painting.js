// Paints points, zones and the heat map on a canvas, over the photo in view or in a saved picture.

import { computeSpacings } from "./geometry.js";

const FOUND = "#00e5ff";
const ADDED = "#ffd23f";
const REMOVED = "#ff5a5f";
const EDGE = "rgb(8 24 40 / 90%)";
export const LABEL = "rgb(8 24 40 / 95%)";
export const ZONE_COLORS = ["#ff7ab6", "#9be15d", "#ffb454", "#b69cff", "#4fd8c4", "#ff8a70"];

/** Return the colour of the zone with this index. */
export const zoneColor = (index) => ZONE_COLORS[index % ZONE_COLORS.length];

/**
 * What to paint: `found`, `added` and `removed` points, `heat` (of `HeatMap.update`, or null), `zones` of
 * `{ polygon, label }`, and the `outline` of an unfinished zone.
 */
export class Scene {
  constructor(parts, photoSize) {
    Object.assign(this, parts);
    this.size = photoSize;
    const points = [...this.found, ...this.added, ...this.removed];
    this.spacings = computeSpacings(points, Math.hypot(...photoSize) / 40);
  }

  /** Paint the result, and the marks of the tools: removed points and the outline. */
  paint(context, view) {
    this.paintResult(context, view);
    this.paintRings(this.removed);
    this.paintOutline(this.outline.map(([x, y]) => view.place(x, y)));
  }

  /**
   * Paint on a canvas of `width` by `height` units. `place(x, y)` gives the place of a pixel of the photo, which
   * is `scale` wide there; marks and letters have sizes in `unit`.
   */
  paintResult(context, { width, height, place, scale, unit = 1 }) {
    this.context = context;
    this.place = ({ x, y }) => place(x, y);
    this.scale = scale;
    this.unit = unit;
    const corners = this.zones.map((zone) => zone.polygon.map(([x, y]) => place(x, y)));
    if (this.heat) {
      const [left, top] = place(0, 0);
      context.drawImage(this.heat.image, left, top, this.size[0] * scale, this.size[1] * scale);
    }
    corners.forEach((polygon, index) => this.paintZone(polygon, zoneColor(index)));
    this.paintDots(this.found, FOUND, width, height);
    this.paintDots(this.added, ADDED, width, height);
    corners.forEach((polygon, index) => this.paintLabel(polygon, this.zones[index].label, zoneColor(index)));
  }

  /** Paint the legend of the heat map in the bottom-right corner, unless the canvas is too small. */
  paintLegend(width, height) {
    const { context, unit } = this;
    const { peak, unit: caption, colors } = this.heat;
    const [size, pad] = [12 * unit, 6 * unit];
    context.font = `${size}px system-ui, sans-serif`;
    const measure = (text) => context.measureText(text).width;
    const [wide, high] = [measure(caption) + 2 * pad, 2 * size + 4 * pad];
    if (wide > 0.8 * width || high > 0.25 * height) return;
    const [left, top, bottom] = [width - wide, height - high, height - pad - size];
    context.fillStyle = LABEL;
    context.fillRect(left, top, wide, high);
    context.fillStyle = "#fff";
    context.textAlign = "left";
    context.textBaseline = "top";
    context.fillText(caption, left + pad, top + pad);
    context.fillText("0", left + pad, bottom);
    context.fillText(peak, width - pad - measure(peak), bottom);
    const [from, to] = [left + 2 * pad + measure("0"), width - 2 * pad - measure(peak)];
    const gradient = context.createLinearGradient(from, 0, to, 0);
    colors.forEach((color, index) => gradient.addColorStop(index / (colors.length - 1), color));
    context.fillStyle = gradient;
    context.fillRect(from, bottom, to - from, size);
  }

  /** Compute the radius of a mark: smaller where points crowd, so that they hide neither each other nor heads. */
  radius(point) {
    return Math.min(Math.max(0.28 * this.spacings.get(point) * this.scale, 1.5 * this.unit), 5.5 * this.unit);
  }

  paintDots(points, color, width, height) {
    const { context } = this;
    const far = 9 * this.unit;
    const visible = points.map((point) => [...this.place(point), this.radius(point)])
      .filter(([x, y]) => x > -far && y > -far && x < width + far && y < height + far);
    for (const [edge, fill] of [[0.35, EDGE], [0, color]]) {
      context.beginPath();
      for (const [x, y, radius] of visible) {
        const whole = radius + Math.min(edge * radius, 1.3 * this.unit);
        context.moveTo(x + whole, y);
        context.arc(x, y, whole, 0, 2 * Math.PI);
      }
      context.fillStyle = fill;
      context.fill();
    }
  }

  paintRings(points) {
    const { context } = this;
    context.beginPath();
    for (const point of points) {
      const [x, y] = this.place(point);
      const radius = this.radius(point) + this.unit;
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }
    this.stroke(REMOVED, 1.8);
  }

  paintZone(corners, color) {
    this.tracePath(corners);
    this.context.closePath();
    this.context.fillStyle = `${color}2e`;
    this.context.fill();
    this.stroke(color, 2.5);
  }

  paintLabel(corners, label, color) {
    const { context, unit } = this;
    const middle = (axis) => (Math.min(...corners.map((c) => c[axis])) + Math.max(...corners.map((c) => c[axis]))) / 2;
    const [x, y] = [middle(0), middle(1)];
    context.font = `600 ${14 * unit}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const width = context.measureText(label).width + 20 * unit;
    context.fillStyle = LABEL;
    context.beginPath();
    context.roundRect(x - width / 2, y - 13 * unit, width, 26 * unit, 13 * unit);
    context.fill();
    context.fillStyle = color;
    context.fillText(label, x, y + unit);
  }

  paintOutline(corners) {
    const { context } = this;
    this.tracePath(corners);
    this.stroke("#fff", 2.5);
    corners.forEach(([x, y], index) => {
      context.beginPath();
      context.arc(x, y, index ? 4.5 : 8, 0, 2 * Math.PI);
      context.fillStyle = index ? "#fff" : ADDED;
      context.strokeStyle = EDGE;
      context.lineWidth = 2;
      context.fill();
      context.stroke();
    });
  }

  tracePath(corners) {
    this.context.beginPath();
    for (const [x, y] of corners) this.context.lineTo(x, y);
  }

  /** Stroke the path in a colour with dark edges. */
  stroke(color, width) {
    this.context.lineJoin = "round";
    for (const [wide, style] of [[width + 1.8, EDGE], [width, color]]) {
      this.context.lineWidth = wide * this.unit;
      this.context.strokeStyle = style;
      this.context.stroke();
    }
  }
}
