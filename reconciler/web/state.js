// What the reader has chosen: search, filters, order, the open account. It lives in the URL's hash, so that it can be shared.

import { needsLook, rankOf } from "./words.js";

const COLLATOR = new Intl.Collator("en", { numeric: true });
const DEFAULT_SORT = "condition";
const time = (text) => (text === null ? null : Date.parse(text));

// Column: its title, what it is sorted by, and whether the first click sorts downwards.
export const COLUMNS = {
  condition: ["Condition", (a) => rankOf(a.condition) + (needsLook(a) ? 0 : 100)],
  name: ["Account", (a) => a.name],
  path: ["Vault path", (a) => a.path],
  since: ["Since", (a) => time(a.since), true],
  rotation: ["Rotation", (a) => time(a.rotatesAt)],
  credits: ["Credits", (a) => a.credits],
  reason: ["Reason", (a) => a.reason],
};
// Filters that are no conditions. Without a prototype, since what stands in the hash is looked up in it.
export const SPECIAL = {
  __proto__: null,
  look: ["Needs a look", needsLook],
  low: ["Credits low", (account) => account.creditsLow],
};

export const state = { search: "", filters: new Set(), sort: DEFAULT_SORT, down: false, account: null };

export function readHash() {
  const given = new URLSearchParams(location.hash.slice(1));
  const sort = given.get("sort") ?? "";
  const column = sort.replace(/^-/, "");
  state.search = (given.get("q") ?? "").slice(0, 200);
  state.filters = new Set((given.get("show") ?? "").split(",").filter(Boolean));
  state.sort = Object.hasOwn(COLUMNS, column) ? column : DEFAULT_SORT;
  state.down = state.sort === column && sort.startsWith("-");
  state.account = given.get("account");
}

export function writeHash() {
  const parts = new URLSearchParams();
  if (state.search) parts.set("q", state.search);
  if (state.filters.size) parts.set("show", [...state.filters].join(","));
  if (state.sort !== DEFAULT_SORT || state.down) parts.set("sort", (state.down ? "-" : "") + state.sort);
  if (state.account !== null) parts.set("account", state.account);
  const hash = parts.toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

export const narrowed = () => state.search.trim() !== "" || state.filters.size > 0;

// The accounts that the search finds: every word of it somewhere in the account.
export function found(accounts) {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  return accounts.filter((account) => {
    const text = haystack(account);
    return words.every((word) => text.includes(word));
  });
}

const haystacks = new WeakMap();
function haystack(account) {
  if (!haystacks.has(account)) {
    const { name, path, reason, condition, declaredAt, fingerprint, commit } = account;
    haystacks.set(account, [name, path, reason, condition, declaredAt, fingerprint, commit].join("\n").toLowerCase());
  }
  return haystacks.get(account);
}

export function passes(account) {
  if (!state.filters.size) return true;
  return [...state.filters].some((each) => SPECIAL[each]?.[1](account) ?? account.condition === each);
}

// In the chosen order; what is not known comes last either way, and equals by name.
export function sorted(accounts) {
  const value = COLUMNS[state.sort][1];
  const sign = state.down ? -1 : 1;
  const keyed = accounts.map((account) => [value(account), account]);
  keyed.sort(([a, first], [b, second]) => {
    if ((a === null) !== (b === null)) return a === null ? 1 : -1;
    const order = typeof a === "string" ? COLLATOR.compare(a, b) : a - b;
    return sign * order || COLLATOR.compare(first.name, second.name);
  });
  return keyed.map(([, account]) => account);
}
