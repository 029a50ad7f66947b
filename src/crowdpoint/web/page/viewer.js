// The photo in view with a drawing over it: zoom, pan, taps and keys.

import Panzoom from "./vendor/panzoom/panzoom.es.js";

const SLIP = 6; // screen pixels that a finger may move during a tap
const STEP = 0.35; // of the zoom
const PIXEL = 24; // screen pixels of a photo's pixel at the deepest zoom

export class Viewer {
  /**
   * `onTap(x, y, reach)` is called with pixels of the photo; a tap hits what is within `reach`.
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
      // Panzoom's pinch adds to the scale. Make it feel the same at every scale.
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
      if (Math.hypot(event.clientX - first.clientX, event.clientY - first.clientY) > SLIP) return;
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

  /** Zoom in (1), out (-1), or to the whole photo (0). */
  zoom(direction) {
    if (direction > 0) this.panzoom.zoomIn({ step: STEP, animate: false });
    else if (direction < 0) this.panzoom.zoomOut({ step: STEP, animate: false });
    else this.panzoom.reset({ animate: false });
  }

  /** Show another photo, whole. Resolves to whether the browser can show it. */
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

  /** Set the size of the photo in pixels, in case the browser cannot show it. */
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

  /** Convert pixels of the photo to screen pixels from the viewport's corner. */
  toScreen(x, y) {
    const along = (value, start, side, pan) => this.at.scale * (start + value * this.fit.scale - side / 2 + pan) + side / 2;
    return [
      along(x, this.fit.left, this.viewport.clientWidth, this.at.x),
      along(y, this.fit.top, this.viewport.clientHeight, this.at.y),
    ];
  }

  /** Convert screen pixels from the viewport's corner to pixels of the photo. */
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

  /** Tap in the middle, for the keyboard. */
  tapMiddle() {
    const box = this.viewport.getBoundingClientRect();
    this.tap(box.left + box.width / 2, box.top + box.height / 2, 12);
  }

  /** Draw a scene over the photo, which is dimmed and grey below a heat map. */
  show(scene) {
    this.scene = scene;
    this.picture.classList.toggle("dimmed", Boolean(scene.heat));
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
    this.scene?.paint(context, {
      width: this.viewport.clientWidth,
      height: this.viewport.clientHeight,
      place: (x, y) => this.toScreen(x, y),
      scale: this.fit.scale * this.at.scale,
    });
  }
}
