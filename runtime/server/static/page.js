// The page of `meshwright serve`: submits tasks, follows their events, and shows what they make as soon as it is there.
import { Card, titleOf } from "./card.js";
import { Refused, ask, blobUrl } from "./server.js";

const $ = (id) => document.getElementById(id);
const OUTCOMES = { PENDING: "waiting", IN_PROGRESS: "being made", SUCCEEDED: "", FAILED: "failed", CANCELED: "cancelled" };
const STARTING_MS = 1500, READY_MS = 15000, PAGE = 24;
let chosen = null; // {name: "image" or "mesh", data: base64}
let nextBefore = null;

function showError(error) {
  $("error").textContent = error ? (error instanceof Refused ? error.message : `The server does not answer: ${error.message}`) : "";
  $("error").hidden = !error;
}

// The prompt as the name of a file and of the objects in it.
function nameOf(request) {
  return (request.prompt || "").normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 48);
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
  const card = new Card(task, again, loadHistory);
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

// A file may be dropped anywhere, or pasted: a browser would leave the page to show it.
function takeDrops() {
  const mark = (over) => $("drop").classList.toggle("over", over);
  for (const kind of ["dragenter", "dragover"]) window.addEventListener(kind, (event) => { event.preventDefault(); mark(true); });
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    choose(event.dataTransfer.files[0]).catch(showError);
  });
  window.addEventListener("paste", (event) => choose(event.clipboardData.files[0]).catch(showError));
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
  } catch (error) {
    $("state").textContent = error instanceof Refused ? error.message : "the server does not answer";
  }
}

// Say whether tasks are worked on, and if not, why.
async function watch() {
  let pause = STARTING_MS;
  try {
    await ask("/readyz");
    $("state").textContent = "ready";
    pause = READY_MS;
  } catch (error) {
    $("state").textContent = error instanceof Refused ? error.message : "the server does not answer";
  }
  setTimeout(watch, pause);
}

async function entry(task) {
  const item = document.createElement("li"), button = document.createElement("button"), outcome = document.createElement("span");
  button.type = "button";
  const picture = document.createElement("img");
  picture.className = "thumbnail";
  picture.alt = "";
  const preview = task.files.find((file) => file.name === "preview.png");
  picture.onload = () => URL.revokeObjectURL(picture.src);
  if (preview) blobUrl(preview.url).then((url) => { picture.src = url; }, () => {});
  outcome.className = "outcome";
  outcome.textContent = [task.request.type === "finish" ? "" : `seed ${task.request.seed}`, OUTCOMES[task.state]].filter(Boolean).join(", ");
  button.append(picture, `${titleOf(task.request)} `, outcome);
  button.onclick = () => {
    const there = document.querySelector(`.card[data-id="${task.id}"]`);
    if (there) return there.scrollIntoView({ behavior: "smooth" });
    const card = new Card(task, again, loadHistory);
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
  takeDrops();
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
  await watch();
}

start();
