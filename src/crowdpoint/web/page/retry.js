// Repeats requests while the server is busy, and asks for the key where it is missing.

import { setKey } from "./api.js";
import { find } from "./panel.js";

const TRIES = 8;

/** Return the answer of `ask()`, repeated if it may succeed later; `onWait(seconds)` is called before a pause. */
export async function retry(ask, onWait) {
  for (let left = TRIES; ; left--) {
    try {
      return await ask();
    } catch (problem) {
      if (problem.status === 401) await askForKey();
      else if ((problem.status === 503 || problem.status === 429) && left > 1) {
        const seconds = problem.wait || 2;
        onWait(seconds);
        await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      } else throw problem;
    }
  }
}

let asking = null; // shared by the requests that need the key

function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = find("key-dialog");
    dialog.onclose = () => {
      setKey(find("key").value);
      asking = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault();
    find("key").value = "";
    dialog.showModal();
  });
  return asking;
}
