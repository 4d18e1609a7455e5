// What chooses the rows: counts by condition that are buttons, the search field, the columns' titles.

import { byId, make, setText } from "./dom.js";
import { COLUMNS, SPECIAL, state } from "./state.js";
import { levelOf, number, rankOf } from "./words.js";

const buttons = new Map();
const filters = byId("filters");
const search = byId("search");
const order = byId("order");

// Sets everything up; `chosen` is called after each choice.
export function start(chosen) {
  for (const [column, [title, , down = false]] of Object.entries(COLUMNS)) {
    const button = make("button", { type: "button", text: title });
    button.addEventListener("click", () => {
      state.down = state.sort === column ? !state.down : down;
      state.sort = column;
      chosen();
    });
    byId("columns").append(make("th", { role: "columnheader", scope: "col", className: `c-${column}` }, button));
    for (const sign of ["", "-"]) {
      order.append(make("option", { value: sign + column, text: `${title} ${sign ? "↓" : "↑"}` }));
    }
  }
  order.addEventListener("change", () => {
    state.sort = order.value.replace(/^-/, "");
    state.down = order.value.startsWith("-");
    chosen();
  });
  search.addEventListener("input", () => {
    state.search = search.value;
    chosen();
  });
}

export function clear() {
  state.search = "";
  state.filters.clear();
}

// `accounts`: those that the search finds; the counts are of these.
export function paint(accounts, all, chosen) {
  if (search.value !== state.search) search.value = state.search;
  order.value = (state.down ? "-" : "") + state.sort;
  for (const [at, column] of Object.keys(COLUMNS).entries()) {
    const title = byId("columns").children[at];
    if (column === state.sort) title.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else title.removeAttribute("aria-sort");
  }
  const counts = new Map();
  const count = (key) => counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const { condition } of all) if (!counts.has(condition)) counts.set(condition, 0);
  for (const account of accounts) {
    count(account.condition);
    for (const [key, [, test]] of Object.entries(SPECIAL)) if (test(account)) count(key);
  }
  for (const key of state.filters) if (!counts.has(key)) counts.set(key, 0);
  const keys = [...counts.keys()].sort((a, b) => place(a) - place(b));
  paintButton("", "All", accounts.length, chosen);
  for (const key of keys) paintButton(key, SPECIAL[key]?.[0] ?? key, counts.get(key), chosen);
  for (const [key, button] of buttons) {
    if (key && !counts.has(key)) {
      button.remove();
      buttons.delete(key);
    }
  }
}

const place = (key) => (Object.hasOwn(SPECIAL, key) ? Object.keys(SPECIAL).indexOf(key) - 9 : rankOf(key));

function paintButton(key, title, count, chosen) {
  let button = buttons.get(key);
  if (!button) {
    button = build(key, title, chosen);
    const after = [...buttons].filter(([other]) => other && place(other) > place(key)).map(([, each]) => each);
    const first = [...filters.children].find((each) => after.includes(each)) ?? null;
    filters.insertBefore(button, key ? first : filters.firstChild);
    buttons.set(key, button);
  }
  const pressed = key ? state.filters.has(key) : !state.filters.size;
  button.setAttribute("aria-pressed", String(pressed));
  setText(button.lastElementChild, number(count));
}

function build(key, title, chosen) {
  const button = make("button", { type: "button", className: key && !Object.hasOwn(SPECIAL, key) ? levelOf(key) : "" });
  if (button.className) button.append(make("span", { className: "mark" }));
  button.append(make("span", { text: title }), " ", make("span", { className: "number" }));
  button.addEventListener("click", () => {
    if (!key) state.filters.clear();
    else if (!state.filters.delete(key)) state.filters.add(key);
    chosen();
  });
  return button;
}
