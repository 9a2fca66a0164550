"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const plan = JSON.parse(byId("plan").textContent);
  const collects = document.documentElement.dataset.collects === "yes";
  const store = `toonify-study-${plan.survey}`;
  const length = plan.forms[0].length;
  const DAY = 86400000;
  const screens = ["intro", "question", "end"];

  // The state: where the visitor is and what was answered. It is kept after every change, so that a reload loses nothing.
  // What has not changed is not written: a page that a busy browser has opened with an older state would put that in the
  // place of the newer one, of which it is told a moment later.
  let keeps = true;
  let kept = ""; // the state as it was last read or written, or begun
  let state = load() || begin();

  function begin() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const fresh = {
      token: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
      at: 0, // the showing on screen; `length` is the end
      choices: Array(length).fill(null), // numbers of pictures
      times: Array(length).fill(0), // milliseconds on screen
      finished: "", // how the answers left the page; from then on they stand
    };
    if (kept === "") kept = JSON.stringify(fresh);
    return fresh;
  }

  function load() {
    let text = null;
    try {
      text = localStorage.getItem(store);
      localStorage.setItem(`${store}-test`, "1");
      localStorage.removeItem(`${store}-test`);
    } catch {
      keeps = false;
    }
    const found = parsed(text);
    const whole = (value, limit) => Number.isInteger(value) && value >= 0 && value <= limit;
    const sound = found !== null && typeof found === "object" && /^[0-9a-f]{32}$/.test(found.token) &&
      whole(found.at, length) && typeof found.finished === "string" &&
      Array.isArray(found.choices) && found.choices.length === length &&
      found.choices.every((choice) => choice === null || whole(choice, plan.candidates - 1)) &&
      Array.isArray(found.times) && found.times.length === length && found.times.every((time) => whole(time, DAY));
    if (sound) kept = text;
    return sound ? found : null;
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return null; // spoilt
    }
  }

  function keep() {
    const text = JSON.stringify(state);
    if (!keeps || text === kept) return;
    try {
      localStorage.setItem(store, text);
      kept = text;
    } catch {
      keeps = false;
      byId("forgetful").hidden = false;
    }
  }

  const formNumber = () => Number(BigInt(`0x${state.token}`) % BigInt(plan.forms.length));
  const form = () => plan.forms[formNumber()];
  const answered = () => state.choices.filter((choice) => choice !== null).length;

  // The file of answers: compact JSON with a CRC-32 of itself, as toonify/study/answers.py reads it.
  function answersText() {
    const answers = form().map(([question], place) => [question, state.choices[place], state.times[place]]);
    const fields = { format: 1, survey: plan.survey, token: state.token, form: formNumber(), answers };
    return `${JSON.stringify({ ...fields, checksum: crc32(JSON.stringify(fields)) })}\n`;
  }

  function crc32(text) {
    let rest = ~0;
    for (let i = 0; i < text.length; i++) {
      rest ^= text.charCodeAt(i);
      for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (0xedb88320 & -(rest & 1));
    }
    return (~rest >>> 0).toString(16).padStart(8, "0");
  }

  const fileName = () => `answers-${plan.survey.slice(0, 8)}-${state.token.slice(0, 8)}.json`;

  // Time counts while a question is on screen and the page is in sight.
  let since = null;
  function stopClock() {
    if (since === null) return;
    const passed = Math.round(performance.now() - since);
    state.times[state.at] = Math.min(state.times[state.at] + Math.max(passed, 0), DAY);
    since = null;
  }
  function startClock() {
    const counts = !byId("question").hidden && !document.hidden && !state.finished;
    since = counts ? performance.now() : null;
  }

  // Screens
  function show(screen) {
    stopClock();
    keep();
    for (const id of screens) byId(id).hidden = id !== screen;
    window.scrollTo(0, 0);
    if (screen === "intro") showIntro();
    if (screen === "question") showQuestion();
    if (screen === "end") showEnd();
  }

  const welcome = () => show(state.finished ? "end" : "intro");
  const resume = () => show(state.at < length ? "question" : "end");

  function showIntro() {
    const minutes = Math.ceil((length * 10) / 60);
    byId("count").textContent = length;
    byId("minutes").textContent = minutes === 1 ? "a minute" : `${minutes} minutes`;
    byId("lastkey").textContent = plan.candidates;
    byId("privacy").textContent = collects
      ? "Your answers go to the computer that shows you this page, when you press Send at the end, and nowhere else. " +
        "They hold what you chose and how long you looked, and nothing about you."
      : "Nothing is sent anywhere. Your answers stay in this browser until you download them at the end. " +
        "They hold what you chose and how long you looked, and nothing about you.";
    byId("forgetful").hidden = keeps;
    const count = answered();
    byId("again").hidden = byId("restart").hidden = count === 0;
    byId("again").textContent = `Welcome back. ${count} of ${length} are answered; you can go on where you stopped.`;
    byId("start").textContent = count === 0 ? "Start" : "Go on";
    byId("start").focus({ preventScroll: true });
  }

  let turn = 0; // counts questions shown, so that pictures which come late do not land in the wrong one
  function showQuestion() {
    const [question, order] = form()[state.at];
    const mine = ++turn;
    byId("number").textContent = `${state.at + 1} of ${length}`;
    byId("done").style.width = `${(100 * answered()) / length}%`;
    byId("bar").setAttribute("aria-valuemax", length);
    byId("bar").setAttribute("aria-valuenow", answered());
    const images = [byId("reference").firstElementChild];
    images[0].src = source(`q${question}r`);
    order.forEach((picture, position) => {
      const image = buttons[position].firstElementChild;
      image.src = source(`q${question}p${picture}`);
      images.push(image);
    });
    byId("live").textContent = "";
    mark();
    layOut();
    byId("prompt").focus({ preventScroll: true });
    byId("stage").scrollTop = 0;
    // All pictures appear at once: none has the eye first.
    byId("stage").style.visibility = "hidden";
    Promise.allSettled(images.map((image) => image.decode())).then(() => {
      if (mine !== turn) return;
      layOut();
      byId("stage").style.visibility = "";
      startClock();
    });
  }

  const source = (id) => `data:image/jpeg;base64,${byId(id).textContent}`;

  const buttons = Array.from({ length: plan.candidates }, (_, position) => {
    const button = document.createElement("button");
    button.className = "picture";
    const image = document.createElement("img");
    image.alt = `Picture ${position + 1}`;
    image.draggable = false;
    const badge = document.createElement("span");
    badge.className = "badge";
    badge.setAttribute("aria-hidden", "true");
    badge.textContent = position + 1;
    button.append(image, badge);
    // A second click on what is chosen looks closer.
    button.addEventListener("click", () => (chosenPosition() === position ? enlarge(position) : choose(position)));
    byId("candidates").append(button);
    return button;
  });

  const chosenPosition = () => form()[state.at][1].indexOf(state.choices[state.at]);

  function choose(position) {
    state.choices[state.at] = form()[state.at][1][position];
    stopClock();
    keep();
    startClock();
    mark();
    byId("live").textContent = `Picture ${position + 1} chosen`;
  }

  function mark() {
    const chosen = chosenPosition();
    buttons.forEach((button, position) => button.setAttribute("aria-pressed", position === chosen));
    byId("next").setAttribute("aria-disabled", chosen < 0);
  }

  function next() {
    if (state.at >= length || chosenPosition() < 0) return;
    stopClock();
    state.at += 1;
    resume();
  }

  function back() {
    stopClock();
    if (state.at === 0) {
      show("intro");
      return;
    }
    state.at -= 1;
    resume();
  }

  // All candidates get one size, whatever the screen. Of all ways to set the reference above or beside them, in any
  // number of columns, that one is taken in which the smaller of candidate and reference has the largest area while all
  // are in sight together. Where that would be tiny, the page scrolls.
  function layOut() {
    if (byId("question").hidden) return;
    const [width, height] = plan.shapes[form()[state.at][0]];
    const ratio = width / height;
    const image = byId("reference").firstElementChild;
    const referenceRatio = image.naturalWidth / image.naturalHeight || ratio;
    const gap = 10;
    const stage = byId("stage");
    const [w, h] = [stage.clientWidth - 16, stage.clientHeight - 12];
    const least = Math.min(ratio < 1 ? 90 : 130, w);
    const columnsOfLeast = Math.floor((w + gap) / (least + gap));
    let best = { score: 0, columns: Math.min(columnsOfLeast, plan.candidates), side: least, beside: false };
    for (const beside of [false, true]) {
      for (let columns = 1; columns <= plan.candidates; columns++) {
        const rows = Math.ceil(plan.candidates / columns);
        const most = Math.min((w - (columns - 1) * gap) / columns, ((h - (rows - 1) * gap) / rows) * ratio);
        for (let side = most; side >= least; side -= most / 20) {
          const restW = beside ? w - columns * (side + gap) : w;
          const restH = beside ? h : h - rows * (side / ratio + gap);
          if (restW <= 0 || restH <= 0) continue;
          const referenceArea = fitArea(restW, restH, referenceRatio);
          const score = Math.min(side ** 2 / ratio, referenceArea);
          // Above is what people expect, so beside must be clearly larger.
          if (score > best.score * (beside ? 1.2 : 1.01)) best = { score, columns, side, beside, referenceArea };
        }
      }
    }
    const { columns, beside } = best;
    const pictureWidth = Math.floor(best.side);
    const pictureHeight = Math.round(pictureWidth / ratio);
    byId("candidates").style.width = `${columns * pictureWidth + (columns - 1) * gap}px`;
    for (const button of buttons) {
      button.style.width = `${pictureWidth}px`;
      button.style.height = `${pictureHeight}px`;
    }
    // The reference takes what is left, but outshines nobody: twice a candidate's area at most.
    const area = best.side ** 2 / ratio;
    const referenceArea = Math.min(best.score ? best.referenceArea : fitArea(w, h / 2, referenceRatio), 2 * area);
    const referenceWidth = Math.sqrt(referenceArea * referenceRatio);
    byId("reference").style.width = `${Math.floor(referenceWidth)}px`;
    byId("reference").style.height = `${Math.floor(referenceWidth / referenceRatio)}px`;
    stage.classList.toggle("beside", beside);
  }

  // The area of the largest picture of that ratio in w x h
  const fitArea = (w, h, ratio) => Math.min(w, h * ratio) ** 2 / ratio;

  // The viewer: the reference and one picture as large as they will go
  let viewed = 0;
  const tabs = buttons.map((_, position) => {
    const tab = document.createElement("button");
    tab.textContent = position + 1;
    tab.setAttribute("aria-label", `Look at picture ${position + 1}`);
    tab.addEventListener("click", () => look(position));
    byId("tabs").append(tab);
    return tab;
  });

  function enlarge(position) {
    byId("large-reference").src = byId("reference").firstElementChild.src;
    look(position);
    if (!byId("viewer").open) byId("viewer").showModal();
    byId("pick").focus();
  }

  function look(position) {
    viewed = position;
    byId("large-picture").src = buttons[position].firstElementChild.src;
    byId("large-picture").alt = `Picture ${position + 1}`;
    byId("caption").textContent = `Picture ${position + 1}${chosenPosition() === position ? ", your choice" : ""}`;
    byId("pick").textContent = `Choose ${position + 1}`;
    tabs.forEach((tab, other) => tab.setAttribute("aria-pressed", other === position));
  }

  function pick() {
    choose(viewed);
    byId("viewer").close();
    byId("prompt").focus({ preventScroll: true });
  }

  // The end
  function showEnd(trouble = "") {
    const missing = length - answered();
    const text = missing ? "" : answersText();
    const said = {
      "": collects
        ? `All ${length} are answered. Press Send, and you are done.`
        : `All ${length} are answered. Download the file and send it to whoever asked you to take part.`,
      downloaded: `Saved as ${fileName()}. Please send this file to whoever asked you to take part.`,
      sent: "Your answers have arrived. You can close this page.",
    };
    byId("thanks").textContent = state.finished ? "Thank you" : "Almost done"; // or some would close the page here
    byId("outcome").textContent = missing
      ? `${missing} of ${length} are not answered yet.`
      : trouble || said[state.finished] || said.downloaded;
    byId("send").hidden = !collects || missing > 0 || state.finished === "sent";
    byId("download").hidden = missing > 0;
    byId("download").className = collects || state.finished ? "" : "primary";
    byId("download").textContent =
      { "": "Download answers", downloaded: "Download again", sent: "Download a copy" }[state.finished] || "Download";
    byId("review").hidden = Boolean(state.finished);
    byId("copy").hidden = missing > 0 || state.finished === "sent";
    byId("text").value = text;
    byId("another").hidden = !state.finished;
    if (!trouble) byId("thanks").focus({ preventScroll: true });
  }

  function finish(how) {
    if (state.finished !== "sent") state.finished = how; // the answers stand from here: two files of one visitor agree
    keep();
    showEnd();
  }

  function download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([answersText()], { type: "application/json" }));
    link.download = fileName();
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    finish("downloaded");
  }

  async function send() {
    byId("send").disabled = true;
    let trouble = "";
    try {
      const headers = { "Content-Type": "application/json" };
      const reply = await fetch("answers", { method: "POST", headers, body: answersText() });
      if (!reply.ok) trouble = (await reply.text()).trim() || `the collector says ${reply.status}`;
    } catch {
      trouble = "the collector cannot be reached";
    }
    byId("send").disabled = false;
    if (trouble) showEnd(`The answers could not be sent: ${trouble}. Try again, or download them.`);
    else finish("sent");
  }

  function anew() {
    if (!state.finished && answered() && !window.confirm("Forget the answers that were given on this device so far?")) {
      return;
    }
    state = begin();
    show("intro");
  }

  // Events
  byId("start").addEventListener("click", resume);
  byId("restart").addEventListener("click", anew);
  byId("next").addEventListener("click", next);
  byId("back").addEventListener("click", back);
  byId("reference").addEventListener("click", () => enlarge(Math.max(chosenPosition(), 0)));
  byId("enlarge").addEventListener("click", () => enlarge(Math.max(chosenPosition(), 0)));
  byId("pick").addEventListener("click", pick);
  byId("close").addEventListener("click", () => byId("viewer").close());
  byId("send").addEventListener("click", send);
  byId("download").addEventListener("click", download);
  byId("review").addEventListener("click", () => {
    state.at = Math.max(state.choices.indexOf(null), 0);
    resume();
  });
  byId("another").addEventListener("click", anew);
  byId("text").addEventListener("focus", () => byId("text").select());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (byId("viewer").open) onViewerKey(event);
    else if (!byId("question").hidden) onQuestionKey(event);
  });

  const digit = (event) => (/^[1-9]$/.test(event.key) && event.key <= plan.candidates ? Number(event.key) - 1 : null);

  function onQuestionKey(event) {
    const position = digit(event);
    const focused = document.activeElement;
    let act = null;
    if (position !== null) act = () => choose(position);
    else if (event.key === "ArrowRight") act = next;
    else if (event.key === "ArrowLeft" || event.key === "Backspace") act = back;
    else if (event.key === "e" || event.key === "E") act = () => enlarge(Math.max(chosenPosition(), 0));
    // Enter on a button presses it; elsewhere, and on the picture that is chosen already, it goes on.
    else if (event.key === "Enter" && !pressable(focused)) act = next;
    perform(event, act);
  }

  function onViewerKey(event) {
    const position = digit(event);
    let act = null;
    if (position !== null) act = () => look(position);
    else if (event.key === "ArrowRight") act = () => look((viewed + 1) % plan.candidates);
    else if (event.key === "ArrowLeft") act = () => look((viewed + plan.candidates - 1) % plan.candidates);
    perform(event, act);
  }

  const pressable = (element) => element.tagName === "BUTTON" && element.getAttribute("aria-pressed") !== "true";

  function perform(event, act) {
    if (act === null) return;
    event.preventDefault();
    if (!event.repeat) act(); // a key that is held down does one thing
  }

  window.addEventListener("resize", layOut);
  document.addEventListener("visibilitychange", () => {
    stopClock();
    keep();
    if (!document.hidden) startClock();
  });
  window.addEventListener("pagehide", () => {
    stopClock();
    keep();
  });
  window.addEventListener("pageshow", startClock);
  window.addEventListener("beforeunload", (event) => {
    if (!keeps && answered() && !state.finished) event.preventDefault();
  });
  // The same survey in another tab: the tab that was used last is right.
  window.addEventListener("storage", (event) => {
    if (event.key !== store) return;
    const newer = load();
    if (newer === null) return;
    since = null;
    state = newer;
    welcome();
  });

  welcome();
})();
