// The heat map of the points in view, which the server draws.

import { fetchHeatmap } from "./api.js";
import { find, formatNumber, showHint } from "./panel.js";
import { retry } from "./retry.js";

const PAUSE = 150; // milliseconds without a change before a request

export class HeatMap {
  /** `onChange()` is called when there is a new image. */
  constructor(onChange) {
    this.onChange = onChange;
    this.clear();
  }

  clear() {
    this.photo = null;
    this.points = []; // that were asked for last
    this.drawn = null;
    clearTimeout(this.timer);
    find("legend").hidden = true;
  }

  /**
   * Return the newest heat map of a photo, or null; ask for another if the points have changed. It has an `image`,
   * and for its legend a `peak` (a text), a `unit` and `colors`.
   */
  update(photo, points) {
    if (photo !== this.photo) this.clear();
    const isSame = points.length === this.points.length && points.every((point, index) => point === this.points[index]);
    if (photo !== this.photo || !isSame) {
      [this.photo, this.points] = [photo, points];
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.request(photo, points), PAUSE);
    }
    return this.drawn;
  }

  async request(photo, points) {
    try {
      const heatmap = await retry(() => fetchHeatmap(points, photo.width, photo.height), () => {});
      const image = new Image();
      image.src = heatmap.image;
      await image.decode();
      if (points !== this.points) return; // they have changed meanwhile
      const peak = formatNumber(Number(heatmap.peak.toPrecision(3)));
      this.drawn = { ...heatmap, image, peak };
      showLegend(this.drawn);
      this.onChange();
    } catch (problem) {
      showHint(`The heat map cannot be drawn: ${problem.message}`, 6);
    }
  }
}

function showLegend({ peak, unit, colors }) {
  find("legend").hidden = false;
  find("legend-bar").style.background = `linear-gradient(to right, ${colors.join(", ")})`;
  find("legend-peak").textContent = peak;
  find("legend-unit").textContent = unit;
}
