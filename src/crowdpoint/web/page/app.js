// The page: which photos there are, what is shown of the current one, and what its controls do.

import { fetchModels } from "./api.js";
import { checkCrossing, countInside, findFault } from "./geometry.js";
import { HeatMap } from "./heat.js";
import { Files } from "./files.js";
import { Scene } from "./painting.js";
import {
  fillSelect, fillStrip, fillZones, find, formatNumber, formatQuantity, paintHistogram, showHint, showMessage, showProgress,
} from "./panel.js";
import { Queue } from "./queue.js";
import { retry } from "./retry.js";
import * as saving from "./saving.js";
import { Viewer } from "./viewer.js";

const SCALES = ["auto", "0.25", "0.5", "1", "1.5", "2"];

const page = { models: [], model: null, threshold: 0.5, floor: 0.05, photos: [], photo: null, outline: [] };
const viewer = new Viewer(find("viewport"), { onTap: tap, onKey: pressKey });
const heatMap = new HeatMap(refresh);
const queue = new Queue(page.photos, {
  query: () => ({ model: page.model.name, scale: find("scale").value, threshold: page.floor }),
  onChange: refresh,
  onProgress: (photo) => {
    if (photo === page.photo) showState(photo);
  },
});
const files = new Files(page.photos, {
  current: () => page.photo,
  onPhotos: ([first]) => choose(first),
  onChange: () => queue.run(),
});
const getTool = () => document.querySelector("input[name=tool]:checked").value;

// ---------------------------------------------------------------- the current photo

/** Show a photo, or the welcome without one. */
async function choose(photo) {
  page.photo = photo;
  page.outline = [];
  for (const id of ["viewport", "zoom", "panel", "open"]) find(id).hidden = !photo;
  find("welcome").hidden = Boolean(photo);
  if (!photo) {
    heatMap.clear();
    showHint("");
    showMessage("");
    showProgress(undefined);
    find("choose").focus();
    return;
  }
  refresh();
  const shown = await viewer.open(photo.url);
  if (photo !== page.photo) return;
  photo.unseen = !shown;
  refresh();
}

function remove() {
  const { photo, photos } = page;
  if (photo.unsaved && !window.confirm("Remove this photo? Its edits are not saved.")) return;
  const index = photos.indexOf(photo);
  photos.splice(index, 1);
  URL.revokeObjectURL(photo.url); // else the tab keeps the file
  choose(photos[index] ?? photos.at(-1));
}

function tap(x, y, reach) {
  const { photo, threshold } = page;
  if (!photo || photo.state !== "done") return;
  if (getTool() === "points") {
    const done = photo.toggle(x, y, threshold, reach);
    if (done) showHint(done, 1.5);
  } else if (getTool() === "zone") addCorner(x, y, reach);
  refresh();
}

function addCorner(x, y, reach) {
  const { photo, outline } = page;
  const corner = [Math.min(Math.max(x, 0), photo.width), Math.min(Math.max(y, 0), photo.height)];
  const isNear = ([left, top]) => Math.hypot(left - corner[0], top - corner[1]) <= 1.4 * reach;
  if (outline.length >= 2 && isNear(outline[0])) {
    closeZone();
    return;
  }
  if (outline.length && isNear(outline.at(-1))) return;
  if (checkCrossing(outline, corner)) showHint("The sides of a zone may not cross", 2.5);
  else {
    outline.push(corner);
    showHint(outline.length < 3 ? "Tap the next corner" : "Tap the first corner again to close the zone");
  }
}

function closeZone() {
  const fault = findFault(page.outline);
  if (fault) {
    showHint(fault, 2.5);
    return;
  }
  page.photo.addZone(page.outline);
  page.outline = [];
  showHint("Zone added", 1.5);
}

function pressKey(name) {
  if (name === "Enter") viewer.tapMiddle();
  else if (page.outline.length) {
    page.outline = [];
    showHint("Zone discarded", 1.5);
    refresh();
  }
}

function undo() {
  if (page.outline.length) page.outline.pop();
  else page.photo.undo();
  refresh();
}

function redo() {
  page.photo.redo();
  refresh();
}

// ---------------------------------------------------------------- what is shown

function refresh() {
  const { photo, photos, threshold } = page;
  if (!photo) return;
  const done = photo.state === "done";
  const points = done ? photo.points(threshold) : [];
  if (done) viewer.resize(photo.width, photo.height);
  showCount(photo, points);
  showThreshold(photo);
  showEdits(photo);
  const zones = photo.edits.zones.map((zone) => ({ ...zone, count: countInside(points, zone.polygon) }));
  fillZones(find("zones"), zones, zones.map((zone) => zone.count), {
    onRename: (index, name) => {
      page.photo.renameZone(index, name);
      refresh();
    },
    onRemove: (index) => {
      page.photo.removeZone(index);
      refresh();
    },
  });
  find("zones-part").hidden = !zones.length;
  fillStrip(find("strip"), photos, photo, describe, choose);
  const finished = photos.some((one) => one.state === "done");
  for (const button of document.querySelectorAll("[data-save]")) button.disabled = !finished;
  document.querySelector("[data-save=zones]").disabled = !done || !zones.length;
  viewer.viewport.dataset.tool = getTool();
  viewer.viewport.setAttribute("aria-label", `${photo.name}: ${describe(photo)} people`);
  page.scene = createScene(photo, points, zones);
  document.querySelector("[data-save=picture]").disabled = !done || (isHot(points) && !page.scene.heat);
  viewer.show(page.scene);
  showState(photo);
}

/** Check whether a heat map of the points is wanted, which may take a moment. */
function isHot(points) {
  return find("show-heat").checked && points.length > 0;
}

function createScene(photo, points, zones) {
  const visible = find("show-points").checked;
  const { added, removed } = photo.edits;
  const hot = isHot(points);
  if (!hot) heatMap.clear();
  return new Scene({
    found: visible ? points.slice(0, points.length - added.length) : [],
    added: visible ? added : [],
    removed: getTool() === "points" ? photo.reaching(page.threshold).filter((point) => removed.has(point)) : [],
    heat: hot ? heatMap.update(photo, points) : null,
    zones: zones.map(({ name, polygon, count }) => ({ polygon, label: `${name}: ${formatNumber(count)}` })),
    outline: page.outline,
  }, viewer.size);
}

function showCount(photo, points) {
  const { photos, threshold } = page;
  const interval = getInterval(photo);
  find("count").textContent = describe(photo).replace("!", "–");
  find("count-label").textContent = points.length === 1 ? "person" : "people";
  find("interval").hidden = !interval;
  if (interval) find("interval").textContent = `90 % interval: ${interval.map(formatNumber).join(" to ")}`;
  const warning = photo.corrected ? "" : photo.warning;
  find("warning").hidden = !warning;
  find("warning").textContent = warning && `${warning[0].toUpperCase()}${warning.slice(1)}.`;
  const size = photo.width ? `${photo.name}, ${photo.width} × ${photo.height}` : photo.name;
  const done = photos.filter((one) => one.state === "done");
  const sum = done.reduce((total, one) => total + one.points(threshold).length, 0);
  const total = photos.length > 1 ? ` — ${formatNumber(sum)} in ${formatQuantity(done.length, "photo", "photos")}` : "";
  find("about").textContent = size + total;
}

/** Return the interval of the true count; null for corrected points, and at other thresholds than the model's. */
function getInterval(photo) {
  return page.threshold === page.model.threshold && !photo.corrected ? photo.interval : null;
}

function showThreshold(photo) {
  const { threshold, floor } = page;
  find("threshold-part").hidden = Boolean(photo.source);
  find("source-part").hidden = !photo.source;
  find("source").textContent = photo.source;
  find("threshold-value").textContent = threshold.toFixed(2);
  paintHistogram(find("histogram"), photo.candidates, threshold, floor);
}

function showEdits(photo) {
  const { edits, past, future } = photo;
  find("edits").hidden = !past.length && !future.length && !page.outline.length;
  find("edits-text").textContent = `${formatNumber(edits.added.length)} added, ${formatNumber(edits.removed.size)} removed`;
  find("undo").disabled = !past.length && !page.outline.length;
  find("redo").disabled = !future.length;
}

function describe(photo) {
  if (photo.state === "done") return formatNumber(photo.points(page.threshold).length);
  return photo.state === "failed" ? "!" : "…";
}

function showState(photo) {
  if (photo.state === "failed") {
    showMessage(photo.message, { title: photo.title, bad: true, action: "Try again", onAction: () => recount([photo]) });
  } else if (photo.message) showMessage(photo.message);
  else if (photo.unseen) showMessage("This browser cannot show files of this kind. The points are right all the same.");
  else showMessage("");
  if (photo.state === "working") showProgress(photo.sent < 1 ? photo.sent : null);
  else showProgress(photo.state === "waiting" ? null : undefined);
}

// ---------------------------------------------------------------- controls

function setModel(name) {
  page.model = page.models.find((model) => model.name === name);
  page.floor = Math.max(0.01, Math.min(0.05, page.model.threshold / 2)); // the API accepts no less
  page.threshold = page.model.threshold;
  Object.assign(find("threshold"), { min: page.floor, value: page.threshold });
}

/** Send photos to the server again. */
function recount(photos) {
  for (const photo of photos) photo.reset();
  queue.run();
}

/** Count again after a change of a select, unless the person wants to keep the corrected points. */
function listenForSettings(id, apply) {
  const select = find(id);
  let value = select.value;
  select.onchange = () => {
    const counted = page.photos.filter((photo) => !photo.source);
    const corrected = counted.some((photo) => photo.corrected);
    if (corrected && !window.confirm("Count again? Your corrected points are lost.")) {
      select.value = value;
      return;
    }
    value = select.value;
    apply(value);
    recount(counted);
  };
}

function save(kind) {
  const { photo, photos, threshold } = page;
  const done = photos.filter((one) => one.state === "done");
  const stem = (name) => name.replace(/\.[^.]*$/, "");
  const all = done.length === 1 ? stem(done[0].name) : "crowd";
  const savePoints = (ending, content) => {
    saving.save(`${all}.${ending}`, content);
    for (const one of done) one.markSaved("removed", "added");
  };
  if (kind === "annotation") savePoints("annotation.json", saving.buildAnnotation(done, threshold));
  if (kind === "csv") savePoints("points.csv", saving.buildPointTable(done, threshold));
  if (kind === "json") savePoints("points.json", saving.buildRecords(done, threshold));
  if (kind === "counts") {
    const settled = photos.filter((one) => one.state === "done" || one.state === "failed");
    saving.save(`${all}.counts.csv`, saving.buildCountTable(settled, threshold, getInterval));
  }
  if (kind === "picture") {
    const fail = () => showHint("This browser cannot save this photo as a picture", 4);
    saving.drawPicture(photo, page.scene).then((blob) => saving.save(`${stem(photo.name)}.points.jpg`, blob), fail);
  }
  if (kind === "zones") {
    saving.save(`${stem(photo.name)}.zones.json`, saving.buildZones(photo));
    photo.markSaved("zones", "context");
  }
}

function listen() {
  files.listen();
  listenForSettings("model", setModel);
  listenForSettings("scale", () => {});
  find("recount").onclick = () => {
    const { photo } = page;
    if (!photo.corrected || window.confirm("Count again? Your corrected points are lost.")) recount([photo]);
  };
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
    showHint(hints[getTool()] ?? "", 4);
    refresh();
  };
  for (const [id, direction] of [["zoom-in", 1], ["zoom-out", -1], ["zoom-fit", 0]]) {
    find(id).onclick = () => viewer.zoom(direction);
  }
  find("undo").onclick = undo;
  find("redo").onclick = redo;
  find("remove").onclick = remove;
  for (const button of document.querySelectorAll("[data-save]")) button.onclick = () => save(button.dataset.save);
  window.onbeforeunload = (event) => {
    // The browser asks whether to leave.
    if (page.photos.some((photo) => photo.unsaved) || page.outline.length) event.preventDefault();
  };
  document.addEventListener("keydown", pressShortcut);
  new ResizeObserver(refresh).observe(find("panel"));
}

function pressShortcut(event) {
  const typing = event.target.matches("input:not([type=range], [type=radio], [type=checkbox])");
  if (!(event.ctrlKey || event.metaKey) || typing || !page.photo) return;
  const letter = event.key.toLowerCase();
  if (letter === "y" || (letter === "z" && event.shiftKey)) redo();
  else if (letter === "z") undo();
  else return;
  event.preventDefault();
}

async function start() {
  const { models, limits, scale } = await retry(fetchModels, () => {});
  page.models = models;
  queue.limit = limits.request_bytes;
  fillSelect(find("model"), models.map(({ name }) => [name, name]), models[0].name);
  find("model-label").hidden = models.length < 2;
  const scales = [...new Set([...SCALES, String(scale)])];
  fillSelect(find("scale"), scales.map((value) => [value, value]), String(scale));
  setModel(models[0].name);
  listen();
}

start().catch((problem) => showMessage(problem.message, { title: problem.title, bad: true }));
