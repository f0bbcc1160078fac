/**
 * SPIFFE ids (SPIFFE-ID §2), as narrow as SPIRE issues them: no percent, port, user, query, fragment or empty segment.
 */

export interface SpiffeId {
  readonly id: string;
  readonly trustDomain: string;
}

const maxLength = 2048;
const form = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/;

/** Undefined for any text that is no id of a workload: one without a path is that of its trust domain. */
export function spiffeId(text: string): SpiffeId | undefined {
  if (text.length > maxLength) return undefined;
  const [id, trustDomain, path] = form.exec(text) ?? [];
  if (id === undefined || trustDomain === undefined || path === undefined) return undefined;
  return path.split("/").some((segment) => segment === "." || segment === "..") ? undefined : { id, trustDomain };
}
