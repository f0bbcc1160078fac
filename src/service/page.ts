/**
 * Pages of a listing. A token is base64url of a JSON array: what is listed, then where the page ended. It names the listing and its
 * filters, so that the token of another request is refused and not answered with a page that fits nothing. It is no secret and no
 * permission: a page is asked for by a caller who may read all of them.
 */
import { readJson } from "../encoding/json.ts";
import { invalidField } from "../errors.ts";

const defaultSize = 100;
export const maxSize = 1000;
/** Longer than any that we make. */
const maxTokenLength = 1024;

type Part = string | number;

export function pageSize(requested: number): number {
  if (requested > maxSize) throw invalidField("page_size", `is at most ${maxSize}`);
  return requested || defaultSize;
}

export function pageToken(listing: readonly Part[], end: readonly Part[]): string {
  return Buffer.from(JSON.stringify([...listing, ...end])).toString("base64url");
}

/** Where the page before ended; undefined for the first page. `read` gives undefined for what is no end of such a page. */
export function pageStart<End>(
  token: string,
  listing: readonly Part[],
  read: (end: readonly unknown[]) => End | undefined,
): End | undefined {
  if (token === "") return undefined;
  const parts = partsOf(token);
  const isOurs = parts !== undefined && listing.every((part, index) => parts[index] === part);
  const end = isOurs ? read(parts.slice(listing.length)) : undefined;
  if (end === undefined) throw invalidField("page_token", "is not one that was returned for this listing");
  return end;
}

/** Only the spelling that `pageToken` makes. */
function partsOf(token: string): readonly unknown[] | undefined {
  if (token.length > maxTokenLength) return undefined;
  try {
    const parts = readJson(Buffer.from(token, "base64url").toString());
    return Array.isArray(parts) && pageToken(parts, []) === token ? parts : undefined;
  } catch {
    return undefined;
  }
}

/** A page of what a store found when it was asked for one more than fits. */
export function pageOf<T>(found: readonly T[], size: number, tokenAfter: (last: T) => string) {
  const page = found.slice(0, size);
  const last = page.at(-1);
  return { page, nextPageToken: found.length > size && last ? tokenAfter(last) : "" };
}
