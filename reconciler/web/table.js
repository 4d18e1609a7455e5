// The rows: built once for each account, then changed in place, so that focus, selection and scroll stay.

import { byId, setAttribute, setText } from "./dom.js";
import { exact, levelOf, number, relative, span } from "./words.js";

const rows = new Map();
const body = byId("rows");
const shape = byId("row-shape").content.firstElementChild;
let shown = [];
let current = null;

// Takes over the accounts; gives the names of those whose condition is another than before.
export function update(accounts, now) {
  const before = rows.size;
  const changed = [];
  const fresh = document.createDocumentFragment();
  const names = new Set();
  for (const account of accounts) {
    names.add(account.name);
    let row = rows.get(account.name);
    if (!row) {
      row = build();
      rows.set(account.name, row);
      fresh.append(row.line);
    } else if (row.account.condition !== account.condition) {
      changed.push(account.name);
      row.line.classList.remove("changed");
      requestAnimationFrame(() => row.line.classList.add("changed"));
    }
    fill(row, account, now);
  }
  for (const [name, row] of rows) {
    if (names.has(name)) continue;
    row.line.remove();
    rows.delete(name);
  }
  body.append(fresh);
  return before ? changed : [];
}

// Shows these accounts in this order and hides all others.
export function show(accounts) {
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const index = shown.indexOf(current);
  const lost = focused === null && document.activeElement === document.body && current !== null && !rows.has(current);
  shown = accounts.map((account) => account.name);
  const names = new Set(shown);
  for (const [name, row] of rows) row.line.hidden = !names.has(name);
  let next = body.firstElementChild;
  for (const name of shown) {
    while (next?.hidden) next = next.nextElementSibling;
    const { line } = rows.get(name);
    if (line === next) next = next.nextElementSibling;
    else body.insertBefore(line, next);
  }
  if (!names.has(current)) mark(shown[Math.min(Math.max(index, 0), shown.length - 1)] ?? null);
  // A row that is moved or hidden loses the focus.
  if (focused || lost) rows.get(current)?.button.focus({ preventScroll: true });
}

export function tick(now) {
  for (const name of shown) times(rows.get(name), now);
}

// Moves the focus by so many rows (or to the end that is in this direction).
export function move(by) {
  const inside = body.contains(document.activeElement);
  const at = Math.max(0, shown.indexOf(current));
  focus(shown[Math.min(Math.max(inside ? at + by : at, 0), shown.length - 1)]);
}

export function focus(name) {
  if (!rows.has(name)) return;
  mark(name);
  const { line, button } = rows.get(name);
  button.focus({ preventScroll: true });
  line.scrollIntoView({ block: "nearest" });
}

export const focusCurrent = () => focus(current);
export const neighbour = (name, by) => shown[shown.indexOf(name) + by] ?? null;

export function nameOf(element) {
  const line = element.closest("#rows > tr");
  return line && line.querySelector("button").textContent;
}

// One row, and only one, is reached by Tab; the arrow keys go on from there.
export function mark(name) {
  if (rows.has(current)) rows.get(current).button.tabIndex = -1;
  current = name;
  if (rows.has(current)) rows.get(current).button.tabIndex = 0;
}

function build() {
  const line = shape.cloneNode(true);
  const [condition, name, path, since, rotation, credits, reason] = line.children;
  const [text, version] = path.children;
  return {
    line, credits, reason, version, path: text,
    condition: condition.firstElementChild, word: condition.firstElementChild.lastElementChild,
    button: name.firstElementChild, since: since.firstElementChild, rotation: rotation.firstElementChild,
    account: { },
  };
}

function fill(row, account, now) {
  const old = row.account;
  row.account = account;
  if (old.condition !== account.condition) {
    row.condition.className = `condition ${levelOf(account.condition)}`;
    setText(row.word, account.condition);
  }
  setText(row.button, account.name);
  setText(row.path, account.path ?? "");
  setText(row.version, account.version ? `v${account.version}` : "");
  setAttribute(row.path, "title", account.path);
  setText(row.credits, account.credits === null ? "" : number(account.credits));
  row.credits.classList.toggle("low", account.creditsLow);
  setAttribute(row.credits, "title", account.creditsLow ? `fewer than ${number(account.creditsAlertBelow)}` : null);
  const reason = account.reason ?? "";
  setText(row.reason, account.failures > 1 ? `${account.failures} × ${reason}` : reason);
  setAttribute(row.reason, "title", account.reason);
  for (const [element, text] of [[row.since, account.since], [row.rotation, account.rotatesAt]]) {
    if (element.dateTime === (text ?? "")) continue;
    element.dateTime = text ?? "";
    setAttribute(element, "title", text && exact(text));
  }
  times(row, now);
}

function times(row, now) {
  const { since, rotatesAt } = row.account;
  setText(row.since, since ? span((now - Date.parse(since)) / 1000) : "");
  const due = rotatesAt !== null && Date.parse(rotatesAt) <= now;
  setText(row.rotation, rotatesAt === null ? "" : due ? "due" : relative(rotatesAt, now));
  row.rotation.classList.toggle("due", due);
}
