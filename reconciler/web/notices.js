// What a person should know besides the accounts: a failing source, guards' refusals, problems of the manifests.

import { byId, copy, make } from "./dom.js";
import { counted, exact, relative, shortCommit } from "./words.js";

const FEW = 4;
const place = byId("notices");
let painted = "";

// Gives the headlines that are new, for the live region.
export function paint(view, now) {
  const notices = [...list(view, now)];
  const key = JSON.stringify(notices);
  // Only when something has changed: a list that is open, or a focused button, stays.
  if (key === painted) return [];
  const old = painted;
  painted = key;
  place.replaceChildren(...notices.map(build));
  return old === "" ? [] : notices.map(({ title }) => title).filter((title) => !old.includes(JSON.stringify(title)));
}

function* list(view) {
  if (view.stopping) yield { level: "warn", title: "The reconciler is stopping.", text: "What it has begun is finished; nothing new is begun." };
  if (view.silent) yield { level: "bad", title: "The loop gives no sign of life.", text: "The process answers, but its passes stand still: what is shown may be old." };
  const { error, commit, failingSince, name } = view.source;
  if (error) {
    const since = failingSince ? ` since ${exact(failingSince)}` : "";
    const kept = commit ? `Following commit ${shortCommit(commit)} all the same.` : view.lastPass ? "What was had before is still followed." : "Nothing can be done until it answers.";
    yield { level: "bad", title: `The source has failed${since}.`, text: kept, items: [error], of: name };
  }
  if (view.held.length) {
    const one = view.held.length === 1;
    yield {
      level: "warn", title: one ? "A guard holds a change back." : `Guards hold changes back, for ${view.held.length} reasons.`, items: view.held,
      text: view.checksum ? "To let exactly this plan through, once, from a checkout of the same manifests:" : "", command: view.checksum && `pinata-reconciler apply PATH --acknowledge ${view.checksum}`,
    };
  }
  if (view.problems.length) {
    const left = view.accounts.filter(({ change }) => change === "skip").length;
    const who = left ? `${counted(left, "account")} ${left === 1 ? "is" : "are"} not looked at: drift is not found, nothing rotates. ` : "";
    yield { level: "bad", title: `${problems(view)}.`, text: `${who}Keys in Vault stay as they are.`, items: view.problems };
  }
}

// What the manifests have, as the beginning of a sentence.
export const problems = ({ problems: { length } }) => `The manifests have ${length === 1 ? "a problem" : `${length} problems`}`;

function build({ level, title, text, items = [], command }) {
  const more = make("div", { className: "more" });
  if (command) more.append(lines(items), make("p", { text }), commandLine(command));
  else more.append(make("p", { text }), lines(items));
  return make("div", { className: `notice ${level}` }, make("span", { className: "mark" }), make("h2", { text: title }), more);
}

function lines(items) {
  const all = make("div");
  if (items.length === 1) return make("p", { text: items[0] });
  const few = items.length > FEW ? items.slice(0, FEW - 1) : items;
  all.append(bullets(few));
  if (items.length > few.length) {
    const rest = items.slice(few.length);
    all.append(make("details", {}, make("summary", { text: `and ${rest.length} more` }), bullets(rest)));
  }
  return all;
}

const bullets = (items) => make("ul", {}, ...items.map((text) => make("li", { text })));

function commandLine(command) {
  const code = make("code", { text: command });
  const button = make("button", { type: "button", className: "link", text: "Copy" });
  button.addEventListener("click", () => copy(code, button));
  return make("p", { className: "command" }, code, button);
}

// The two lines below the headline.
export function facts(view, now) {
  const time = (text) => make("time", { text: relative(text, now), datetime: text, title: exact(text) });
  const { source, lastPass, lastGoodPass, nextPass } = view;
  const first = [];
  if (source.commit) first.push(source.error ? "Still following commit " : "Following commit ", make("code", { text: shortCommit(source.commit), title: source.commit }), " of ");
  else if (source.name) first.push("Following ");
  first.push(make("span", { text: source.name }));
  if (source.changedAt) first.push(", changed ", time(source.changedAt));
  if (source.fetchedAt) first.push(", last had ", time(source.fetchedAt));
  const second = [];
  if (lastPass) second.push("Last pass ", time(lastPass.ended), lastPass.good ? ", good" : ", not good", lastPass.summary ? make("span", { text: `: ${lastPass.summary}` }) : "", ". ");
  if (lastGoodPass && !lastPass?.good) second.push("Last good one ", time(lastGoodPass), ". ");
  if (nextPass && !view.stopping) second.push(Date.parse(nextPass) > now ? make("span", {}, "Next ", time(nextPass), ".") : "The next is due.");
  byId("source").replaceChildren(...first);
  byId("pass").replaceChildren(...second);
}
