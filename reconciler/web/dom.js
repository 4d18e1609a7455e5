// Small ways to write into the page. Text always goes in as text: names and reasons come from manifests.

export const byId = (id) => document.getElementById(id);

export function setText(element, text) {
  // Writing the same text again would cost a layout, and a screen reader might say it twice.
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function make(tag, { text, className, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Copies where the browser allows it (https and this machine), else selects, for the user to copy.
export async function copy(element, button) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    setText(button, "Copied");
  } catch {
    getSelection().selectAllChildren(element);
    setText(button, "Selected");
  }
  setTimeout(() => setText(button, "Copy"), 2000);
}
