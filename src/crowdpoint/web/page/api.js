// Requests to the server. Failures are `Problem`s, whose message is for people.

const KEY = "crowdpoint-key"; // in the session's storage

export class Problem extends Error {
  /** `document` is a problem object of the server (RFC 9457); `wait` the seconds until the next try. */
  constructor(document, wait = 0) {
    super(document.detail || document.title);
    this.title = document.title;
    this.status = document.status;
    this.wait = wait;
  }
}

export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** Fetch the models, the default scale and the limits of the server. */
export function fetchModels() {
  return send("GET", "v1/models");
}

/**
 * Predict a photo. `query` has the members `model`, `scale` and `threshold`; `onProgress` is called with the part
 * of the photo that is sent, in [0, 1]. Resolves to a record.
 */
export async function predict(file, query, onProgress) {
  const form = new FormData();
  form.append("image", file, file.name || "photo");
  return (await send("POST", `v1/predict?${new URLSearchParams(query)}`, form, onProgress)).results[0];
}

/** Fetch the heat map of points: its `image`, `peak`, `unit` and `colors`. */
export function fetchHeatmap(points, width, height) {
  return send("POST", "v1/heatmap", JSON.stringify({ width, height, points: points.map(({ x, y }) => [x, y]) }));
}

// XMLHttpRequest, because fetch does not report the progress of an upload.
function send(method, address, body = null, onProgress = null) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    const key = sessionStorage.getItem(KEY);
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onload = () => {
      if (request.status !== 200) return reject(readProblem(request));
      try {
        resolve(JSON.parse(request.responseText));
      } catch { // such as a page to sign in
        const detail = "The answer is not the server's. Reload this page, and sign in if you are asked to.";
        reject(new Problem({ title: "Unexpected answer", status: 0, detail }));
      }
    };
    request.onerror = () => reject(
      new Problem({ title: "No answer", status: 0, detail: "The server cannot be reached. Is it still running?" }),
    );
    request.send(body);
  });
}

function readProblem(request) {
  const wait = Number(request.getResponseHeader("Retry-After")) || 0;
  try {
    return new Problem(JSON.parse(request.responseText), wait);
  } catch { // such as the page of a proxy
    return new Problem({ title: request.statusText, status: request.status, detail: `HTTP ${request.status}` }, wait);
  }
}
