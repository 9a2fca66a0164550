// Everything that goes over the wire. Pictures are fetched a few at a time, the most urgent first, and kept for a while.

const AT_ONCE = 3; // a browser has six connections to a server: the rest are for what must not wait
const KEPT = 160; // pictures

export class Failure extends Error {}

async function answer(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  let line = "";
  try {
    line = (await response.json()).error;
  } catch {
    line = "something unexpected went wrong";
  }
  throw new Failure(line);
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("toonify cannot be reached; is it still running in the terminal?");
  }
  return response;
}

export const getJson = async (path) => answer(await ask(path));
export const remove = async (path) => answer(await ask(path, { method: "DELETE" }));
export const post = async (path, value = null) =>
  answer(
    await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) }),
  );

export function upload(file, name) {
  return ask(`api/photos?name=${encodeURIComponent(name)}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  }).then(answer);
}

export function query(values) {
  return new URLSearchParams(Object.entries(values).map(([name, value]) => [name, String(value)])).toString();
}

export const photoUrl = (id, side) => `api/photos/${id}/photo?${query({ side })}`;
export const doneUrl = (id, style, side) => `api/photos/${id}/done?${query({ style, side })}`;
export const drawingUrl = (id, choice, side) =>
  `api/photos/${id}/drawing?${query({ style: choice.style, ...choice.options, side })}`;

// Pictures: one request for a picture, however many want it; nobody who wants it any longer, no request.

const kept = new Map(); // url -> blob url, the latest last
const jobs = new Map(); // url -> {rank, controller, waiting: Set, running}
let running = 0;

export function picture(url, { rank = 1, signal } = {}) {
  if (kept.has(url)) {
    const found = kept.get(url);
    kept.delete(url);
    kept.set(url, found);
    return Promise.resolve(found);
  }
  return new Promise((resolve, reject) => {
    let job = jobs.get(url);
    if (!job) {
      job = { url, rank, controller: new AbortController(), waiting: new Set(), running: false };
      jobs.set(url, job);
    }
    job.rank = Math.min(job.rank, rank);
    const one = { resolve, reject };
    job.waiting.add(one);
    signal?.addEventListener(
      "abort",
      () => {
        job.waiting.delete(one);
        reject(new DOMException("no longer wanted", "AbortError"));
        if (!job.waiting.size && jobs.get(url) === job) {
          jobs.delete(url);
          job.controller.abort();
        }
      },
      { once: true },
    );
    pump();
  });
}

function pump() {
  while (true) {
    const next = [...jobs.values()].filter((job) => !job.running).sort((a, b) => a.rank - b.rank)[0];
    // What somebody looks at does not wait for what is only to come.
    if (!next || (running >= AT_ONCE && !(next.rank === 0 && running < AT_ONCE + 1))) return;
    next.running = true;
    running += 1;
    load(next).finally(() => {
      running -= 1;
      pump();
    });
  }
}

async function load(job) {
  let settle;
  try {
    const rank = Math.min(2, Math.ceil(job.rank));
    const response = await ask(`${job.url}&rank=${rank}`, { signal: job.controller.signal });
    if (!response.ok) await answer(response);
    const shown = URL.createObjectURL(await response.blob());
    keep(job.url, shown);
    settle = (one) => one.resolve(shown);
  } catch (error) {
    settle = (one) => one.reject(error);
  }
  if (jobs.get(job.url) === job) jobs.delete(job.url);
  job.waiting.forEach(settle);
}

function keep(url, shown) {
  kept.set(url, shown);
  if (kept.size > KEPT) {
    const [oldest, blob] = kept.entries().next().value;
    kept.delete(oldest);
    setTimeout(() => URL.revokeObjectURL(blob), 30000); // an element may be about to show it
  }
}

export function forget(id) {
  for (const [url, blob] of [...kept]) {
    if (url.includes(`/${id}/`)) {
      kept.delete(url);
      URL.revokeObjectURL(blob);
    }
  }
}
