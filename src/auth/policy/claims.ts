/** Claims of a verified token, as rules ask for them: own members only, and equality only. */

export type Claims = Readonly<Record<string, unknown>>;

/** The claim of a name; of a JSON Pointer (RFC 6901) where the name begins with a slash. Undefined where there is none. */
export function claimOf(claims: Claims, name: string): unknown {
  return namesIn(name).reduce<unknown>(memberOf, claims);
}

/** Names of members that lead to a claim: one, or those of a JSON Pointer. */
export function namesIn(name: string): string[] {
  if (!name.startsWith("/")) return [name];
  return name
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  if (Array.isArray(value) && name === "length") return undefined;
  return (value as Record<string, unknown>)[name];
}

/** Whether the claim equals the text, or is an array that holds it. `scope` and `scp` are texts with spaces between. */
export function claimHas(claims: Claims, name: string, text: string): boolean {
  const found = claimOf(claims, name);
  if (Array.isArray(found)) return found.some((item) => isText(item, text));
  if ((name === "scope" || name === "scp") && typeof found === "string") return found.split(" ").includes(text);
  return isText(found, text);
}

/** A number beyond the safe integers may be another in the token. */
function isText(value: unknown, text: string): boolean {
  if (typeof value === "string") return value === text;
  if (typeof value === "boolean") return String(value) === text;
  return Number.isSafeInteger(value) && String(value) === text;
}
