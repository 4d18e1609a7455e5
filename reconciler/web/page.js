// The page of a fleet: asks for the view again and again, and paints what has changed.

import * as detail from "./detail.js";
import { byId, setText } from "./dom.js";
import * as filters from "./filters.js";
import { onKey } from "./keys.js";
import * as notices from "./notices.js";
import { found, narrowed, passes, readHash, sorted, state, writeHash } from "./state.js";
import * as table from "./table.js";
import { clock, counted, needsLook, number, span } from "./words.js";

const SCHEMA = 1;
const EVERY = 5000;
const PATIENCE = 10000;
let view = null;
let accounts = new Map();
let etag = null;
let skew = 0; // the server's clock less ours, in ms
let answeredAt = null;
let timer = null;
let asking = false;

const now = () => Date.now() + skew;

async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  try {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch("api/fleet", { headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok && answer.status !== 304) throw new Error(`it answers ${answer.status}`);
    const date = Date.parse(answer.headers.get("date"));
    // The header has whole seconds: a smaller difference is none.
    if (!Number.isNaN(date)) skew = Math.abs(date - Date.now()) > 1500 ? date - Date.now() : 0;
    if (answer.status !== 304) {
      const data = await answer.json();
      if (data.schema !== SCHEMA) throw new Error("it speaks another version: load this page anew");
      take(data);
      etag = answer.headers.get("etag");
    }
    answeredAt = now();
    gone(null);
  } catch (error) {
    gone(error);
  } finally {
    asking = false;
    tick();
    if (!document.hidden) timer = setTimeout(ask, EVERY);
  }
}

function take(data) {
  view = data;
  accounts = new Map(data.accounts.map((account) => [account.name, account]));
  const changed = table.update(data.accounts, now());
  const news = notices.paint(view, now());
  paint();
  const words = changed.slice(0, 3).map((name) => `${name} is ${accounts.get(name).condition}`);
  if (changed.length > 3) words.push(`${changed.length - 3} more have changed`);
  if (news.length || words.length) setText(byId("live"), [...news, ...words].join(". "));
}

function gone(error) {
  byId("gone").hidden = error === null;
  document.body.classList.toggle("stale", error !== null && view !== null);
  if (error === null) return;
  const why = error instanceof TypeError || error.name === "TimeoutError" ? "" : ` (${error.message})`;
  setText(byId("gone-text"), view
    ? `The reconciler does not answer any more${why}. What is shown here is as of ${clock(answeredAt)}.`
    : `The reconciler does not answer${why}.`);
}

function chosen() {
  writeHash();
  paint();
}

function paint() {
  if (!view) return;
  const all = view.accounts;
  const matches = found(all);
  const rows = sorted(matches.filter(passes));
  filters.paint(matches, all, chosen);
  table.show(rows);
  setText(byId("count"), !all.length ? "" : narrowed() ? `${number(rows.length)} of ${counted(all.length, "account")}` : counted(all.length, "account"));
  byId("clear").hidden = !narrowed();
  byId("accounts").hidden = !rows.length;
  empty(all, rows);
  head(all);
  showDetail();
}

function head(all) {
  const look = all.filter(needsLook).length;
  const wrong = view.problems.length > 0;
  setText(byId("fleet"), view.fleet);
  setText(byId("verdict"), verdict(all, look, wrong));
  document.title = `${look ? `(${look}) ` : wrong ? "(!) " : ""}Fleet ${view.fleet}`;
}

function verdict(all, look, wrong) {
  const left = all.filter(({ change }) => change === "skip").length;
  if (!view.lastPass && !all.length) return "The first pass has not ended yet.";
  if (wrong && !look) return `${notices.problems(view)}${left ? `; ${number(left)} of ${counted(all.length, "account")} ${left === 1 ? "is" : "are"} not looked at` : ""}.`;
  if (!all.length) return "No account is declared.";
  if (!look) return `${all.length === 1 ? "The account is" : `All ${number(all.length)} accounts are`} in order.`;
  return `${number(look)} of ${counted(all.length, "account")} ${look === 1 ? "needs" : "need"} a look.`;
}

function empty(all, rows) {
  byId("empty").hidden = rows.length > 0;
  if (rows.length) return;
  const [title, text] = all.length ? ["No account matches.", "Search for something else, or clear the filters."]
    : view.problems.length ? ["No account is known.", "What the manifests declare cannot be read."]
    : view.lastPass ? ["Nothing to watch yet.", "The manifests declare no account; the next one shows up here after its first pass."]
      : ["Looking at the accounts for the first time …", "They show up here when the first pass has ended."];
  setText(byId("empty-title"), title);
  setText(byId("empty-text"), text);
}

function showDetail() {
  const account = accounts.get(state.account);
  if (account) detail.open(account, now());
  else if (detail.isOpen()) detail.close();
}

function openDetail(name) {
  state.account = name;
  writeHash();
  table.mark(name);
  showDetail();
}

function step(by) {
  const name = table.neighbour(state.account, by);
  if (name !== null) openDetail(name);
}

function tick() {
  if (!view) return;
  notices.facts(view, now());
  table.tick(now());
  if (detail.isOpen() && accounts.has(state.account)) detail.paint(accounts.get(state.account), now());
  const age = (now() - answeredAt) / 1000;
  setText(byId("fresh"), `as of ${clock(answeredAt)}${age > 2 * EVERY / 1000 ? `, ${span(age)} ago` : ""}`);
}

filters.start(chosen);
detail.start(step, () => {
  const name = state.account;
  state.account = null;
  writeHash();
  if (name !== null) table.focus(name);
});
readHash();
byId("clear").addEventListener("click", () => { filters.clear(); chosen(); byId("search").focus(); });
byId("skip").addEventListener("click", (event) => { event.preventDefault(); table.focusCurrent(); });
byId("rows").addEventListener("click", (event) => {
  // A drag that has selected text is no click.
  if (getSelection().isCollapsed) openDetail(table.nameOf(event.target));
});
byId("rows").addEventListener("focusin", (event) => table.mark(table.nameOf(event.target)));
document.addEventListener("keydown", (event) => onKey(event, step));
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask()));
addEventListener("hashchange", () => { readHash(); paint(); });
setInterval(() => { if (!document.hidden) tick(); }, 5000);
ask();
