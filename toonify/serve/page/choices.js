// Every style and look of the photo in view, and the controls. Names, limits and help are the server's.

import { drawingUrl, picture } from "./api.js";
import { $, capital, element, sameChoice } from "./words.js";

const LABELS = { lines: "Lines", flat: "Flatness", keep_color: "Photo’s colors", saturation: "Color strength", strength: "Drawing strength", size: "Drawn at", faces: "Look after faces" };
const SIZES = [512, 768, 1024, 1536, 2048];
const STEP = 0.05;

export class Choices {
  constructor(schema, { onChange }) {
    this.schema = schema;
    this.onChange = onChange;
    this.options = new Map(schema.options.map((option) => [option.name, option]));
    this.styles = new Map(schema.styles.map((style) => [style.id, style]));
    this.cells = new Map(); // "style look" -> {input, pic, image}
    this.controls = new Map(); // name -> {read, set}
    this.buildStyles();
    this.buildControls();
    $("reset").addEventListener("click", () => this.change({ style: this.choice.style, options: this.lookOf(this.choice) }));
  }

  get first() {
    return { style: this.schema.styles[0].id, options: {} };
  }

  // A look that is the style's own is not named: so it is one choice with what `convert` does unasked.
  withLook(style, look) {
    return { style: style.id, options: look === style.look ? {} : { look } };
  }

  lookOf(choice) {
    return choice.options.look ? { look: choice.options.look } : {};
  }

  lookName(choice) {
    return choice.options.look ?? this.styles.get(choice.style).look;
  }

  name(choice) {
    return `${capital(choice.style)}, ${this.lookName(choice)}`;
  }

  buildStyles() {
    for (const style of this.schema.styles) {
      const [, tone] = style.title.split(": ");
      const group = element("fieldset", { class: "style" });
      group.append(element("legend", {}, element("b", {}, style.id), tone ? ` – ${tone}` : ""));
      for (const look of this.options.get("look").words) {
        const input = element("input", { type: "radio", name: "style-look", class: "unseen", "aria-label": `${capital(style.id)}, ${look}` });
        const image = element("img", { alt: "", draggable: "false" });
        const pic = element("span", { class: "pic loading" }, image);
        input.addEventListener("change", () => this.change(this.withLook(style, look)));
        group.append(element("label", { class: "option" }, input, pic, element("span", { "aria-hidden": "true" }, look)));
        this.cells.set(`${style.id} ${look}`, { input, pic, image, style, look });
      }
      $("styles").append(group);
    }
  }

  buildControls() {
    for (const [name, option] of this.options) {
      if (name === "look") continue;
      const make = option.pixels ? this.sizeControl : option.limits ? this.rangeControl : this.switchControl;
      make.call(this, name, option);
    }
  }

  rangeControl(name, option) {
    const [low, high] = option.limits;
    const id = `control-${name}`;
    const input = element("input", { type: "range", id, min: low, max: high, step: STEP, "aria-describedby": `${id}-help` });
    const value = element("output", { for: id });
    const box = element(
      "div",
      { class: "control", title: option.help },
      element("label", { for: id }, LABELS[name] ?? capital(name)),
      value,
      input,
      element("span", { class: "unseen", id: `${id}-help` }, option.help),
    );
    $("controls").append(box);
    const show = () => (value.textContent = Number(input.value).toFixed(2));
    input.addEventListener("input", () => {
      show();
      this.override(name, Number(input.value));
    });
    this.controls.set(name, {
      set: (wanted, changed) => {
        input.value = wanted;
        show();
        box.classList.toggle("changed", changed);
      },
    });
  }

  sizeControl(name, option) {
    const id = `control-${name}`;
    const own = this.schema.styles.map((style) => style.looks[style.look][name]).filter(Number.isInteger);
    const [low, high] = option.limits;
    const sizes = [...new Set([...own, ...SIZES])].filter((side) => side >= low && side <= high).sort((a, b) => a - b);
    const select = element("select", { id, "aria-describedby": `${id}-help` });
    const words = { full: "the photo’s own size" };
    select.append(...sizes.map((side) => element("option", { value: side }, `${side} pixels`)));
    select.append(...option.words.map((word) => element("option", { value: word }, words[word] ?? word)));
    const box = element(
      "div",
      { class: "control field", title: option.help },
      element("label", { for: id }, LABELS[name] ?? capital(name)),
      select,
      element("span", { class: "unseen", id: `${id}-help` }, option.help),
    );
    $("controls").append(box);
    select.addEventListener("change", () => {
      this.override(name, option.words.includes(select.value) ? select.value : Number(select.value));
    });
    this.controls.set(name, {
      set: (wanted, changed) => {
        select.value = String(wanted);
        box.classList.toggle("changed", changed);
      },
    });
  }

  switchControl(name, option) {
    const [on, off] = option.words;
    const input = element("input", { type: "checkbox", "aria-describedby": `control-${name}-help` });
    const cannot = name === "faces" && !this.schema.finds_faces;
    input.disabled = cannot;
    const help = cannot ? "The network that finds faces is not on this computer and cannot be fetched now." : option.help;
    const box = element(
      "label",
      { class: "check control-switch", title: help },
      input,
      element("span", {}, LABELS[name] ?? capital(name), cannot ? element("span", { class: "quiet small" }, " (not available now)") : null),
      element("span", { class: "unseen", id: `control-${name}-help` }, help),
    );
    $("controls").append(box);
    input.addEventListener("change", () => this.override(name, input.checked ? on : off));
    this.controls.set(name, { set: (wanted) => (input.checked = !cannot && wanted === on) });
  }

  // One control was moved; where it stands where the style has it by itself, it is not an option at all.
  override(name, value) {
    const options = { ...this.choice.options, [name]: value };
    const own = this.own(this.choice, name);
    if (value === own || Math.abs(value - own) < STEP / 10) delete options[name];
    this.change({ style: this.choice.style, options }, true);
  }

  own(choice, name) {
    const value = this.styles.get(choice.style).looks[this.lookName(choice)][name];
    return typeof value === "number" && this.options.get(name).limits && !this.options.get(name).pixels
      ? Math.round(value / STEP) * STEP
      : value;
  }

  change(choice, byControl = false) {
    this.set(choice);
    this.onChange(choice, byControl);
  }

  set(choice) {
    this.choice = choice;
    const cell = this.cells.get(`${choice.style} ${this.lookName(choice)}`);
    if (cell) cell.input.checked = true;
    for (const [name, control] of this.controls) {
      const changed = name in choice.options;
      control.set(changed ? choice.options[name] : this.own(choice, name), changed);
    }
    $("reset").disabled = sameChoice(choice, { style: choice.style, options: this.lookOf(choice) });
  }

  // Live drawings of one photo: the styles in their own look first, then all others.
  draw(photo, side) {
    this.drawing?.abort();
    this.drawing = new AbortController();
    const { signal } = this.drawing;
    const cells = [...this.cells.values()];
    const inOrder = [...cells.filter((cell) => cell.look === cell.style.look), ...cells.filter((cell) => cell.look !== cell.style.look)];
    for (const cell of inOrder) {
      cell.pic.classList.add("loading");
      cell.pic.querySelector(".failed")?.remove();
      cell.image.removeAttribute("src");
      const url = drawingUrl(photo.id, this.withLook(cell.style, cell.look), side);
      picture(url, { rank: cell.look === cell.style.look ? 0.5 : 1, signal })
        .then((shown) => {
          if (signal.aborted) return;
          cell.image.src = shown;
          cell.pic.classList.remove("loading");
        })
        .catch((error) => {
          if (error.name === "AbortError" || signal.aborted) return;
          cell.pic.classList.remove("loading");
          cell.pic.append(element("span", { class: "failed", title: error.message }, "not drawn"));
        });
    }
  }

  clear() {
    this.drawing?.abort();
    for (const cell of this.cells.values()) {
      cell.image.removeAttribute("src");
      cell.pic.classList.remove("loading");
    }
  }
}
