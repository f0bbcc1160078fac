/** The `detail` of audit rows `restore` and `accept_rollback`: which heads files they accept, by their SHA-256 in lower-case hex. */

/** An acceptance of one finding, or a restore with 128 random bits of its own, so that no two of these rows say the same. */
export type AcceptanceCause = { digest: string } | { restoration: string };

export function acceptanceOf(cause: AcceptanceCause, files: readonly string[]): string {
  const first = "digest" in cause ? `digest ${cause.digest}` : `id ${cause.restoration}`;
  return files.length === 0 ? first : `${first} heads ${files.join(" ")}`;
}

export function acceptedBy(detail: string): readonly string[] {
  const [, files] = detail.split(" heads ");
  return files?.split(" ") ?? [];
}
