/** Characters by which a text steers the terminal that shows it, and how they are shown instead. */

/** C0, DEL, C1, all that Unicode calls Bidi_Control, LINE SEPARATOR and PARAGRAPH SEPARATOR. */
export const steering = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** The character as JSON escapes it in a string. */
export function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
