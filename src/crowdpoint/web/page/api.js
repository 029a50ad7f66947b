// The server's API, and its failures as `Problem`s that say what to tell a person.

const KEY = "crowdpoint-key";

export class Problem extends Error {
  /** `document` is a problem object of the server (RFC 9457). */
  constructor(document, wait = 0) {
    super(document.detail || document.title);
    this.title = document.title;
    this.status = document.status;
    this.wait = wait; // seconds after which to try again
  }
}

export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** The models that are served and what the server accepts. */
export async function models() {
  return JSON.parse((await send("GET", "v1/models")).responseText);
}

/**
 * The record of one photo with every candidate whose score is at least `floor`.
 * `progress` is called with the sent part in [0, 1].
 */
export async function predict(file, model, floor, progress) {
  const form = new FormData();
  form.append("image", file, file.name || "photo");
  const query = new URLSearchParams({ model, threshold: floor });
  const answer = await send("POST", `v1/predict?${query}`, form, progress);
  return JSON.parse(answer.responseText).results[0];
}

// Not fetch: it cannot tell how much of a body is sent.
function send(method, address, body = null, progress = null) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    const key = sessionStorage.getItem(KEY);
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    if (progress) request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () => (request.status === 200 ? resolve(request) : reject(problem(request)));
    request.onerror = () => reject(
      new Problem({ title: "No answer", status: 0, detail: "The server cannot be reached. Is it still running?" }),
    );
    request.send(body);
  });
}

function problem(request) {
  const wait = Number(request.getResponseHeader("Retry-After")) || 0;
  try {
    return new Problem(JSON.parse(request.responseText), wait);
  } catch { // such as the page of a proxy in between
    return new Problem({ title: request.statusText, status: request.status, detail: `HTTP ${request.status}` }, wait);
  }
}
