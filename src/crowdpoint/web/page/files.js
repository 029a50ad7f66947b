// The files that a person adds: photos, points and zones, by choosing, dropping or pasting.

import { FILE_OF_POINTS, checkSize, fitZones, getBaseName, normalizeName, readFile } from "./opening.js";
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
    this.records = new Map(); // by the name of their photo, newest last, with `source`, the name of the file
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
    const opened = new Set(); // records of the new files
    for (const file of tables) {
      try {
        const content = await readFile(file);
        if (content.zones) zones.push({ ...content, source: file.name });
        for (const [name, [record, another]] of Map.groupBy(content.records ?? [], ({ image }) => getBaseName(image))) {
          if (another) {
            problems.push(`${file.name} has several photos named ${name}; open the points of one folder at a time`);
            continue;
          }
          const kept = { ...record, source: file.name };
          opened.add(kept);
          this.records.delete(name);
          this.records.set(name, kept);
        }
      } catch (error) {
        problems.push(error.message);
      }
    }
    const fresh = this.addPhotos(photos);
    for (const photo of this.photos) {
      const record = this.findRecord(photo);
      if (record && (fresh.includes(photo) || opened.has(record))) await this.openPoints(photo, record);
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

  /** Find the points that a file has for a photo: of this name, or of one that only other systems tell from it. */
  findRecord(photo) {
    const exact = this.records.get(getBaseName(photo.name));
    if (exact) return exact;
    const taken = new Set(this.photos.map(({ name }) => getBaseName(name)));
    const isSimilar = ([name]) => !taken.has(name) && normalizeName(name) === normalizeName(photo.name);
    const [newest, other] = [...this.records].filter(isSimilar).map(([, record]) => record).reverse();
    return newest?.source === other?.source ? undefined : newest; // of two in a file, none is the right one
  }

  /** Take the points of a record for a photo. */
  async openPoints(photo, record) {
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
  async openZones(content) {
    const { source } = content;
    const stem = (name) => getBaseName(name).replace(/(\.zones)?\.[^.]*$/, "");
    const isNamed = (convert) => (one) => convert(stem(one.name)) === convert(stem(source));
    const photo = this.photos.find(isNamed(String)) ?? this.photos.find(isNamed(normalizeName)) ?? this.current();
    if (!photo) return [`${source} has zones; add its photo first`];
    await measure(photo);
    try {
      const edits = fitZones(content, photo);
      const question = `Replace the zones of ${photo.name} by those of ${source}? Your zones are not saved.`;
      if (photo.hasUnsaved("zones", "context") && !window.confirm(question)) return [];
      photo.edit(edits);
      photo.markSaved("zones", "context");
      return [];
    } catch (error) {
      return [error.message];
    }
  }

  /** Describe the points whose photos are not there. */
  findUnmatched(opened) {
    const present = this.photos.map((photo) => photo.name);
    const matched = new Set(this.photos.map((photo) => this.findRecord(photo)));
    const missing = [...opened].filter((record) => !matched.has(record));
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
