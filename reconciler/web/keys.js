// The keyboard: "/" to the search, j k and arrows through the rows; in the dialog through the accounts.

import * as detail from "./detail.js";
import { byId } from "./dom.js";
import * as table from "./table.js";

const STEPS = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity };
const search = byId("search");

export function onKey(event, step) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const handled = detail.isOpen() ? inDialog(event, step) : event.target === search ? inSearch(event) : onPage(event);
  if (handled) event.preventDefault();
}

function inDialog({ key }, step) {
  // The arrow keys scroll the dialog.
  if (key !== "j" && key !== "k") return false;
  step(STEPS[key]);
  return true;
}

function inSearch({ key }) {
  if (key === "ArrowDown" || key === "Enter") table.focusCurrent();
  else if (key === "Escape" && search.value === "") search.blur();
  else return false;
  return true;
}

function onPage({ key, target }) {
  if (target.closest("select, summary")) return false;
  if (key === "/") {
    search.focus();
    search.select();
    return true;
  }
  // Outside of the rows the browser's own keys scroll.
  if (!(key in STEPS) || (key.length > 1 && !target.closest("#rows"))) return false;
  table.move(STEPS[key]);
  return true;
}
