// The parts of the page around the photo: lists, the histogram of scores, and messages.

import { zoneColor } from "./painting.js";

export const find = (id) => document.getElementById(id);

export const formatNumber = (value) => value.toLocaleString("en-GB");

export function formatQuantity(count, one, many) {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}

/** Create an element with properties, attributes (`aria-…`, `data-…`) and children. */
export function createElement(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Fill a select with options `[value, text]`. */
export function fillSelect(select, options, value) {
  select.replaceChildren(...options.map(([key, text]) => createElement("option", { value: key }, text)));
  select.value = value;
}

/** Paint how many candidates have which score. Bars from the threshold on stand out. */
export function paintHistogram(canvas, candidates, threshold, floor) {
  const ratio = window.devicePixelRatio || 1;
  const width = (canvas.width = Math.round(canvas.clientWidth * ratio));
  const height = (canvas.height = Math.round(canvas.clientHeight * ratio));
  const bars = 48;
  const counts = new Array(bars).fill(0);
  for (const { score } of candidates) {
    counts[Math.min(Math.floor(((score - floor) / (1 - floor)) * bars), bars - 1)] += 1;
  }
  const most = Math.log1p(Math.max(...counts));
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const [strong, weak] = [style.getPropertyValue("--accent"), style.getPropertyValue("--faint")];
  const step = width / bars;
  counts.forEach((count, index) => {
    if (!count) return;
    const tall = Math.max(ratio, (Math.log1p(count) / most) * height);
    context.fillStyle = floor + ((index + 0.5) / bars) * (1 - floor) >= threshold ? strong : weak;
    context.fillRect(index * step, height - tall, step - ratio, tall);
  });
}

/** Show all photos as thumbnails, and scroll to the current one; `onChoose(photo)` is called on a click. */
export function fillStrip(list, photos, current, describe, onChoose) {
  list.hidden = photos.length < 2;
  for (const item of [...list.children]) if (!photos.includes(item.photo)) item.remove();
  for (const photo of photos.slice(list.children.length)) list.append(createThumbnail(photo, onChoose));
  photos.forEach((photo, index) => {
    const button = list.children[index].firstElementChild;
    const badge = button.lastElementChild;
    badge.textContent = describe(photo);
    badge.className = `badge ${photo.state}`;
    button.setAttribute("aria-label", `${photo.name}: ${describe(photo)}`);
    const isNew = photo === current && button.getAttribute("aria-current") !== "true";
    button.setAttribute("aria-current", photo === current);
    if (isNew && !list.hidden) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}

function createThumbnail(photo, onChoose) {
  const picture = createElement("img", { src: photo.url, alt: "", loading: "lazy" });
  picture.onerror = () => picture.remove(); // such as a TIFF file
  const button = createElement("button", { type: "button", title: photo.name }, picture, createElement("span"));
  button.onclick = () => onChoose(photo);
  return createElement("li", { photo }, button);
}

/** Show the zones with their counts; `onRename(index, name)` and `onRemove(index)` are called on changes. */
export function fillZones(list, zones, counts, { onRename, onRemove }) {
  while (list.children.length > zones.length) list.lastElementChild.remove();
  while (list.children.length < zones.length) {
    list.append(createZoneItem(list.children.length, onRename, onRemove));
  }
  zones.forEach(({ name }, index) => {
    const [, input, count, remove] = list.children[index].children;
    if (input.defaultValue !== name) input.value = input.defaultValue = name; // else a person may be typing
    input.setAttribute("aria-label", `Name of ${name}`);
    remove.setAttribute("aria-label", `Delete ${name}`);
    count.textContent = formatNumber(counts[index]);
  });
}

function createZoneItem(index, onRename, onRemove) {
  const mark = createElement("i", { "aria-hidden": "true" });
  mark.style.background = zoneColor(index);
  const input = createElement("input", { maxLength: 40 });
  input.onchange = () => {
    onRename(index, input.value.trim());
    input.value = input.defaultValue; // the former one if the new one is refused
  };
  const remove = createElement("button", { type: "button" }, "×");
  remove.onclick = () => onRemove(index);
  return createElement("li", {}, mark, input, createElement("b"), remove);
}

/** Show a message over the photo, with a button if `action` is given; hide it without text. */
export function showMessage(text, { title = "", action = "", onAction = null, bad = false } = {}) {
  const box = find("status");
  const content = JSON.stringify([text, title, action, bad]);
  if (box.dataset.content === content) { // a new button would lose its focus
    if (action) box.lastElementChild.onclick = onAction;
    return;
  }
  box.dataset.content = content;
  box.hidden = !text;
  box.classList.toggle("bad", bad);
  box.replaceChildren(...(title ? [createElement("b", {}, title)] : []), createElement("span", {}, text));
  if (action) {
    const button = createElement("button", { type: "button" }, action);
    button.onclick = onAction;
    box.append(button);
  }
}

/** Show a hint for some seconds, or until the next one; hide it without text. */
export function showHint(text, seconds = 0) {
  const box = find("hint");
  box.textContent = text;
  box.hidden = !text;
  clearTimeout(showHint.timer);
  if (seconds) showHint.timer = setTimeout(() => (box.hidden = true), 1000 * seconds);
}

/** Show progress: a part in [0, 1], or `null` for work of unknown length; hide it if `undefined`. */
export function showProgress(part) {
  const bar = find("progress");
  bar.hidden = part === undefined;
  bar.classList.toggle("endless", part === null);
  bar.firstElementChild.style.width = part === null ? "" : `${100 * (part ?? 0)}%`;
  if (typeof part === "number") bar.setAttribute("aria-valuenow", Math.round(100 * part));
  else bar.removeAttribute("aria-valuenow");
}
