// The page of `meshwright serve`: submits tasks, follows their events, and shows what they make as soon as it is there.
const $ = (id) => document.getElementById(id);
const ENDED = new Set(["SUCCEEDED", "FAILED", "CANCELED"]);
const OUTCOMES = { PENDING: "waiting", IN_PROGRESS: "being made", SUCCEEDED: "", FAILED: "failed", CANCELED: "cancelled" };
const EXTRAS = new Set(["coarse.glb", "views.png", "preview.png"]); // files of a task that are not its result
const RETRY_MS = 1000, PAGE = 24;
let token = sessionStorage.getItem("token") || "";
let chosen = null; // {name: "image" or "mesh", data: base64}
let nextBefore = null;

class Refused extends Error {}

async function ask(path, options = {}) {
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
async function blobUrl(path) {
  return URL.createObjectURL(await (await ask(path)).blob());
}

function showError(error) {
  $("error").textContent = error ? (error instanceof Refused ? error.message : `The server does not answer: ${error.message}`) : "";
  $("error").hidden = !error;
}

// The prompt as the name of a file and of the objects in it.
function nameOf(request) {
  return (request.prompt || "").normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 48);
}

function titleOf(request) {
  return request.prompt || (request.mesh ? "a mesh" : "a picture");
}

// One task on the page, from submission to download.
class Card {
  constructor(task) {
    this.task = task;
    this.element = $("card").content.firstElementChild.cloneNode(true);
    this.find = (selector) => this.element.querySelector(selector);
    this.element.dataset.id = task.id;
    this.find("h3").textContent = task.request.type === "finish" ? titleOf(task.request) : `${titleOf(task.request)} · seed ${task.request.seed}`;
    this.find(".cancel").onclick = () => ask(task.links.cancel, { method: "POST" }).catch((error) => this.say(error.message));
    this.find(".again").onclick = () => again(this.task);
    this.shown = new Set();
  }

  say(text) { this.find(".said").textContent = text; }

  async show(name, path) {
    if (this.shown.has(name)) return;
    this.shown.add(name);
    try {
      if (name === "views.png") {
        this.find(".views").src = await blobUrl(path);
        this.find(".views").hidden = false;
      } else if (name.endsWith(".glb")) {
        const viewer = this.find("model-viewer");
        const before = viewer.src;
        viewer.src = await blobUrl(path);
        viewer.alt = titleOf(this.task.request);
        viewer.hidden = false;
        viewer.dataset.shows = name;
        if (before) URL.revokeObjectURL(before);
      }
    } catch (error) {
      this.shown.delete(name);
      this.say(error.message);
    }
  }

  async follow() {
    let after = 0;
    while (true) {
      try {
        if (await this.read(after, (id) => { after = id; })) break;
      } catch (error) {
        if (error instanceof Refused) { this.say(error.message); return; }
        this.say("the connection is lost, trying again");
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    await this.end();
  }

  // Read the stream of events; true once the task has ended.
  async read(after, seen) {
    const answer = await ask(this.task.links.events, { headers: { "Last-Event-ID": String(after) } });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (true) {
      const { value, done } = await reader.read();
      if (done) return ENDED.has((await this.refresh()).state);
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").filter((line) => !line.startsWith(":")).map((line) => {
          const at = line.indexOf(": ");
          return [line.slice(0, at), line.slice(at + 2)];
        }));
        if (fields.id) seen(Number(fields.id));
        if (fields.data && this.heard(fields.event, JSON.parse(fields.data))) return true;
      }
    }
  }

  heard(type, data) {
    if (data.progress !== undefined) this.find("progress").value = data.progress;
    if (type === "queue") this.say(data.position ? `${data.position} before it` : "next");
    else if (type === "stage") this.say(data.stage);
    else if (type === "step" && data.total > 1) this.say(`${data.stage}, step ${data.index} of ${data.total}`);
    else if (type === "build") this.say(`building an engine for ${data.component}: ${Math.round(100 * data.share)} %`);
    else if (type === "notice") this.notice = data.message;
    else if (type === "file") this.show(data.name, `${this.task.links.self}/files/${data.name}`);
    return type === "end";
  }

  async refresh() {
    this.task = await (await ask(this.task.links.self)).json();
    return this.task;
  }

  async end() {
    const task = await this.refresh();
    this.find("progress").hidden = this.find(".cancel").hidden = true;
    this.find(".again").hidden = false;
    this.element.dataset.state = task.state;
    if (task.state !== "SUCCEEDED") {
      this.say(task.state === "CANCELED" ? "cancelled" : `failed: ${task.error}`);
      this.element.classList.toggle("failed", task.state === "FAILED");
      return;
    }
    this.say([`${task.timings.total.toFixed(1)} s`, this.notice].filter(Boolean).join("; "));
    this.find(".views").hidden = true;
    const own = task.files.filter((file) => !EXTRAS.has(file.name));
    for (const file of own) await this.addDownload(file);
    const mesh = own.find((file) => file.name.endsWith(".glb") && !file.name.endsWith("_collision.glb"));
    if (mesh) await this.show(mesh.name, mesh.url);
  }

  async addDownload(file) {
    const link = document.createElement("a");
    const rest = file.name.startsWith(this.task.request.name) ? file.name.slice(this.task.request.name.length + 1) : file.name;
    link.textContent = `${rest}, ${Math.ceil(file.bytes / 1024)} KB`;
    link.href = await blobUrl(file.url);
    link.download = file.name;
    this.find(".downloads").append(link);
  }
}

function options() {
  const request = { prompt: $("prompt").value.trim(), seed: Number($("seed").value) || 0 };
  for (const name of ["faces", "steps", "guidance", "texture"]) if ($(name).value) request[name] = Number($(name).value);
  const name = nameOf(request);
  if (name) request.name = name;
  if ($("for").value) request.for = $("for").value;
  else if ($("format").value !== "glb") request.format = $("format").value;
  if ($("pack").value) request.pack = $("pack").value;
  if ($("quality").value) request.quality = $("quality").value;
  if (chosen) request[chosen.name] = chosen.data;
  if (!chosen || chosen.name !== "mesh") return request;
  if (request.prompt && $("use").value === "refine") return { ...request, type: "refine" };
  if (request.prompt) {
    const { faces, for: engine, ...rest } = request;
    return { ...rest, type: "texture" };
  }
  // Without words a mesh is not redrawn, only made ready.
  const kept = ["mesh", "for", "faces", "texture", "name", "format", "pack"].filter((key) => request[key] !== undefined);
  return { type: "finish", ...Object.fromEntries(kept.map((key) => [key, request[key]])) };
}

async function submit(request) {
  const task = await (await ask("/v1/tasks", {
    method: "POST", body: JSON.stringify(request), headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
  })).json();
  const card = new Card(task);
  $("work").prepend(card.element);
  card.follow().then(loadHistory);
  return card;
}

async function make() {
  showError(null);
  const request = options(), count = request.type === "finish" ? 1 : Math.max(1, Math.min(8, Number($("variants").value) || 1));
  try {
    for (let index = count - 1; index >= 0; index--) await submit(request.type === "finish" ? request : { ...request, seed: request.seed + index });
  } catch (error) {
    showError(error);
  }
}

// The server keeps what came as a file; the page asks for another seed of what words alone describe, else with the file it still has.
async function again(task) {
  $("prompt").value = task.request.prompt || "";
  $("seed").value = Number(task.request.seed) + 1;
  if (task.request.image || task.request.mesh) {
    if (!chosen) return showError(new Refused("choose the file again, then make it"));
  } else {
    clearFile();
  }
  await make();
}

function clearFile() {
  chosen = null;
  $("file").value = "";
  $("picture").hidden = $("remove").hidden = true;
  $("drop-label").hidden = false;
  $("drop-label").textContent = "Drop a picture to make a mesh of it, or a GLB to redraw it or make it ready, or choose a file";
}

async function choose(file) {
  if (!file) return;
  const mesh = file.name.toLowerCase().endsWith(".glb");
  const data = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  chosen = { name: mesh ? "mesh" : "image", data: data.slice(data.indexOf(",") + 1) };
  $("picture").hidden = mesh;
  if (!mesh) $("picture").src = URL.createObjectURL(file);
  $("drop-label").textContent = file.name;
  $("remove").hidden = false;
  showError(null);
}

async function loadHistory(older = false) {
  try {
    const more = older === true && nextBefore ? `&before=${nextBefore}` : "";
    const page = await (await ask(`/v1/tasks?limit=${PAGE}${more}`)).json();
    if (!more) $("history").replaceChildren();
    nextBefore = page.next_before;
    $("older").hidden = !nextBefore;
    $("empty").hidden = page.tasks.length > 0 || Boolean(more);
    for (const task of page.tasks) $("history").append(await entry(task));
    $("state").textContent = "ready";
  } catch (error) {
    $("state").textContent = error instanceof Refused ? error.message : "the server does not answer";
  }
}

async function entry(task) {
  const item = document.createElement("li"), button = document.createElement("button"), outcome = document.createElement("span");
  button.type = "button";
  const picture = document.createElement("img");
  picture.className = "thumbnail";
  picture.alt = "";
  const preview = task.files.find((file) => file.name === "preview.png");
  if (preview) blobUrl(preview.url).then((url) => { picture.src = url; }, () => {});
  outcome.className = "outcome";
  outcome.textContent = OUTCOMES[task.state];
  button.append(picture, `${titleOf(task.request)} `, outcome);
  button.onclick = () => {
    const there = document.querySelector(`.card[data-id="${task.id}"]`);
    if (there) return there.scrollIntoView({ behavior: "smooth" });
    const card = new Card(task);
    $("work").prepend(card.element);
    card.element.scrollIntoView({ behavior: "smooth" });
    return card.follow();
  };
  item.append(button);
  return item;
}

async function start() {
  $("form").onsubmit = (event) => { event.preventDefault(); make(); };
  document.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit(); });
  $("file").onchange = () => choose($("file").files[0]).catch(showError);
  $("remove").onclick = clearFile;
  $("older").onclick = () => loadHistory(true);
  for (const kind of ["dragenter", "dragover"]) $("drop").addEventListener(kind, () => $("drop").classList.add("over"));
  for (const kind of ["dragleave", "drop"]) $("drop").addEventListener(kind, () => $("drop").classList.remove("over"));
  window.addEventListener("unhandledrejection", (event) => showError(event.reason));
  window.addEventListener("error", (event) => showError(new Refused(event.message)));
  try {
    const packs = (await (await ask("/v1/packs")).json()).packs;
    $("pack").replaceChildren(...packs.map((pack) => new Option(`${pack.name} ${pack.version}`, pack.name)));
    $("pack-label").hidden = packs.length < 2;
  } catch (error) {
    showError(error);
  }
  await loadHistory();
}

start();
