// The photos: one tile each, which shows where it stands.

import { doneUrl, photoUrl, picture } from "./api.js";
import { $, element, plural } from "./words.js";

export class Strip {
  constructor({ onShow, onSelect }) {
    this.onShow = onShow;
    this.onSelect = onSelect;
    this.tiles = new Map(); // id -> {item, button, photo, badge}
    this.selected = new Set();
    this.current = null;
    this.list = $("tiles");
    this.list.addEventListener("keydown", (event) => this.walk(event));
    this.seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.load(entry)), {
      rootMargin: "200px",
    });
    $("select-all").addEventListener("click", () => this.selectAll());
  }

  get ids() {
    return [...this.list.children].map((item) => item.dataset.id);
  }

  add(photo) {
    const button = element(
      "button",
      { type: "button", tabindex: "-1", onclick: () => this.onShow(photo.id) },
      element("span", { class: "pic loading" }),
      element("span", { class: "label", title: photo.name }, photo.name.split("/").pop()),
    );
    const box = element("input", {
      type: "checkbox",
      "aria-label": `Select ${photo.name}`,
      onchange: (event) => this.select(photo.id, event.target.checked),
    });
    const item = element("li", { class: "tile" }, button, element("label", { class: "choose" }, box));
    item.dataset.id = photo.id;
    const tile = { item, button, box, photo, state: null };
    this.tiles.set(photo.id, tile);
    this.list.append(item);
    this.describe(tile);
    if (photo.id.startsWith("coming-")) {
      box.disabled = true;
    } else {
      this.seen.observe(item);
    }
    this.count();
    return tile;
  }

  replace(id, photo) {
    const old = this.tiles.get(id);
    if (!old) return;
    const tile = this.add(photo);
    old.item.replaceWith(tile.item);
    this.tiles.delete(id);
    this.count();
  }

  remove(id) {
    const tile = this.tiles.get(id);
    if (!tile) return;
    this.seen.unobserve(tile.item);
    tile.item.remove();
    this.tiles.delete(id);
    this.selected.delete(id);
    this.count();
  }

  show(id) {
    this.current = id;
    for (const [each, tile] of this.tiles) {
      const here = each === id;
      if (here) tile.button.setAttribute("aria-current", "true");
      else tile.button.removeAttribute("aria-current");
      tile.button.tabIndex = here ? 0 : -1;
    }
    this.tiles.get(id)?.item.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // What a photo's tile says: {done, style, text, kind}
  mark(id, state) {
    const tile = this.tiles.get(id);
    if (!tile || JSON.stringify(tile.state) === JSON.stringify(state)) return;
    tile.state = state;
    tile.item.querySelector(".badge")?.remove();
    tile.item.querySelector("img.new")?.remove();
    if (state?.text) {
      const badge = element("span", { class: `badge ${state.kind ?? ""}`, "aria-hidden": "true" }, state.text);
      tile.button.querySelector(".pic").append(badge);
    }
    if (state?.drawn) {
      picture(doneUrl(id, state.drawn, 256), { rank: 2 })
        .then((shown) => {
          if (tile.state === state) tile.button.querySelector(".pic").append(element("img", { class: "new", alt: "", src: shown }));
        })
        .catch(() => {}); // the badge says it, too
    }
    this.describe(tile);
  }

  describe(tile) {
    const { photo, state } = tile;
    const problem = photo.problem ? `, cannot be drawn: ${photo.problem}` : "";
    tile.button.setAttribute("aria-label", `${photo.name}${state?.text ? `, ${state.text}` : ""}${problem}`);
    if (photo.problem && !tile.item.querySelector(".badge")) {
      tile.button.querySelector(".pic").append(element("span", { class: "badge bad", "aria-hidden": "true" }, "cannot be read"));
      tile.button.querySelector(".pic").classList.remove("loading");
    }
  }

  async load(entry) {
    if (!entry.isIntersecting) return;
    this.seen.unobserve(entry.target);
    const tile = this.tiles.get(entry.target.dataset.id);
    if (!tile || tile.photo.problem) return;
    const pic = tile.button.querySelector(".pic");
    try {
      const shown = await picture(photoUrl(tile.photo.id, 256), { rank: 2 });
      pic.prepend(element("img", { alt: "", src: shown }));
    } catch (error) {
      if (error.name === "AbortError") return;
      tile.photo.problem = error.message;
      this.describe(tile);
    }
    pic.classList.remove("loading");
  }

  walk(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step || event.target.matches("input")) return;
    const ids = this.ids;
    const at = ids.indexOf(event.target.closest("li")?.dataset.id);
    const id = ids[Math.max(0, Math.min(ids.length - 1, at + step))];
    event.preventDefault();
    this.onShow(id);
    this.tiles.get(id).button.focus();
  }

  select(id, wanted) {
    if (wanted) this.selected.add(id);
    else this.selected.delete(id);
    this.count();
    this.onSelect();
  }

  selectAll() {
    const all = this.selected.size < this.tiles.size;
    this.selected.clear();
    for (const [id, tile] of this.tiles) {
      tile.box.checked = all;
      if (all) this.selected.add(id);
    }
    this.count();
    this.onSelect();
  }

  count() {
    const { size } = this.tiles;
    $("count").textContent = this.selected.size ? `${this.selected.size} of ${size}` : plural(size, "photo");
    $("select-all").hidden = size < 2;
    $("select-all").textContent = this.selected.size === size && size ? "Select none" : "Select all";
    this.list.classList.toggle("choosing", this.selected.size > 0);
  }
}
