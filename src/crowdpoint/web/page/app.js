// The page: takes photos, asks the server once for each, and keeps everything else here.

import * as api from "./api.js";
import * as files from "./files.js";
import { heat } from "./heat.js";
import { fillStrip, fillZones, find, hint, make, number, paintHistogram, plural, progress, say } from "./panel.js";
import { Photo, countInside, crosses } from "./photo.js";
import { Viewer } from "./viewer.js";

const TRIES = 8; // while the server is busy
const AT_A_TIME = 2; // requests

const page = {
  models: [], limits: null, model: null, threshold: 0.5, floor: 0.05,
  photos: [], photo: null, outline: [], running: 0, heat: null, heated: [],
};

const viewer = new Viewer(find("viewport"), { onTap: tap, onKey: key });
const tool = () => document.querySelector("input[name=tool]:checked").value;
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

// ---------------------------------------------------------------- photos in

function take(list) {
  const fresh = [...list].filter((file) => file.type.startsWith("image/") || /\.(jpe?g|png|webp|bmp|tiff?)$/i.test(file.name));
  if (!fresh.length) {
    if (list.length) say("Only pictures can be counted.", { title: "Not a picture", bad: true });
    return;
  }
  const taken = new Set(page.photos.map((photo) => photo.name));
  for (const file of fresh) {
    const photo = new Photo(file, freeName(file.name || "photo", taken));
    taken.add(photo.name);
    page.photos.push(photo);
    if (file === fresh[0]) choose(photo);
  }
  work();
}

/** The name, or the first of `name (2)`, `name (3)` … that is free: saved files tell photos by their names. */
function freeName(name, taken) {
  const [, stem, ending] = name.match(/^(.*?)(\.[^.]*)?$/s);
  for (let number = 2, free = name; ; number++) {
    if (!taken.has(free)) return free;
    free = `${stem} (${number})${ending ?? ""}`;
  }
}

function work() {
  while (page.running < AT_A_TIME) {
    const photo = page.photos.find((one) => one.state === "waiting");
    if (!photo) break;
    photo.state = "working";
    page.running += 1;
    count(photo).finally(() => {
      page.running -= 1;
      work();
    });
  }
  refresh();
}

/** Asks the server about a photo, again and again while it is busy. */
async function count(photo) {
  const model = page.model.name;
  try {
    if (page.limits && photo.file.size > page.limits.request_bytes) {
      const most = Math.floor(page.limits.request_bytes / (1 << 20));
      throw new api.Problem({ title: "Too large", status: 413, detail: `The file has more than ${most} MB, this server's limit.` });
    }
    const record = await patiently(photo, () => api.predict(photo.file, model, page.floor, (part) => {
      photo.sent = part;
      showProgress();
    }));
    if (model !== page.model.name) {
      photo.state = "waiting"; // another model was chosen meanwhile
      return;
    }
    photo.take(record);
    photo.state = "done";
    photo.message = "";
  } catch (problem) {
    photo.state = "failed";
    photo.title = { 413: "Too large", 422: "This file cannot be counted", 503: "The server is busy" }[problem.status] ?? problem.title;
    photo.message = problem.message;
  }
}

async function patiently(photo, ask) {
  for (let left = TRIES; ; left--) {
    try {
      return await ask();
    } catch (problem) {
      if (problem.status === 401) await askForKey();
      else if ((problem.status === 503 || problem.status === 429) && left > 1) {
        photo.message = `The server is busy. Trying again in ${plural(problem.wait || 2, "second", "seconds")} …`;
        refresh();
        await sleep(problem.wait || 2);
        photo.message = "";
      } else throw problem;
    }
  }
}

let asking = null; // two photos ask for one key

function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = find("key-dialog");
    dialog.onclose = () => {
      api.setKey(find("key").value);
      asking = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault();
    find("key").value = "";
    dialog.showModal();
  });
  return asking;
}

// ---------------------------------------------------------------- the photo in view

/** Shows a photo, or the welcome if there is none. */
async function choose(photo) {
  page.photo = photo;
  page.outline = [];
  for (const id of ["viewport", "zoom", "panel", "open"]) find(id).hidden = !photo;
  find("welcome").hidden = Boolean(photo);
  if (!photo) {
    hint("");
    say("");
    progress(undefined);
    find("choose").focus();
    return;
  }
  refresh();
  const shown = await viewer.open(photo.url);
  if (photo !== page.photo) return;
  photo.unseen = !shown;
  refresh();
}

const edited = (photo) => photo.history.length > 0 || photo.zones.length > 0;

function remove() {
  const { photo, photos } = page;
  if (edited(photo) && !window.confirm("Remove this photo? Its corrected points and zones are lost.")) return;
  const place = photos.indexOf(photo);
  photos.splice(place, 1);
  URL.revokeObjectURL(photo.url); // else the tab keeps the file
  choose(photos[place] ?? photos.at(-1));
}

function tap(x, y, reach) {
  const { photo, threshold } = page;
  if (!photo || photo.state !== "done") return;
  if (tool() === "points") {
    const done = photo.toggle(x, y, threshold, reach);
    if (done) hint(done, 1.5);
  } else if (tool() === "zone") addCorner(x, y, reach);
  refresh();
}

function addCorner(x, y, reach) {
  const { photo, outline } = page;
  const corner = [Math.min(Math.max(x, 0), photo.width), Math.min(Math.max(y, 0), photo.height)];
  const isNear = ([left, top]) => Math.hypot(left - x, top - y) <= 1.4 * reach;
  if (outline.length >= 3 && isNear(outline[0])) {
    closeZone();
    return;
  }
  if (outline.length && isNear(outline.at(-1))) return;
  if (outline.length >= 2 && crosses(outline, corner)) hint("A zone’s sides may not cross", 2.5);
  else {
    outline.push(corner);
    if (outline.length < 3) hint("Tap the next corner");
    else hint("Tap the first corner again to close the zone");
  }
}

function closeZone() {
  if (crosses(page.outline)) {
    hint("A zone’s sides may not cross", 2.5);
    return;
  }
  page.photo.addZone(page.outline);
  page.outline = [];
  hint("Zone added", 1.5);
}

function key(name) {
  if (name === "Enter") viewer.tapMiddle();
  else if (page.outline.length) {
    page.outline = [];
    hint("Zone given up", 1.5);
    refresh();
  }
}

// ---------------------------------------------------------------- everything that is shown

function refresh() {
  const { photo, photos, threshold } = page;
  if (!photo) return;
  const done = photo.state === "done";
  const points = done ? photo.points(threshold) : [];
  if (done) viewer.resize(photo.width, photo.height);
  find("count").textContent = done ? number(points.length) : photo.state === "failed" ? "–" : "…";
  find("count-label").textContent = points.length === 1 ? "person" : "people";
  find("about").textContent = about();
  const zones = photo.zones.map((zone) => ({ ...zone, count: countInside(points, zone.polygon) }));
  fillZones(find("zones"), photo, zones.map((zone) => zone.count), refresh);
  find("zones-part").hidden = !zones.length;
  fillStrip(find("strip"), photos, photo, caption, choose);
  find("threshold-value").textContent = threshold.toFixed(2);
  paintHistogram(find("histogram"), photo.candidates, threshold, page.floor);
  find("edits").hidden = !photo.history.length;
  find("edits-text").textContent = `${number(photo.added.length)} added, ${number(photo.removed.size)} removed`;
  const finished = photos.some((one) => one.state === "done");
  for (const button of document.querySelectorAll("[data-save]")) button.disabled = !finished;
  document.querySelector("[data-save=zones]").disabled = !done || !zones.length;
  document.querySelector("[data-save=picture]").disabled = !done;
  viewer.viewport.dataset.tool = tool();
  viewer.viewport.setAttribute("aria-label", `${photo.name}: ${caption(photo)} people`);
  viewer.show(scene(photo, points, zones));
  showStatus();
  showProgress();
}

function scene(photo, points, zones) {
  const seen = find("show-points").checked;
  const removed = tool() === "points" ? photo.reaching(page.threshold).filter((p) => photo.removed.has(p)) : [];
  return {
    found: seen ? points.slice(0, points.length - photo.added.length) : [],
    added: seen ? photo.added : [],
    removed,
    heat: find("show-heat").checked ? heatOf(photo, points) : null,
    zones: zones.map(({ name, polygon, count }) => ({ polygon, label: `${name}: ${number(count)}` })),
    outline: page.outline,
  };
}

/** The heat map of the points, made anew only when they are others. */
function heatOf(photo, points) {
  const { heated } = page;
  if (points.length !== heated.length || points.some((point, index) => point !== heated[index])) {
    [page.heat, page.heated] = [points.length ? heat(points, photo.width, photo.height) : null, points];
  }
  return page.heat;
}

function about() {
  const { photo, photos, threshold } = page;
  const size = photo.width ? `${photo.name}, ${photo.width} × ${photo.height}` : photo.name;
  const done = photos.filter((one) => one.state === "done");
  if (photos.length < 2) return size;
  const sum = done.reduce((total, one) => total + one.points(threshold).length, 0);
  return `${size} — ${number(sum)} in ${plural(done.length, "photo", "photos")}`;
}

function caption(photo) {
  if (photo.state === "done") return number(photo.points(page.threshold).length);
  return photo.state === "failed" ? "!" : "…";
}

function showStatus() {
  const { photo } = page;
  if (photo.state === "failed") {
    say(photo.message, { title: photo.title, bad: true, action: "Try again", onAction: () => retry(photo) });
  } else if (photo.message) say(photo.message);
  else if (photo.unseen) say("This browser cannot show files of this kind. The points are right all the same.");
  else say("");
}

function showProgress() {
  const { photo } = page;
  if (photo?.state === "working") progress(photo.sent < 1 ? photo.sent : null);
  else progress(photo?.state === "waiting" ? null : undefined);
}

function retry(photo) {
  photo.state = "waiting";
  photo.message = "";
  work();
}

// ---------------------------------------------------------------- controls

function setModel(name) {
  page.model = page.models.find((model) => model.name === name);
  page.floor = Math.max(0.01, Math.min(0.05, page.model.threshold / 2)); // the API takes no less
  page.threshold = page.model.threshold;
  Object.assign(find("threshold"), { min: page.floor, value: page.threshold });
}

function changeModel(event) {
  const corrected = page.photos.some((photo) => photo.history.length);
  if (corrected && !window.confirm("Count again with this model? Your corrected points are lost.")) {
    event.target.value = page.model.name;
    return;
  }
  setModel(event.target.value);
  for (const photo of page.photos) {
    photo.forget();
    if (photo.state !== "working") photo.state = "waiting";
  }
  work();
}

function save(kind) {
  const { photo, photos, threshold } = page;
  const done = photos.filter((one) => one.state === "done");
  const stem = done.length === 1 ? done[0].name.replace(/\.[^.]*$/, "") : "crowd";
  if (kind === "annotation") files.save(`${stem}.annotation.json`, files.annotation(done, threshold));
  if (kind === "csv") files.save(`${stem}.points.csv`, files.csv(done, threshold));
  if (kind === "counts") files.save(`${stem}.counts.csv`, files.counts(done, threshold));
  if (kind === "json") files.save(`${stem}.points.json`, files.records(done, threshold));
  const own = photo.name.replace(/\.[^.]*$/, "");
  const unseen = () => hint("This browser cannot show files of this kind, and so cannot save them", 4);
  if (kind === "picture") files.picture(photo, threshold).then((blob) => files.save(`${own}.points.jpg`, blob), unseen);
  if (kind === "zones") files.save(`${own}.zones.json`, files.zones(photo));
}

function undo() {
  if (page.outline.length) page.outline.pop();
  else page.photo?.undo();
  refresh();
}

function listen() {
  for (const id of ["open", "choose"]) find(id).onclick = () => find("file").click();
  find("file").onchange = (event) => {
    take(event.target.files);
    event.target.value = "";
  };
  find("model").onchange = changeModel;
  find("threshold").oninput = (event) => {
    page.threshold = Number(event.target.value);
    refresh();
  };
  find("threshold-reset").onclick = () => {
    page.threshold = page.model.threshold;
    find("threshold").value = page.threshold;
    refresh();
  };
  for (const id of ["show-points", "show-heat"]) find(id).onchange = refresh;
  find("tools").onchange = () => {
    page.outline = [];
    const hints = { points: "Tap a point to remove it, or a place to add one", zone: "Tap the corners of a zone" };
    hint(hints[tool()] ?? "", 4);
    refresh();
  };
  for (const [id, direction] of [["zoom-in", 1], ["zoom-out", -1], ["zoom-fit", 0]]) {
    find(id).onclick = () => viewer.zoom(direction);
  }
  find("undo").onclick = undo;
  window.onbeforeunload = (event) => {
    // The browser asks whether to leave; nothing here outlives the page.
    if (page.photos.some(edited) || page.outline.length) event.preventDefault();
  };
  find("remove").onclick = remove;
  for (const button of document.querySelectorAll("[data-save]")) button.onclick = () => save(button.dataset.save);
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=range], [type=radio], [type=checkbox])");
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !typing && page.photo) {
      event.preventDefault();
      undo();
    }
  });
  new ResizeObserver(refresh).observe(find("panel"));
  listenForDrops();
}

function listenForDrops() {
  const veil = (on) => find("veil").classList.toggle("on", on);
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    veil(true);
  });
  window.addEventListener("dragleave", (event) => veil(event.relatedTarget !== null));
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    veil(false);
    take(event.dataTransfer.files);
  });
}

async function start() {
  const { models, limits } = await patiently({}, api.models);
  Object.assign(page, { models, limits });
  find("model").replaceChildren(...models.map(({ name }) => make("option", { value: name }, name)));
  find("model-label").hidden = models.length < 2;
  setModel(models[0].name);
  listen();
}

start().catch((problem) => say(problem.message, { title: problem.title, bad: true }));
