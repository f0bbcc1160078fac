/** What somebody wrote, as it may stand in a message. */

const quotedLength = 64;

/** Returns the beginning of a text, without a token that was put where its name should be. */
export function quote(text: string, length = quotedLength): string {
  const safe = text.slice(0, length).replace(/(fkt_|eyJ)[\w.-]*/g, "$1…");
  return text.length > length && !safe.endsWith("…") ? `${safe}…` : safe;
}
