// The photos that wait for the server. A few are sent at a time.

import { Problem, predict } from "./api.js";
import { formatQuantity } from "./panel.js";
import { retry } from "./retry.js";

const AT_A_TIME = 2; // requests
const TITLES = { 413: "Too large", 422: "This file cannot be counted", 503: "The server is busy" };

export class Queue {
  /**
   * `photos` is the list of all photos, `query()` returns the parameters of a prediction, `onChange()` is called when a
   * photo has changed, and `onProgress(photo)` when more of it is sent.
   */
  constructor(photos, { query, onChange, onProgress }) {
    this.photos = photos;
    this.query = query;
    this.onChange = onChange;
    this.onProgress = onProgress;
    this.limit = Infinity; // bytes of a request
    this.running = 0;
  }

  /** Send photos as long as there is room. */
  run() {
    while (this.running < AT_A_TIME) {
      const photo = this.photos.find((one) => one.state === "waiting");
      if (!photo) break;
      photo.state = "working";
      this.running += 1;
      this.count(photo).finally(() => {
        this.running -= 1;
        this.run();
      });
    }
    this.onChange();
  }

  async count(photo) {
    const { turn } = photo;
    try {
      const record = await this.send(photo);
      if (photo.turn === turn) photo.take(record);
    } catch (problem) {
      if (photo.turn === turn) photo.fail(TITLES[problem.status] ?? problem.title, problem.message);
    }
  }

  send(photo) {
    if (photo.file.size > this.limit) {
      const detail = `The file has more than ${Math.floor(this.limit / (1 << 20))} MB, this server's limit.`;
      throw new Problem({ title: TITLES[413], status: 413, detail });
    }
    const ask = () => {
      photo.message = "";
      return predict(photo.file, this.query(), (part) => {
        photo.sent = part;
        this.onProgress(photo);
      });
    };
    return retry(ask, (seconds) => {
      photo.message = `The server is busy. Trying again in ${formatQuantity(seconds, "second", "seconds")} …`;
      this.onChange();
    });
  }
}
