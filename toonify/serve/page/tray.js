// What is being saved: how far it is, what failed and why, and another try.

import { getJson, post, query, remove } from "./api.js";
import { $, element, notice, plural, say } from "./words.js";

const STATES = { waiting: "Waiting", drawing: "Drawing…", done: "Done", failed: "Not drawn", cancelled: "Cancelled" };

export class Tray {
  constructor({ onTakes, onPhotos }) {
    this.onTakes = onTakes;
    this.onPhotos = onPhotos;
    this.takes = new Map();
    this.wanted = new Map(); // batch group -> what is downloaded when it is done
    $("cancel").addEventListener("click", () => this.act(() => post("api/takes/cancel")));
    $("clear").addEventListener("click", () => this.act(() => remove("api/takes")));
    $("retry-all").addEventListener("click", () => this.retryAll());
    $("tray-more").addEventListener("click", () => this.open($("tray-list").hidden));
    this.listen();
  }

  listen() {
    const events = new EventSource("api/events");
    let lost = false;
    events.onmessage = (event) => {
      if (lost) notice("toonify answers again");
      lost = false;
      const { takes, gone, photos } = JSON.parse(event.data);
      takes.forEach((take) => this.takes.set(take.id, take));
      gone.forEach((id) => this.takes.delete(id));
      if (photos !== this.photos) this.onPhotos(photos);
      this.photos = photos;
      this.render();
      this.onTakes(takes);
    };
    events.onopen = () => this.takes.clear();
    events.onerror = () => {
      if (!lost) notice("toonify cannot be reached; is it still running in the terminal?");
      lost = true;
    };
    window.addEventListener("pagehide", () => events.close());
  }

  async act(work) {
    try {
      return await work();
    } catch (error) {
      notice(error.message);
      return null;
    }
  }

  // Ask for pictures: one request for each choice; when all are done, they are downloaded.
  async take(groups, { format, stripMetadata, place }) {
    const finished = [...this.takes.values()].every((take) => !["waiting", "drawing"].includes(take.state));
    if (finished && this.takes.size) {
      await this.act(() => remove("api/takes"));
      this.takes.clear();
    }
    const batches = [];
    const ids = [];
    for (const { photos, choice } of groups) {
      const asked = { photos, style: choice.style, options: choice.options, format, strip_metadata: stripMetadata, place };
      const answer = await this.act(() => post("api/takes", asked));
      if (!answer) continue;
      batches.push(answer.batch);
      answer.takes.forEach((take) => {
        ids.push(take.id);
        if (!this.takes.has(take.id)) this.takes.set(take.id, take);
      });
    }
    if (ids.length && place === "download") this.wanted.set(batches.join(), { batches, ids });
    if (ids.length) say(`Drawing ${plural(ids.length, "picture")}`);
    this.render();
  }

  async retryAll() {
    for (const take of this.takes.values()) {
      if (["failed", "cancelled"].includes(take.state) && !take.can_replace) await this.retry(take);
    }
  }

  retry(take, overwrite = false) {
    return this.act(() => post(`api/takes/${take.id}/retry${overwrite ? "?overwrite=yes" : ""}`));
  }

  download(path, name) {
    const link = element("a", { href: path, download: name });
    document.body.append(link);
    link.click();
    link.remove();
  }

  // Downloads begin by themselves, once, when all of what was asked for has come to its end.
  deliver() {
    for (const [key, { batches, ids }] of this.wanted) {
      const takes = ids.map((id) => this.takes.get(id)).filter(Boolean);
      if (takes.some((take) => ["waiting", "drawing"].includes(take.state))) continue;
      this.wanted.delete(key);
      const done = takes.filter((take) => take.state === "done");
      if (done.length === 1) this.download(`api/takes/${done[0].id}/file`, done[0].name);
      else if (done.length) this.download(`api/takes/zip?${batches.map((batch) => query({ batch })).join("&")}`, "toonify.zip");
    }
  }

  open(wanted) {
    $("tray-list").hidden = !wanted;
    $("tray-more").setAttribute("aria-expanded", String(wanted));
    $("tray-more").textContent = wanted ? "Fewer details" : "Details";
  }

  render() {
    this.deliver();
    const takes = [...this.takes.values()];
    $("tray").hidden = !takes.length;
    document.body.dataset.tray = takes.length ? "open" : "closed";
    if (!takes.length) {
      this.open(false);
      this.title = "";
      return;
    }
    const count = (state) => takes.filter((take) => take.state === state).length;
    const busy = count("waiting") + count("drawing");
    const done = count("done");
    const failed = count("failed");
    const written = takes.every((take) => take.in_folder);
    let title = `Drawing ${Math.min(done + failed + count("cancelled") + 1, takes.length)} of ${takes.length}`;
    if (!busy) {
      title = done ? `${plural(done, "picture")} ${written ? "written beside the folder" : "saved"}` : "Nothing was saved";
      if (failed) title += `, ${failed} not drawn`;
      if (count("cancelled")) title += `, ${count("cancelled")} cancelled`;
    }
    if (title !== this.title && !busy) say(title);
    if (!busy && failed && this.title !== title) this.open(true);
    this.title = title;
    $("tray-title").textContent = title;
    $("tray-progress").hidden = !busy;
    $("tray-progress").value = (takes.length - busy) / takes.length;
    $("cancel").hidden = !busy;
    $("clear").hidden = Boolean(busy);
    $("retry-all").hidden = Boolean(busy) || takes.filter((take) => ["failed", "cancelled"].includes(take.state) && !take.can_replace).length < 2;
    const files = takes.filter((take) => take.state === "done" && !take.in_folder);
    $("zip").hidden = Boolean(busy) || !files.length;
    if (files.length === 1) {
      $("zip").href = `api/takes/${files[0].id}/file`;
      $("zip").textContent = "Save again";
      $("zip").setAttribute("download", files[0].name);
    } else {
      $("zip").href = "api/takes/zip";
      $("zip").textContent = "Save the zip again";
      $("zip").setAttribute("download", "toonify.zip");
    }
    this.renderList(takes);
  }

  renderList(takes) {
    const focused = document.activeElement?.closest("#tray-list li")?.dataset.id;
    $("tray-list").replaceChildren(...takes.map((take) => this.row(take)));
    if (focused) $("tray-list").querySelector(`[data-id="${CSS.escape(focused)}"] :is(a, button)`)?.focus();
  }

  row(take) {
    const why = take.reason || take.notes.join("; ");
    const item = element(
      "li",
      { class: take.state },
      element("span", { class: "who" }, take.name, why ? element("span", { class: "why" }, why) : null),
      element("span", { class: "state" }, STATES[take.state]),
    );
    item.dataset.id = take.id;
    if (["waiting", "drawing"].includes(take.state)) {
      item.append(element("button", { type: "button", "aria-label": `Cancel ${take.name}`, onclick: () => this.act(() => post("api/takes/cancel", [take.id])) }, "Cancel"));
    }
    if (take.state === "done" && !take.in_folder) {
      item.append(element("a", { class: "button", href: `api/takes/${take.id}/file`, download: take.name, "aria-label": `Save ${take.name}` }, "Save"));
    }
    if (take.state === "failed" && take.can_replace) {
      item.append(element("button", { type: "button", "aria-label": `Replace ${take.name}`, onclick: () => this.retry(take, true) }, "Replace it"));
    } else if (["failed", "cancelled"].includes(take.state)) {
      item.append(element("button", { type: "button", "aria-label": `Try ${take.name} again`, onclick: () => this.retry(take) }, "Try again"));
    }
    return item;
  }
}

export const schema = () => getJson("api/schema");
