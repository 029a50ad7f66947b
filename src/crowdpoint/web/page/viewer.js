// The photo with everything on it: zoom, pan, taps, and the drawing of points, zones and the heat map.

import { spacings } from "./photo.js";
import Panzoom from "./vendor/panzoom/panzoom.es.js";

const FOUND = "#00e5ff";
const ADDED = "#ffd23f";
const REMOVED = "#ff5a5f";
const EDGE = "rgba(8, 24, 40, 0.9)";
const TAP = 6; // screen pixels that a finger may slip
const STEP = 0.35; // of the zoom
const PIXEL = 24; // screen pixels of a photo's pixel at the deepest zoom

export const ZONE_COLORS = ["#ff7ab6", "#9be15d", "#ffb454", "#b69cff", "#4fd8c4", "#ff8a70"];

export class Viewer {
  /**
   * `onTap(x, y, reach)` is called with pixels of the photo; `reach` is how near a tap counts as a hit.
   * `onKey(key)` is called with Enter and Escape.
   */
  constructor(viewport, { onTap, onKey }) {
    this.viewport = viewport;
    this.stage = viewport.querySelector("#stage");
    this.picture = viewport.querySelector("#picture");
    this.canvas = viewport.querySelector("#drawing");
    this.onTap = onTap;
    this.onKey = onKey;
    this.size = [1, 1];
    this.scene = null;
    this.spacing = new Map(); // point -> about how far the others are, in pixels of the photo
    this.queued = false;
    this.fit = { left: 0, top: 0, scale: 1 };
    this.at = { x: 0, y: 0, scale: 1 };
    this.panzoom = Panzoom(this.stage, {
      canvas: true, contain: "outside", minScale: 1, maxScale: 8, pinchAndPan: true, step: STEP, cursor: "",
      handleStartEvent: (event) => event.preventDefault(),
    });
    this.listen();
    new ResizeObserver(() => this.layOut()).observe(viewport);
  }

  listen() {
    this.stage.addEventListener("panzoomstart", () => {
      // Panzoom's pinch adds to the scale; so it feels the same at every scale.
      this.panzoom.setOptions({ step: 0.4 * this.panzoom.getScale() });
    });
    this.stage.addEventListener("panzoomchange", (event) => {
      this.at = event.detail;
      this.draw();
    });
    this.viewport.addEventListener("wheel", (event) => this.panzoom.zoomWithWheel(event, { step: STEP }));
    this.viewport.addEventListener("keydown", (event) => this.key(event));
    this.listenForTaps();
  }

  listenForTaps() {
    const down = new Map();
    let single = null;
    this.viewport.addEventListener("pointerdown", (event) => {
      this.viewport.focus({ preventScroll: true });
      down.set(event.pointerId, event);
      single = down.size === 1 && event.button === 0 ? event : null;
    });
    window.addEventListener("pointerup", (event) => {
      const first = single;
      down.delete(event.pointerId);
      single = null;
      if (!first || first.pointerId !== event.pointerId) return;
      if (Math.hypot(event.clientX - first.clientX, event.clientY - first.clientY) > TAP) return;
      this.tap(event.clientX, event.clientY, event.pointerType === "touch" ? 18 : 10);
    });
    window.addEventListener("pointercancel", (event) => {
      down.delete(event.pointerId);
      single = null;
    });
  }

  key(event) {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      const [x, y] = moves[event.key].map((distance) => distance / this.panzoom.getScale());
      this.panzoom.pan(x, y, { relative: true });
    } else if (event.key === "+" || event.key === "=") this.zoom(1);
    else if (event.key === "-") this.zoom(-1);
    else if (event.key === "0") this.zoom(0);
    else if (event.key === "Enter" || event.key === "Escape" || event.key === " ") {
      this.onKey(event.key === " " ? "Enter" : event.key);
    } else return;
    event.preventDefault();
  }

  /** Zooms in by 1, out by -1, to the whole photo by 0. */
  zoom(direction) {
    if (direction > 0) this.panzoom.zoomIn({ step: STEP, animate: false });
    else if (direction < 0) this.panzoom.zoomOut({ step: STEP, animate: false });
    else this.panzoom.reset({ animate: false });
  }

  /** Shows another photo, whole. Resolves to whether the browser can show it. */
  async open(url) {
    this.scene = null;
    this.picture.src = url;
    let shown = true;
    try {
      await this.picture.decode();
      this.size = [this.picture.naturalWidth, this.picture.naturalHeight];
    } catch { // such as a TIFF file
      shown = false;
    }
    this.picture.hidden = !shown;
    this.panzoom.reset({ animate: false });
    this.layOut();
    return shown;
  }

  /** Width and height of the photo, where the server knows them and the browser does not. */
  resize(width, height) {
    if (width && (width !== this.size[0] || height !== this.size[1])) {
      this.size = [width, height];
      this.layOut();
    }
  }

  layOut() {
    const { clientWidth, clientHeight } = this.viewport;
    if (!clientWidth || !clientHeight) return;
    const [width, height] = this.size;
    const scale = Math.min(clientWidth / width, clientHeight / height);
    this.fit = { scale, left: (clientWidth - width * scale) / 2, top: (clientHeight - height * scale) / 2 };
    Object.assign(this.picture.style, {
      left: `${this.fit.left}px`, top: `${this.fit.top}px`,
      width: `${width * scale}px`, height: `${height * scale}px`,
    });
    this.panzoom.setOptions({ maxScale: Math.max(8, PIXEL / scale) });
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    this.draw();
  }

  /** Screen pixels, from the viewport's corner, of a pixel of the photo. */
  toScreen(x, y) {
    const along = (value, start, side, pan) => this.at.scale * (start + value * this.fit.scale - side / 2 + pan) + side / 2;
    return [
      along(x, this.fit.left, this.viewport.clientWidth, this.at.x),
      along(y, this.fit.top, this.viewport.clientHeight, this.at.y),
    ];
  }

  toPhoto(x, y) {
    const along = (value, start, side, pan) => ((value - side / 2) / this.at.scale - pan + side / 2 - start) / this.fit.scale;
    return [
      along(x, this.fit.left, this.viewport.clientWidth, this.at.x),
      along(y, this.fit.top, this.viewport.clientHeight, this.at.y),
    ];
  }

  tap(clientX, clientY, reach) {
    const box = this.viewport.getBoundingClientRect();
    const [x, y] = this.toPhoto(clientX - box.left, clientY - box.top);
    this.onTap(x, y, reach / (this.fit.scale * this.at.scale));
  }

  /** A tap in the middle, for the keyboard. */
  tapMiddle() {
    const box = this.viewport.getBoundingClientRect();
    this.tap(box.left + box.width / 2, box.top + box.height / 2, 12);
  }

  /** What to draw: { found, added, removed, heat, zones: [{ polygon, label }], outline }. */
  show(scene) {
    this.scene = scene;
    this.spacing = spacings([...scene.found, ...scene.added, ...scene.removed], Math.hypot(...this.size) / 40);
    this.draw();
  }

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.paint();
    });
  }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.scene) return;
    const { found, added, removed, heat, zones, outline } = this.scene;
    if (heat) {
      const [left, top] = this.toScreen(0, 0);
      const [right, bottom] = this.toScreen(...this.size);
      context.drawImage(heat, left, top, right - left, bottom - top);
    }
    zones.forEach((zone, index) => this.paintZone(context, zone, ZONE_COLORS[index % ZONE_COLORS.length]));
    this.paintDots(context, found, FOUND);
    this.paintDots(context, added, ADDED);
    this.paintRings(context, removed);
    zones.forEach((zone, index) => this.paintLabel(context, zone, ZONE_COLORS[index % ZONE_COLORS.length]));
    if (outline.length) this.paintOutline(context, outline);
  }

  /** Smaller where points crowd, so that they hide neither each other nor the heads. */
  radius(point) {
    const spacing = (this.spacing.get(point) ?? 0) * this.fit.scale * this.at.scale;
    return Math.min(Math.max(0.28 * spacing, 1.5), 5.5);
  }

  paintDots(context, points, color) {
    const { clientWidth, clientHeight } = this.viewport;
    const seen = points.map((point) => [...this.toScreen(point.x, point.y), this.radius(point)])
      .filter(([x, y]) => x > -9 && y > -9 && x < clientWidth + 9 && y < clientHeight + 9);
    for (const [edge, fill] of [[0.35, EDGE], [0, color]]) {
      context.beginPath();
      for (const [x, y, radius] of seen) {
        const whole = radius + Math.min(edge * radius, 1.3);
        context.moveTo(x + whole, y);
        context.arc(x, y, whole, 0, 2 * Math.PI);
      }
      context.fillStyle = fill;
      context.fill();
    }
  }

  paintRings(context, points) {
    context.beginPath();
    for (const point of points) {
      const [left, top] = this.toScreen(point.x, point.y);
      const radius = this.radius(point) + 1;
      context.moveTo(left + radius, top);
      context.arc(left, top, radius, 0, 2 * Math.PI);
    }
    for (const [width, color] of [[3.5, EDGE], [1.8, REMOVED]]) {
      context.lineWidth = width;
      context.strokeStyle = color;
      context.stroke();
    }
  }

  paintZone(context, { polygon, label }, color) {
    const corners = polygon.map(([x, y]) => this.toScreen(x, y));
    context.beginPath();
    corners.forEach(([x, y]) => context.lineTo(x, y));
    context.closePath();
    context.fillStyle = `${color}2e`;
    context.fill();
    context.lineJoin = "round";
    for (const [width, stroke] of [[4.5, EDGE], [2.5, color]]) {
      context.lineWidth = width;
      context.strokeStyle = stroke;
      context.stroke();
    }
  }

  paintLabel(context, { polygon, label }, color) {
    const corners = polygon.map(([x, y]) => this.toScreen(x, y));
    const middle = (axis) => (Math.min(...corners.map((c) => c[axis])) + Math.max(...corners.map((c) => c[axis]))) / 2;
    context.font = "600 14px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const width = context.measureText(label).width + 20;
    context.fillStyle = "rgba(8, 24, 40, 0.82)";
    context.beginPath();
    context.roundRect(middle(0) - width / 2, middle(1) - 13, width, 26, 13);
    context.fill();
    context.fillStyle = color;
    context.fillText(label, middle(0), middle(1) + 1);
  }

  paintOutline(context, outline) {
    const corners = outline.map(([x, y]) => this.toScreen(x, y));
    context.beginPath();
    corners.forEach(([x, y]) => context.lineTo(x, y));
    for (const [width, color] of [[4.5, EDGE], [2.5, "#fff"]]) {
      context.lineWidth = width;
      context.strokeStyle = color;
      context.stroke();
    }
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
}
