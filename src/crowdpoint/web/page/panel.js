// The parts of the page beside the photo: lists, the histogram of scores, and messages.

import { ZONE_COLORS } from "./viewer.js";

export const find = (id) => document.getElementById(id);

export const number = (value) => value.toLocaleString("en-GB");

export function plural(count, one, many) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** An element with its properties, attributes (`aria-…`, `data-…`) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Bars of how many candidates have which score; those that reach the threshold stand out. */
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

/** The photos as small pictures; `choose(photo)` is called with the one that is clicked. */
export function fillStrip(list, photos, current, caption, choose) {
  list.hidden = photos.length < 2;
  for (const item of [...list.children]) if (!photos.includes(item.photo)) item.remove();
  for (const photo of photos.slice(list.children.length)) list.append(stripItem(photo, choose));
  photos.forEach((photo, index) => {
    const button = list.children[index].firstElementChild;
    const badge = button.lastElementChild;
    badge.textContent = caption(photo);
    badge.className = `badge ${photo.state}`;
    button.setAttribute("aria-label", `${photo.name}: ${caption(photo)}`);
    const follows = photo === current && button.getAttribute("aria-current") !== "true";
    button.setAttribute("aria-current", photo === current);
    if (follows && !list.hidden) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}

function stripItem(photo, choose) {
  const picture = make("img", { src: photo.url, alt: "", loading: "lazy" });
  picture.onerror = () => picture.remove(); // such as a TIFF file
  const button = make("button", { type: "button", title: photo.name }, picture, make("span"));
  button.onclick = () => choose(photo);
  return make("li", { photo }, button);
}

/** The zones with their counts; `change` is called after a name or the list has changed. */
export function fillZones(list, photo, counts, change) {
  if (list.zones !== photo.zones || list.children.length !== counts.length) {
    list.zones = photo.zones;
    list.replaceChildren(...photo.zones.map((zone, index) => zoneItem(list, zone, index, change)));
  }
  counts.forEach((count, index) => (list.children[index].querySelector("b").textContent = number(count)));
}

function zoneItem(list, zone, index, change) {
  const mark = make("i", { "aria-hidden": "true" });
  mark.style.background = ZONE_COLORS[index % ZONE_COLORS.length];
  const name = make("input", { value: zone.name, maxLength: 40, "aria-label": `Name of ${zone.name}` });
  name.onchange = () => {
    const wanted = name.value.trim();
    const taken = list.zones.some((other) => other !== zone && other.name === wanted);
    if (wanted && !taken) zone.name = wanted;
    name.value = zone.name;
    change();
  };
  const remove = make("button", { type: "button", "aria-label": `Delete ${zone.name}` }, "×");
  remove.onclick = () => {
    list.zones.splice(list.zones.indexOf(zone), 1);
    list.zones = null; // so that the colours follow
    change();
  };
  return make("li", {}, mark, name, make("b"), remove);
}

/** A message over the photo, with a button if `action` is given; without text, none. */
export function say(text, { title = "", action = "", onAction = null, bad = false } = {}) {
  const box = find("status");
  box.hidden = !text;
  box.classList.toggle("bad", bad);
  box.replaceChildren(...(title ? [make("b", {}, title)] : []), make("span", {}, text));
  if (action) {
    const button = make("button", { type: "button" }, action);
    button.onclick = onAction;
    box.append(button);
  }
}

/** A hint that goes away on its own; an empty one goes at once. */
export function hint(text, seconds = 0) {
  const box = find("hint");
  box.textContent = text;
  box.hidden = !text;
  clearTimeout(hint.timer);
  if (seconds) hint.timer = setTimeout(() => (box.hidden = true), 1000 * seconds);
}

/** The bar: a part in [0, 1], `null` for work of unknown length, `undefined` for none. */
export function progress(part) {
  const bar = find("progress");
  bar.hidden = part === undefined;
  bar.classList.toggle("endless", part === null);
  bar.firstElementChild.style.width = part === null ? "" : `${100 * (part ?? 0)}%`;
  if (typeof part === "number") bar.setAttribute("aria-valuenow", Math.round(100 * part));
  else bar.removeAttribute("aria-valuenow");
}
