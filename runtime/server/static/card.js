// One task on the page, from submission to download.
import { Refused, ask, blobUrl } from "./server.js";

const ENDED = new Set(["SUCCEEDED", "FAILED", "CANCELED"]);
const EXTRAS = new Set(["coarse.glb", "views.png", "preview.png"]); // files of a task that are not its result
const RETRY_MS = 1000;
// A browser opens six connections to a server at a time, for all of its tabs: streams must leave some to other requests.
const MAX_STREAMS = 2;
let streams = 0;

export function titleOf(request) {
  return request.prompt || (request.mesh ? "a mesh" : "a picture");
}

export class Card {
  // again : makes the same task with another seed; changed : called once the list of tasks has another one, or one less
  constructor(task, again, changed) {
    this.task = task;
    this.changed = changed;
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    this.find = (selector) => this.element.querySelector(selector);
    this.element.dataset.id = task.id;
    this.find("h3").textContent = task.request.type === "finish" ? titleOf(task.request) : `${titleOf(task.request)} · seed ${task.request.seed}`;
    this.find(".cancel").onclick = () => ask(task.links.cancel, { method: "POST" }).catch((error) => this.say(error.message));
    this.find(".again").onclick = () => again(this.task);
    this.find(".delete").onclick = () => this.delete().catch((error) => this.say(error.message));
    this.find("model-viewer").addEventListener("error", () => this.say("the mesh cannot be shown here, perhaps for want of WebGL"));
    this.shown = new Set();
  }

  say(text) { this.find(".said").textContent = text; }

  async show(name, path) {
    if (this.shown.has(name)) return;
    this.shown.add(name);
    try {
      const url = await blobUrl(path);
      if (EXTRAS.has(name) && ENDED.has(this.task.state)) {
        URL.revokeObjectURL(url); // it came later than what it was to be seen before
      } else if (name === "views.png") {
        this.find(".views").src = url;
        this.find(".views").hidden = false;
      } else if (name.endsWith(".glb")) {
        const viewer = this.find("model-viewer");
        const before = viewer.src;
        viewer.src = url;
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

  // Until the task has ended: by its events where it runs, or is the next to, and is looked at; else by looking at it again and again.
  async follow() {
    this.after = 0;
    while (!ENDED.has(this.task.state)) {
      const soon = this.task.state === "IN_PROGRESS" || this.task.position === 0;
      try {
        if (soon && streams < MAX_STREAMS && !document.hidden) await this.read();
        this.look(await this.refresh());
      } catch (error) {
        if (error instanceof Refused) { this.say(error.message); return; }
        this.say("the connection is lost, trying again");
      }
      if (!ENDED.has(this.task.state)) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    await this.end();
  }

  // What a task says of itself.
  look(task) {
    if (ENDED.has(task.state)) return;
    this.find("progress").value = task.progress;
    if (task.state === "PENDING") this.waits(task.position);
    else if (task.stage) this.say(task.stage);
    for (const file of task.files) if (!file.name.startsWith("preview")) this.show(file.name, file.url);
  }

  waits(position) { this.say(position ? `${position} before it` : "next"); }

  // Read the stream of events until it ends, or nobody looks any more.
  async read() {
    const stop = new AbortController(), leave = () => { if (document.hidden) stop.abort(); };
    document.addEventListener("visibilitychange", leave);
    streams++;
    try {
      const answer = await ask(this.task.links.events, { headers: { "Last-Event-ID": String(this.after) }, signal: stop.signal });
      await this.readEvents(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      streams--;
      document.removeEventListener("visibilitychange", leave);
    }
  }

  async readEvents(reader) {
    let text = "";
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").filter((line) => !line.startsWith(":")).map((line) => {
          const at = line.indexOf(": ");
          return [line.slice(0, at), line.slice(at + 2)];
        }));
        if (fields.id) this.after = Number(fields.id);
        if (fields.data) this.heard(fields.event, JSON.parse(fields.data));
      }
    }
  }

  heard(type, data) {
    if (data.progress !== undefined) this.find("progress").value = data.progress;
    if (type === "queue") this.waits(data.position);
    else if (type === "stage") this.say(data.stage);
    else if (type === "step" && data.total > 1) this.say(`${data.stage}, step ${data.index} of ${data.total}`);
    else if (type === "build") this.say(`building an engine for ${data.component}: ${Math.round(100 * data.share)} %`);
    else if (type === "notice") this.notice = data.message;
    else if (type === "file") this.show(data.name, `${this.task.links.self}/files/${data.name}`);
  }

  async refresh() {
    this.task = await (await ask(this.task.links.self)).json();
    return this.task;
  }

  async end() {
    const task = await this.refresh();
    this.find("progress").hidden = this.find(".cancel").hidden = true;
    this.find(".again").hidden = this.find(".delete").hidden = false;
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

  async delete() {
    await ask(this.task.links.self, { method: "DELETE" });
    for (const link of this.element.querySelectorAll(".downloads a")) URL.revokeObjectURL(link.href);
    this.element.remove();
    this.changed();
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
