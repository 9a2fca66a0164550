// The page: photos come in, one is in view, a choice is made for it, pictures are taken.

import { Failure, drawingUrl, forget, getJson, photoUrl, picture, query, remove, upload } from "./api.js";
import { Choices } from "./choices.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";
import { Tray, schema as askSchema } from "./tray.js";
import { $, capital, notice, onceIn, plural, sameChoice, say } from "./words.js";

const SIDE = 768; // of previews: what the styles are drawn at
const SHARP = 1600; // of the picture in view, once all else has been drawn
const UPLOADS = 2; // at once

let schema;
let choices;
let stage;
let strip;
let tray;
const photos = new Map(); // id -> record
const chosen = new Map(); // id -> choice
let latest; // the choice that photos have for which none was made
let current = null;
let held = null; // a drawing that others are compared with: {url, name}
let looking = new AbortController();
let known = 0; // how often the photos have changed, as far as this page knows
const folderStates = new Map(); // photo -> "done" or "other", in its choice

const choiceOf = (id) => chosen.get(id) ?? latest;
const usable = () => strip.ids.filter((id) => photos.has(id) && !photos.get(id).problem);

async function start() {
  try {
    schema = await askSchema();
  } catch (error) {
    notice(error.message);
    return;
  }
  choices = new Choices(schema, { onChange: choose });
  latest = choices.first;
  choices.set(latest);
  stage = new Stage({ onZoom: () => show() });
  strip = new Strip({ onShow: look, onSelect: renderTake });
  $("privacy").textContent = schema.is_loopback
    ? "Your photos stay on this computer. Nothing is sent anywhere."
    : "Your photos go to the computer that runs toonify, and nowhere else. Other visitors do not see them.";
  $("where").textContent = schema.folder ?? (schema.has_folder ? "To see the folder, open the address that the terminal shows." : "");
  $("format").append(...schema.formats.map((name) => new Option(name === "same" ? "As the photo" : name.toUpperCase(), name)));
  $("files").accept = `image/*,${schema.suffixes.join()}`;
  wire();
  await refresh();
  tray = new Tray({ onTakes: marks, onPhotos: (changes) => changes !== known && refresh() });
}

// Photos

async function refresh() {
  if (running || uploads.length) return; // what comes in is told of by its own request
  let listed;
  try {
    const answer = await getJson("api/photos");
    listed = answer.photos;
    known = answer.changes;
  } catch (error) {
    notice(error.message);
    return;
  }
  const ids = new Set(listed.map((photo) => photo.id));
  for (const id of [...photos.keys()]) if (!ids.has(id)) drop(id);
  for (const photo of listed) {
    if (photos.has(photo.id)) continue;
    photos.set(photo.id, photo);
    strip.add(photo);
  }
  settle();
  await lookAtFolder();
}

function settle() {
  document.body.dataset.state = strip.tiles.size ? "full" : "empty";
  $("empty").hidden = strip.tiles.size > 0;
  $("bar").hidden = $("side").hidden = !strip.tiles.size;
  if (!strip.tiles.size) {
    $("viewer").hidden = $("trouble").hidden = true;
    delete document.body.dataset.trouble;
    current = null;
  } else if (!current || !photos.has(current)) {
    const first = usable()[0] ?? strip.ids.find((id) => photos.has(id));
    if (first) look(first);
  }
  renderTake();
}

function drop(id) {
  photos.delete(id);
  chosen.delete(id);
  strip.remove(id);
  forget(id);
}

let uploads = [];
let running = 0;
let number = 0;

function add(files) {
  const taken = [...files].filter(({ name }) => !name.split("/").pop().startsWith("."));
  if (!taken.length) {
    notice("There are no photos in this.");
    return;
  }
  let other = 0;
  for (const { file, name } of taken) {
    const suffix = name.includes(".") ? `.${name.split(".").pop().toLowerCase()}` : "";
    if (name.includes("/") && !schema.suffixes.includes(suffix)) {
      other += 1; // folders hold all kinds of things
      continue;
    }
    if (file.size > schema.limits.bytes) {
      notice(`${name.split("/").pop()} has more than ${schema.limits.bytes >> 20} MB, which no photo needs.`);
      continue;
    }
    const id = `coming-${(number += 1)}`;
    strip.add({ id, name: name.split("/").pop(), problem: null });
    uploads.push({ id, file, name });
  }
  if (other) notice(`${plural(other, "file")} in the folder ${other === 1 ? "is" : "are"} no photo, and stayed where ${other === 1 ? "it is" : "they are"}.`);
  if (!strip.tiles.size) return;
  document.body.dataset.state = "full";
  $("empty").hidden = true;
  say(`${plural(taken.length - other, "photo")} added`);
  send();
}

async function send() {
  // The first comes alone, so that it is the first that is seen.
  while (running < (photos.size ? UPLOADS : 1) && uploads.length) {
    const { id, file, name } = uploads.shift();
    running += 1;
    upload(file, name)
      .then((photo) => {
        if (photos.has(photo.id)) strip.remove(id);
        else {
          photos.set(photo.id, photo);
          strip.replace(id, photo);
        }
        if (photo.problem) say(`${photo.name} cannot be drawn: ${photo.problem}`);
      })
      .catch((error) => {
        strip.remove(id);
        if (error instanceof Failure) notice(`${name.split("/").pop()}: ${error.message}`);
      })
      .finally(() => {
        running -= 1;
        settle();
        send();
      });
  }
}

// The photo in view

function look(id) {
  if (!photos.has(id)) return;
  current = id;
  strip.show(id);
  const photo = photos.get(id);
  held = null;
  choices.set(choiceOf(id));
  $("name").textContent = photo.name;
  facts(photo);
  stage.zoom = "fit";
  $("before").removeAttribute("src");
  $("after").removeAttribute("src");
  if (photo.problem) {
    choices.clear();
    renderTake();
    trouble(`${photo.name.split("/").pop()} cannot be drawn`, photo.problem, false);
    return;
  }
  $("trouble").hidden = true;
  delete document.body.dataset.trouble;
  $("viewer").hidden = false;
  stage.setZoom("fit");
  choices.draw(photo, SIDE);
  renderTake();
}

function facts(photo) {
  const size = photo.width ? `${photo.width} × ${photo.height}` : "";
  const megabytes = photo.bytes ? `${(photo.bytes / 1e6).toFixed(1)} MB` : "";
  $("facts").textContent = [size, megabytes].filter(Boolean).join(" · ");
}

function trouble(title, reason, canRetry) {
  $("viewer").hidden = true;
  $("trouble").hidden = false;
  document.body.dataset.trouble = "yes";
  $("trouble-title").textContent = title;
  $("trouble-reason").textContent = `${capital(reason)}.`;
  $("trouble-retry").hidden = !canRetry;
  $("trouble-remove").hidden = photos.get(current)?.folder ?? true;
}

// Photo and drawing as they are to be seen now; what is there already stays until they have come.
async function show() {
  if (!current || photos.get(current)?.problem) return;
  looking.abort();
  looking = new AbortController();
  const { signal } = looking;
  const photo = photos.get(current);
  const choice = choiceOf(current);
  const name = choices.name(choice);
  const names = { afterName: name, photoName: photo.name, beforeName: held?.name ?? "Photo" };
  const actual = stage.zoom === "actual";
  $("busy").hidden = false;
  $("viewer").setAttribute("aria-busy", "true");
  const get = async (side, rank) => {
    const before = held ? drawingUrl(photo.id, held.choice, side) : photoUrl(photo.id, side);
    const shown = await Promise.all([
      picture(before, { rank, signal }),
      picture(drawingUrl(photo.id, choice, side), { rank, signal }),
    ]);
    if (signal.aborted) return;
    await fitTo(shown[0], photo, signal);
    stage.show({ before: shown[0], after: shown[1], ...names });
  };
  try {
    if (!held) {
      const first = await picture(photoUrl(photo.id, SIDE), { rank: 0, signal });
      if (signal.aborted) return;
      if (!$("before").hasAttribute("src")) {
        await fitTo(first, photo, signal);
        stage.show({ before: first, after: null, ...names });
      }
    }
    await get(SIDE, 0);
    if (actual) await get("full", 0);
    else if (stage.frame.clientWidth * window.devicePixelRatio > SIDE * 1.15) {
      $("busy").hidden = true;
      await get(SHARP, 1.5);
    }
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    if (actual) notice(error.message);
    else trouble(`${photo.name.split("/").pop()} could not be drawn`, error.message, true);
  }
  if (!signal.aborted) {
    $("busy").hidden = true;
    $("viewer").setAttribute("aria-busy", "false");
  }
}

// The photo stands upright in the preview, whatever the file's head says of width and height.
async function fitTo(shown, photo, signal) {
  const image = new Image();
  image.src = shown;
  await image.decode();
  if (signal.aborted) return;
  const turned = image.naturalWidth > image.naturalHeight !== photo.width > photo.height;
  const [width, height] = turned ? [photo.height, photo.width] : [photo.width, photo.height];
  stage.setSize(width, height);
  facts({ ...photo, width, height });
}

const showSoon = onceIn(40, show);

function choose(choice, byControl) {
  latest = choice;
  if (current) chosen.set(current, choice);
  renderTake();
  if (byControl) showSoon();
  else show();
  marks();
  lookAtFolderSoon();
}

function hold() {
  const choice = choiceOf(current);
  held = held ? null : { choice, name: choices.name(choice) };
  renderTake();
  show();
}

// Saving

function renderTake() {
  if (!strip) return;
  const all = usable();
  const some = all.filter((id) => strip.selected.has(id));
  const wanted = some.length ? some : all;
  const photo = photos.get(current);
  $("save").disabled = !photo || Boolean(photo.problem);
  $("save-all").hidden = wanted.length < 2;
  $("save-all").textContent = some.length ? `Save the ${some.length} selected` : `Save all ${wanted.length}`;
  const ofFolder = wanted.filter((id) => photos.get(id).folder);
  $("save-folder").hidden = !schema.may_write || !ofFolder.length;
  if (ofFolder.length) {
    const outputs = new Set(ofFolder.map((id) => schema.styles.find((style) => style.id === choiceOf(id).style).output));
    $("save-folder").textContent = `Write ${ofFolder.length === 1 ? "it" : ofFolder.length} to ${[...outputs].join(", ")}`;
  }
  const others = current ? wanted.filter((id) => id !== current && !sameChoice(choiceOf(id), choiceOf(current))) : [];
  $("use-for-all").hidden = !others.length;
  $("use-for-all").textContent = some.length ? `Use this for the ${some.length} selected` : `Use this for all ${wanted.length}`;
  $("hold").setAttribute("aria-pressed", String(Boolean(held)));
  $("hold").textContent = held ? "Compare with the photo" : "Compare with this drawing";
}

function wanted() {
  const all = usable();
  const some = all.filter((id) => strip.selected.has(id));
  return some.length ? some : all;
}

function take(ids, place) {
  const groups = [];
  for (const id of ids) {
    const choice = choiceOf(id);
    const group = groups.find((each) => sameChoice(each.choice, choice));
    if (group) group.photos.push(id);
    else groups.push({ choice, photos: [id] });
  }
  tray.take(groups, { format: $("format").value, stripMetadata: $("strip-metadata").checked, place });
}

// What is drawn of the folder, in the choice that each photo has.

async function lookAtFolder() {
  if (!schema.folder) return;
  const groups = new Map();
  for (const photo of photos.values()) {
    if (!photo.folder) continue;
    const choice = choiceOf(photo.id);
    groups.set(query({ style: choice.style, ...choice.options }), [...(groups.get(query({ style: choice.style, ...choice.options })) ?? []), photo.id]);
  }
  for (const [asked, ids] of groups) {
    try {
      const states = await getJson(`api/folder?${asked}`);
      ids.forEach((id) => folderStates.set(id, states[id]));
    } catch (error) {
      notice(error.message);
      return;
    }
  }
  marks();
}

const lookAtFolderSoon = onceIn(400, lookAtFolder);

function marks(changed = []) {
  if (changed.some((record) => record.in_folder && record.state === "done")) lookAtFolderSoon();
  const takes = new Map();
  for (const record of tray?.takes.values() ?? []) takes.set(record.photo, record);
  for (const id of strip.ids) {
    const record = takes.get(id);
    const choice = choiceOf(id);
    const busy = { waiting: ["waiting", ""], drawing: ["drawing", ""], failed: ["not drawn", "bad"] }[record?.state];
    if (photos.get(id)?.problem) strip.mark(id, { text: "cannot be read", kind: "bad" });
    else if (busy) strip.mark(id, { text: busy[0], kind: busy[1] });
    else if (folderStates.get(id) === "done") strip.mark(id, { text: "drawn", kind: "good", drawn: choice.style });
    else if (record?.state === "done" && !record.in_folder) strip.mark(id, { text: "saved", kind: "good" });
    else if (folderStates.get(id) === "other") strip.mark(id, { text: "drawn otherwise", kind: "" });
    else strip.mark(id, chosen.has(id) ? { text: choice.style } : null);
  }
}

// Ways in: buttons, drop, paste

function wire() {
  const pick = () => $("files").click();
  const pickFolder = () => $("folder-files").click();
  $("add").addEventListener("click", pick);
  $("pick").addEventListener("click", pick);
  $("add-folder").addEventListener("click", pickFolder);
  $("pick-folder").addEventListener("click", pickFolder);
  for (const input of [$("files"), $("folder-files")]) {
    input.addEventListener("change", () => {
      add([...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
      input.value = "";
    });
  }
  $("hold").addEventListener("click", hold);
  $("save").addEventListener("click", () => take([current], "download"));
  $("save-all").addEventListener("click", () => take(wanted(), "download"));
  $("save-folder").addEventListener("click", () => take(wanted().filter((id) => photos.get(id).folder), "folder"));
  $("use-for-all").addEventListener("click", () => {
    const choice = choiceOf(current);
    const ids = wanted();
    ids.forEach((id) => chosen.set(id, choice));
    say(`${choices.name(choice)} for ${plural(ids.length, "photo")}`);
    renderTake();
    marks();
    lookAtFolderSoon();
  });
  $("trouble-retry").addEventListener("click", () => look(current));
  $("trouble-remove").addEventListener("click", async () => {
    try {
      await remove(`api/photos/${current}`);
      drop(current);
      settle();
    } catch (error) {
      notice(error.message);
    }
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) add(files.map((file) => ({ file, name: file.name || "pasted.png" })));
  });
  let inside = 0;
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    inside += 1;
    $("drop").hidden = false;
  });
  document.addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    $("drop").hidden = inside === 0;
  });
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    inside = 0;
    $("drop").hidden = true;
    add(await dropped(event.dataTransfer));
  });
}

// All files of what was dropped, those in folders under their path in it.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  const found = [];
  const visit = async (entry, path) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ file, name: path + entry.name });
      return;
    }
    const reader = entry.createReader();
    while (true) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      for (const each of some) await visit(each, `${path}${entry.name}/`);
    }
  };
  for (const entry of entries) {
    try {
      await visit(entry, "");
    } catch (error) {
      notice(`${entry.name} cannot be read: ${error.message}`);
    }
  }
  return found.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

start();
