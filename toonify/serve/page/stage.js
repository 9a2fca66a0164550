// The picture: photo and drawing under a slider or beside each other, as a whole or pixel by pixel.

import { $ } from "./words.js";

export class Stage {
  constructor({ onZoom }) {
    this.onZoom = onZoom;
    this.at = 0.5; // where the slider stands, of the window's width
    this.size = { width: 4, height: 3 };
    this.zoom = "fit";
    this.mode = "slide";
    this.viewer = $("viewer");
    this.view = $("view");
    this.frame = $("frame");
    new ResizeObserver(() => this.lay()).observe(this.viewer);
    this.view.addEventListener("scroll", () => this.cut());
    this.slider();
    this.drag();
    $("fit").addEventListener("click", () => this.setZoom("fit"));
    $("actual").addEventListener("click", () => this.setZoom("actual"));
    $("slide").addEventListener("click", () => this.setMode("slide"));
    $("beside").addEventListener("click", () => this.setMode("beside"));
    this.setMode("slide");
  }

  // Pictures: blob addresses. The size is the photo's own, upright, in pixels.
  show({ before, after, beforeName, afterName, photoName }) {
    if (before) $("before").src = before;
    else $("before").removeAttribute("src");
    if (after) $("after").src = after;
    else $("after").removeAttribute("src");
    $("before").alt = `${beforeName}: ${photoName}`;
    $("after").alt = after ? `Drawing in ${afterName}: ${photoName}` : "";
    $("tag-before").textContent = beforeName;
    $("tag-after").textContent = afterName;
    $("tag-after").hidden = !after;
    this.valueText(afterName);
  }

  setSize(width, height) {
    this.size = { width, height };
    this.lay();
  }

  setZoom(zoom) {
    this.zoom = zoom;
    this.viewer.classList.toggle("actual", zoom === "actual");
    $("fit").setAttribute("aria-pressed", String(zoom === "fit"));
    $("actual").setAttribute("aria-pressed", String(zoom === "actual"));
    this.lay();
    if (zoom === "actual") {
      this.view.scrollLeft = (this.view.scrollWidth - this.view.clientWidth) / 2;
      this.view.scrollTop = (this.view.scrollHeight - this.view.clientHeight) / 2;
    }
    this.onZoom(zoom);
  }

  setMode(mode) {
    this.mode = mode;
    this.viewer.classList.toggle("sided", mode === "beside");
    this.viewer.classList.toggle("wiping", mode === "slide");
    $("slide").setAttribute("aria-pressed", String(mode === "slide"));
    $("beside").setAttribute("aria-pressed", String(mode === "beside"));
    this.lay();
  }

  lay() {
    const { width, height } = this.size;
    const pictures = this.mode === "beside" ? 2 : 1;
    const gap = pictures === 2 ? 8 : 0;
    let scale = 1 / window.devicePixelRatio; // pixel by pixel
    if (this.zoom === "fit") {
      const room = this.viewer.getBoundingClientRect();
      scale = Math.min((room.width - gap) / (pictures * width), room.height / height);
    }
    if (!(scale > 0)) return;
    this.frame.style.width = `${Math.round(pictures * width * scale) + gap}px`;
    this.frame.style.height = `${Math.round(height * scale)}px`;
    this.cut();
  }

  cut() {
    const room = this.viewer.getBoundingClientRect();
    const frame = this.frame.getBoundingClientRect();
    const left = Math.max(room.left, frame.left);
    const right = Math.min(room.right, frame.right);
    const x = left + this.at * (right - left);
    this.viewer.style.setProperty("--at", `${x - room.left}px`);
    this.viewer.style.setProperty("--cut", `${x - frame.left}px`);
    this.viewer.style.setProperty("--high", `${Math.max(0, frame.top - room.top)}px`);
    this.viewer.style.setProperty("--low", `${Math.max(0, room.bottom - frame.bottom)}px`);
    $("wipe").setAttribute("aria-valuenow", String(Math.round(100 * this.at)));
  }

  move(at) {
    this.at = Math.max(0, Math.min(1, at));
    this.cut();
    this.valueText();
  }

  valueText() {
    const photo = Math.round(100 * this.at);
    const before = $("tag-before").textContent.toLowerCase();
    $("wipe").setAttribute("aria-valuetext", `${photo} % ${before}, ${100 - photo} % drawing`);
  }

  slider() {
    const wipe = $("wipe");
    const follow = (event) => {
      const room = this.viewer.getBoundingClientRect();
      const frame = this.frame.getBoundingClientRect();
      const left = Math.max(room.left, frame.left);
      const right = Math.min(room.right, frame.right);
      this.move((event.clientX - left) / (right - left));
    };
    const begin = (event, target) => {
      if (event.button !== 0) return;
      target.setPointerCapture(event.pointerId);
      const move = (moved) => follow(moved);
      const end = () => {
        target.removeEventListener("pointermove", move);
        target.removeEventListener("pointerup", end);
        target.removeEventListener("pointercancel", end);
      };
      target.addEventListener("pointermove", move);
      target.addEventListener("pointerup", end);
      target.addEventListener("pointercancel", end);
    };
    wipe.addEventListener("pointerdown", (event) => begin(event, wipe));
    this.view.addEventListener("pointerdown", (event) => {
      if (this.zoom !== "fit" || this.mode !== "slide") return;
      begin(event, this.view);
      follow(event);
    });
    wipe.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.1 : 0.02;
      const to = {
        ArrowLeft: this.at - step,
        ArrowDown: this.at - step,
        ArrowRight: this.at + step,
        ArrowUp: this.at + step,
        PageDown: this.at - 0.1,
        PageUp: this.at + 0.1,
        Home: 0,
        End: 1,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.move(to);
    });
  }

  drag() {
    this.view.addEventListener("pointerdown", (event) => {
      if (this.zoom !== "actual" || event.pointerType !== "mouse" || event.button !== 0) return;
      this.view.setPointerCapture(event.pointerId);
      this.view.classList.add("held");
      let { clientX: x, clientY: y } = event;
      const move = (moved) => {
        this.view.scrollBy(x - moved.clientX, y - moved.clientY);
        x = moved.clientX;
        y = moved.clientY;
      };
      const end = () => {
        this.view.classList.remove("held");
        this.view.removeEventListener("pointermove", move);
      };
      this.view.addEventListener("pointermove", move);
      this.view.addEventListener("pointerup", end, { once: true });
      this.view.addEventListener("pointercancel", end, { once: true });
    });
  }
}
