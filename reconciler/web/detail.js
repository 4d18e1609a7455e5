// All that is known of one account, in a dialog that stays current while it is open.

import { byId, make, setText } from "./dom.js";
import { exact, levelOf, meaningOf, number, relative } from "./words.js";

const dialog = byId("detail");
const CHANGES = { none: "nothing", skip: "nothing", report: "nothing: drift is only reported", refused: "refused", error: "failed" };

export const isOpen = () => dialog.open;

export function open(account, now) {
  paint(account, now);
  if (!dialog.open) dialog.showModal();
}

export const close = () => dialog.close();

// `step` is called with -1 or 1, `closed` when the dialog was closed in whatever way.
export function start(step, closed) {
  byId("close").addEventListener("click", close);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  dialog.addEventListener("close", closed);
  // A click on the backdrop is one on the dialog itself, outside of its box.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && event.clientX < dialog.getBoundingClientRect().left) close();
  });
}

export function paint(account, now) {
  byId("detail-condition").className = `condition ${levelOf(account.condition)}`;
  setText(byId("detail-condition").lastElementChild, account.condition);
  setText(byId("detail-name"), account.name);
  setText(byId("detail-meaning"), meaningOf(account.condition));
  setText(byId("detail-reason"), account.reason ?? "");
  byId("detail-reason").hidden = !account.reason;
  // Kept while nothing changes, so that a selection in it stays.
  const facts = byId("detail-facts");
  const made = [...entries(account, now)].flatMap(([term, ...content]) => [make("dt", { text: term }), make("dd", {}, ...content)]);
  if (facts.children.length === made.length && made.every((each, at) => each.isEqualNode(facts.children[at]))) return;
  facts.replaceChildren(...made);
}

function* entries(account, now) {
  const time = (text) => make("time", { datetime: text }, make("span", { text: relative(text, now) }), make("span", { className: "exact", text: exact(text) }));
  const code = (text) => make("code", { text });
  yield ["In it since", time(account.since)];
  yield ["Looked at", time(account.seenAt)];
  if (account.path) yield ["Vault path", code(account.path)];
  if (account.version) yield ["Version", String(account.version)];
  if (account.fingerprint) yield ["Fingerprint", code(account.fingerprint)];
  if (account.createdAt) yield ["Key made", Number.isNaN(Date.parse(account.createdAt)) ? account.createdAt : time(account.createdAt)];
  yield ["Next rotation", account.rotatesAt ? time(account.rotatesAt) : "by its trigger only"];
  if (account.credits !== null) {
    const least = account.creditsAlertBelow === null ? "" : `, warned below ${number(account.creditsAlertBelow)}`;
    yield ["Credits", `${number(account.credits)}${least}${account.creditsLow ? ": low" : ""}`];
  }
  yield ["Pending", CHANGES[account.change] ?? account.change];
  if (account.driftedAt) yield ["Drifted", time(account.driftedAt)];
  if (account.failures) yield ["Failed", account.failures === 1 ? "once" : `${account.failures} times in a row`];
  if (account.retryAt) yield ["Tried again", time(account.retryAt)];
  if (account.declaredAt) yield ["Declared at", code(account.declaredAt)];
  if (account.commit) yield ["As declared at commit", code(account.commit.slice(0, 10))];
}
