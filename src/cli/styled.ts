/** Text whose first words a terminal shows in a style: how something came out, or a heading. Elsewhere it is plain. */

export interface Styled {
  word: string;
  rest: string;
  style: keyof typeof styles;
}

/** Names of `styleText`. They can be read on light and on dark terminals. */
export const styles = {
  good: "green",
  bad: ["bold", "red"],
  warning: ["black", "bgYellow"],
  heading: "bold",
} as const;

export const good = styled("good");
export const bad = styled("bad");
export const warning = styled("warning");
export const heading = styled("heading");

function styled(style: Styled["style"]) {
  return (word: string, rest = ""): Styled => ({ word, rest, style });
}

/** `PASS`, `WARN`, `WAIVED` and `FAIL`, alone or before more, as the service and the checklist say them. */
export function verdict(text: string): string | Styled {
  const [, word, rest] = /^(PASS|WARN|WAIVED|FAIL)(?=\W|$)(.*)$/s.exec(text) ?? [];
  if (word === undefined) return text;
  if (word === "WARN" || word === "WAIVED") return warning(word, rest);
  return word === "PASS" ? good(word, rest) : bad(word, rest);
}
