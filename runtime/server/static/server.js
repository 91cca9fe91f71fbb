// Requests to the server, with its token where it needs one.
const $ = (id) => document.getElementById(id);
let token = sessionStorage.getItem("token") || "";

// What the server refused, in its words.
export class Refused extends Error {}

export async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    await askForToken();
    return ask(path, options);
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    const faults = (problem.errors || []).map((fault) => `${fault.pointer.slice(1) || "body"}: ${fault.detail}`);
    throw new Refused([problem.title || `error ${answer.status}`, problem.detail, ...faults].filter(Boolean).join("; "));
  }
  return answer;
}

function askForToken() {
  const dialog = $("token-dialog");
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    token = $("token").value.trim();
    sessionStorage.setItem("token", token);
    resolve();
  }, { once: true }));
}

// A file of a task as an address that an element can show: elements send no token.
export async function blobUrl(path) {
  return URL.createObjectURL(await (await ask(path)).blob());
}
