// The files that a person adds: photos, points and zones, by choosing, dropping or pasting.

import { FILE_OF_POINTS, checkSize, normalizeName, readFile } from "./opening.js";
import { find, showHint } from "./panel.js";
import { Photo } from "./photo.js";

const PHOTO = /\.(jpe?g|jfif|png|webp|bmp|gif|tiff?|jp2|avif|heic|heif)$/i;

export class Files {
  /**
   * `photos` is the list of all photos. `current()` returns the photo in view, `onPhotos(list)` is called with new
   * photos, and `onChange()` when all files have been added.
   */
  constructor(photos, { current, onPhotos, onChange }) {
    this.photos = photos;
    this.current = current;
    this.onPhotos = onPhotos;
    this.onChange = onChange;
    this.records = new Map(); // by the normalized name of their photo, with `source`, the name of the file
  }

  listen() {
    for (const id of ["open", "choose"]) find(id).onclick = () => find("file").click();
    find("file").onchange = (event) => {
      this.add([...event.target.files]);
      event.target.value = "";
    };
    document.addEventListener("paste", (event) => this.add([...event.clipboardData.files]));
    const veil = (on) => find("veil").classList.toggle("on", on);
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      veil(true);
    });
    window.addEventListener("dragleave", (event) => veil(event.relatedTarget !== null));
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      veil(false);
      this.add([...event.dataTransfer.files]);
    });
  }

  /** Add photos, and open files of points and zones on these and earlier photos. */
  async add(list) {
    const photos = list.filter((file) => file.type.startsWith("image/") || PHOTO.test(file.name));
    const tables = list.filter((file) => FILE_OF_POINTS.test(file.name));
    const others = list.filter((file) => !photos.includes(file) && !tables.includes(file));
    const problems = others.map((file) => `${file.name} is neither a photo nor a file of points`);
    const zones = [];
    const opened = new Set(); // names of the photos in the new files
    for (const file of tables) {
      try {
        const content = await readFile(file);
        if (content.zones) zones.push({ ...content, source: file.name });
        for (const [name, [record, another]] of Map.groupBy(content.records ?? [], ({ image }) => normalizeName(image))) {
          if (another) {
            problems.push(`${file.name} has several photos named ${name}; open the points of one folder at a time`);
            continue;
          }
          opened.add(name);
          this.records.set(name, { ...record, source: file.name });
        }
      } catch (error) {
        problems.push(error.message);
      }
    }
    const fresh = this.addPhotos(photos);
    for (const photo of this.photos) {
      if (fresh.includes(photo) || opened.has(normalizeName(photo.name))) await this.openPoints(photo);
    }
    problems.push(...this.findUnmatched(opened));
    for (const part of zones) problems.push(...(await this.openZones(part)));
    if (fresh.length) this.onPhotos(fresh);
    showHint(problems.join("; "), 12);
    this.onChange();
  }

  addPhotos(list) {
    const taken = new Set(this.photos.map((photo) => photo.name));
    const fresh = list.map((file) => {
      const photo = new Photo(file, findFreeName(file.name || "photo", taken));
      taken.add(photo.name);
      return photo;
    });
    this.photos.push(...fresh);
    return fresh;
  }

  /** Take the points that a file has for a photo, if there are any. */
  async openPoints(photo) {
    const record = this.records.get(normalizeName(photo.name));
    if (!record) return;
    const question = `Replace the points of ${photo.name} by those of ${record.source}? Your edits are not saved.`;
    if (photo.unsaved && !window.confirm(question)) return;
    photo.reset();
    photo.state = "working"; // so that the queue leaves it alone
    await measure(photo);
    try {
      if (!record.width && !photo.width) throw new Error(`${record.source} does not have the size of ${photo.name}.`);
      checkSize(record.width, record.height, photo, record.source);
      const { width, height } = record.width ? record : photo;
      photo.take({ ...record, width, height }, record.source);
    } catch (error) {
      photo.fail("These points are not on this photo", error.message);
    }
  }

  /** Add zones to the photo that their file is named after, or to the current one. Returns problems. */
  async openZones({ zones, size, source }) {
    const stem = (name) => normalizeName(name).replace(/(\.zones)?\.[^.]*$/, "");
    const photo = this.photos.find((one) => stem(one.name) === stem(source)) ?? this.current();
    if (!photo) return [`${source} has zones; add its photo first`];
    await measure(photo);
    try {
      if (size) checkSize(...size, photo, source);
      photo.edit({ zones });
      photo.markSaved("zones");
      return [];
    } catch (error) {
      return [error.message];
    }
  }

  /** Describe the points whose photos are not there. */
  findUnmatched(opened) {
    const present = this.photos.map((photo) => photo.name);
    const names = new Set(present.map(normalizeName));
    const missing = [...opened].filter((name) => !names.has(name)).map((name) => this.records.get(name));
    if (!missing.length) return [];
    const [{ image, source }] = missing;
    const more = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
    const found = present.length ? `; the photos here are ${present.slice(0, 3).join(", ")}${present.length > 3 ? " …" : ""}` : "";
    return [`${source} has points of ${image}${more}; add this photo${found}`];
  }
}

/** Find the size of a photo, if the browser can show it and the server has not told it. */
async function measure(photo) {
  if (photo.width) return;
  const image = new Image();
  image.src = photo.url;
  try {
    await image.decode();
    [photo.width, photo.height] = [image.naturalWidth, image.naturalHeight];
  } catch { /* such as a TIFF file */ }
}

/** Return the name, or the first of `name (2)`, `name (3)` … that is free: saved files tell photos by their names. */
function findFreeName(name, taken) {
  const [, stem, ending] = name.match(/^(.*?)(\.[^.]*)?$/s);
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${stem} (${number})${ending ?? ""}`;
  return free;
}
