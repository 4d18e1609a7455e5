// What things are called: conditions, times, numbers. Pure; nothing here touches the page.

// Condition: how bad it is (it gives the mark), what it means, and what comes next.
export const CONDITIONS = {
  __proto__: null,
  KeyLost: ["bad", "Inference is on, but Vault has no copy of the live key. By the lostKey policy a new one is minted, or a person has to decide."],
  KeyStale: ["bad", "The key in Vault is not the live one: somebody has minted another since."],
  CreditsExhausted: ["bad", "Pinata answers 402: the account has no credits left. The key stays as it is; a new one would not help."],
  CredentialsInvalid: ["bad", "The account's JWT is missing, expired or refused. It is tried again when the reference has another content."],
  Conflict: ["bad", "Somebody else holds the account or the Vault path, or what is declared cannot be done. A person has to decide."],
  StoreUnavailable: ["warn", "Vault cannot be reached, or refuses. Nothing is minted until it answers."],
  UpstreamUnavailable: ["warn", "Pinata cannot be reached, or fails. The account is as it was; it is looked at again soon."],
  Interrupted: ["warn", "A run ended half-way. A pass first waits until that run is proven gone, then finishes its work."],
  Drifted: ["warn", "Something was changed by hand, or is not yet as declared."],
  Suspended: ["off", "Left alone: its manifest suspends it or has errors, or it is not judged yet. It is not looked at."],
  Off: ["off", "Inference is off."],
  Observed: ["ok", "It is only watched; somebody else manages it."],
  Ready: ["ok", "Inference is on, and Vault has the live key."],
};
const ORDER = Object.keys(CONDITIONS);
const FINE = ["none", "skip"];

export const levelOf = (condition) => CONDITIONS[condition]?.[0] ?? "warn";
export const meaningOf = (condition) => CONDITIONS[condition]?.[1] ?? "";
export const rankOf = (condition) => (ORDER.indexOf(condition) + ORDER.length + 1) % (ORDER.length + 1);

export function needsLook(account) {
  return ["bad", "warn"].includes(levelOf(account.condition)) || account.failures > 0 || account.creditsLow
    || account.driftedAt !== null || !FINE.includes(account.change);
}

const STEPS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

// Seconds as one number and a unit: "3 h".
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [size, unit] = STEPS.find(([each]) => whole >= each) ?? [1, "s"];
  return `${Math.floor(whole / size)}\u00a0${unit}`;
}

// A moment as seen from now (ms): "3 h ago", "in 3 h".
export function relative(text, now) {
  const seconds = (Date.parse(text) - now) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "long" });

export const clock = (moment) => CLOCK.format(moment);
export function exact(text) {
  const moment = Date.parse(text);
  return Number.isNaN(moment) ? text : DATE.format(moment);
}

const NUMBER = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
export const number = (value) => NUMBER.format(value);
export const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
export const shortCommit = (commit) => commit.slice(0, 10);
