/** How the page shows texts that others wrote: cut, and with characters that steer its direction as escapes. */
import { escaped, steering } from "../../src/encoding/steering.ts";
import { digits } from "../../src/verification-report/wording.ts";

/** Returns at most so many characters, with the number that there are. */
export function cut(text: string, most = 300): string {
  return text.length > most ? `${text.slice(0, most).toWellFormed()}… (${digits(text.length)} characters)` : text;
}

/** Returns a text on one line. */
export function shown(text: string): string {
  return text.replace(steering, escaped);
}

/** Returns a text whose line ends stay. */
export function shownLines(text: string): string {
  return text.split("\n").map(shown).join("\n");
}
