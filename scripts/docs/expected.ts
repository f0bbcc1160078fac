/**
 * Whether a command printed what its guide shows. A guide shows one run: times, ids, keys and durations are others in the next, and count
 * for nothing. `…` stands for anything: for lines where it is alone in one, else within its line. Runs of spaces are one.
 */

const varying: readonly [RegExp, string][] = [
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( [+-]\d{4})?( UTC|Z)?/g, "<time>"],
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "<uuid>"],
  [/\b\d+\.\d{5,}(e-?\d+)?\b/g, "<number>"],
  [/\b([0-9a-f]{8}|[0-9a-f]{16,})\b/g, "<hex>"],
  [/[A-Za-z0-9+/_-]{40,}={0,2}/g, "<base64>"],
  [/\b\d+(\.\d+)?(e-?\d+)? ?m?s\b/g, "<duration>"],
  [/(?<=_ms":)\d+(\.\d+)?(e-?\d+)?/g, "<duration>"],
  [/(?<=":|": )\d+\.\d+(e-?\d+)?/g, "<number>"],
];

export function isShown(expected: string, printed: string): boolean {
  return matches(plain(expected), plain(printed));
}

/** True if the text is the same, where `…` does not stand for what it has. */
export function matches(expected: string, printed: string): boolean {
  const lines = expected.split("\n");
  const pattern = lines.map((line, at) => {
    if (line.trim() === "…") return "(?:[^\\n]*\\n)*?";
    return `${line.split("…").map(escaped).join("[^\\n]*")}${at < lines.length - 1 ? "\\n" : ""}`;
  });
  return new RegExp(`^${pattern.join("")}$`).test(`${printed}${lines.at(-1)!.trim() === "…" ? "\n" : ""}`);
}

function plain(text: string): string {
  const trimmed = text.replace(/[ \t]+$/gm, "").replace(/^\n+|\n+$/g, "");
  return varying.reduce((all, [from, to]) => all.replace(from, to), trimmed).replace(/ {2,}/g, " ");
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
