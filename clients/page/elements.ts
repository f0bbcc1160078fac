/** Elements of the page. Texts become text nodes, never markup. */
import { shown, shownLines } from "./shown-text.ts";

/** Returns an element of the page's HTML, which has it. */
export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found as Kind;
}

/** Strings among the children are the page's own words. Attributes whose value is undefined are left out. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string | undefined>>,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Words that somebody else wrote, or that have such words in them: apart from the direction of the text around them. */
export function foreign(text: string): HTMLElement {
  return element("bdi", {}, shown(text));
}

/** The same of several lines. */
export function foreignLines(text: string): HTMLElement {
  return element("bdi", {}, shownLines(text));
}

export function button(label: string, onPress: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, foreign(label));
  made.addEventListener("click", onPress);
  return made;
}

/** Ids in a text are long, and may break anywhere. */
export function code(text: string): HTMLElement {
  return element("code", {}, foreign(text));
}
