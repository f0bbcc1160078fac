/**
 * JSON objects that every parser reads the same. Of a member that is there twice, JSON.parse takes the last and others
 * take the first. A signed object must leave no such choice.
 */

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Parses an object; undefined for bytes that are no JSON object in UTF-8, or have a member twice at its top level. */
export function uniqueObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject && Object.keys(value).length === membersOf(text) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Number of members in the text of an object, at its top level. A second one of a name leaves no key of its own. */
function membersOf(text: string): number {
  let depth = 0;
  let members = 0;
  for (const [word] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (word === "{" || word === "[") depth += 1;
    else if (word === "}" || word === "]") depth -= 1;
    else if (word === ":" && depth === 1) members += 1;
  }
  return members;
}
