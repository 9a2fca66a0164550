"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const [viewer, stage, mix] = ["viewer", "stage", "mix"].map(byId);
  const plates = Array.from(document.querySelectorAll(".plate"), (plate) => {
    const [photo, ...pictures] = plate.querySelectorAll("figure button");
    return { name: plate.dataset.name, photo, pictures };
  });
  let plate = 0; // what is shown: the number of the photo,
  let style = 0; // and that of the style

  const imageOf = (button) => button.firstElementChild;

  // Where the boundary stands, in percent from the left: the photo is left of it, the picture right.
  function place(value) {
    const at = Math.min(Math.max(value, 0), 100);
    mix.value = at;
    viewer.style.setProperty("--at", `${at}%`);
    mix.setAttribute("aria-valuetext", `${Math.round(at)} % photo`);
    byId("left").hidden = at < 14;
    byId("right").hidden = at > 86;
  }

  function show() {
    const { name, photo, pictures } = plates[plate];
    const picture = pictures[style];
    byId("heading").textContent = `${name} in ${picture.dataset.style}`;
    byId("figures").textContent = picture.dataset.figures;
    byId("right").textContent = picture.dataset.style;
    byId("below").src = imageOf(photo).src;
    byId("above").src = imageOf(picture).src;
    byId("below").alt = imageOf(photo).alt;
    byId("above").alt = imageOf(picture).alt;
    stage.style.setProperty("--ratio", ratio(imageOf(photo)));
    byId("styles").querySelectorAll("button").forEach((button, number) => {
      button.setAttribute("aria-pressed", String(number === style));
    });
  }

  const ratio = (image) => Number(image.getAttribute("width")) / Number(image.getAttribute("height"));

  function open(photo, picture) {
    [plate, style] = [photo, picture];
    show();
    place(50);
    viewer.showModal();
    mix.focus({ preventScroll: true });
  }

  function choose(number) {
    if (number < plates[plate].pictures.length) {
      style = number;
      show();
    }
  }

  function turn(step) {
    plate = (plate + step + plates.length) % plates.length;
    show();
  }

  plates.forEach(({ photo, pictures }, number) => {
    photo.addEventListener("click", () => open(number, 0));
    pictures.forEach((picture, which) => picture.addEventListener("click", () => open(number, which)));
  });
  plates[0].pictures.forEach((picture, number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = picture.dataset.style;
    button.addEventListener("click", () => choose(number));
    byId("styles").append(button);
  });
  const count = plates[0].pictures.length;
  byId("last").textContent = count;
  byId("several").hidden = byId("styles").hidden = count === 1;
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("close").addEventListener("click", () => viewer.close());
  mix.addEventListener("input", () => place(Number(mix.value)));

  // On leaving, the page stands where the visitor has got to.
  viewer.addEventListener("close", () => {
    const button = plates[plate].pictures[style];
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "nearest" });
  });

  function follow(event) {
    const box = stage.getBoundingClientRect();
    place((100 * (event.clientX - box.left)) / box.width);
  }
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    stage.setPointerCapture(event.pointerId);
    follow(event);
    event.preventDefault();
    mix.focus({ preventScroll: true });
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });

  viewer.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 10 : 2;
    const moves = { ArrowLeft: -step, ArrowRight: step, Home: -100, End: 100 };
    if (event.key in moves) place(Number(mix.value) + moves[event.key]);
    else if (/^[1-9]$/.test(event.key)) choose(Number(event.key) - 1);
    else if (event.key === "n" || event.key === "N") turn(1);
    else if (event.key === "p" || event.key === "P") turn(-1);
    else return;
    event.preventDefault();
  });
})();
