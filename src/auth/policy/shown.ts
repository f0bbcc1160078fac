/** What somebody wrote, as it may stand in a message. */

const shownLength = 64;

/** Returns the beginning of a text, without a token that was put where its name should be. */
export function shown(text: string, length = shownLength): string {
  const safe = text.slice(0, length).replace(/(fkt_|eyJ)[\w.-]*/g, "$1…");
  return text.length > length && !safe.endsWith("…") ? `${safe}…` : safe;
}
