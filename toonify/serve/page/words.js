// Small things that several parts use.

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

export function say(line) {
  $("said").textContent = line;
}

let hiding;
export function notice(line) {
  const box = $("notice");
  box.textContent = line;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (box.hidden = true), 7000);
}

export function onceIn(milliseconds, work) {
  let waiting;
  return (...given) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => work(...given), milliseconds);
  };
}

export const sameChoice = (a, b) => JSON.stringify(ordered(a)) === JSON.stringify(ordered(b));
const ordered = (choice) => [choice.style, Object.entries(choice.options).sort()];
