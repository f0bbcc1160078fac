/** Makes docs/NOTICES.md from the table in src/notices.ts: `npm run notices-page`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { noticeCodes } from "../src/notices.ts";

const head = `# Notices

For whoever reads Status, health or \`preflight\`, or has a tool do so. A notice is what an operator should know beside the
figures: Status sends \`{code, subject, text}\` in \`notice_details\`, Validate in \`recommendation_details\`. A tool goes by the
code, which keeps its meaning; the text is for people and may change. Later releases add codes: treat one that you do not
know as one that needs a look.

\`preflight\` fails for a notice, unless the last column says that it may stay in a service that is ready for production, or
another line of its table says the same.

`;

/** The page, before it is formatted. */
export function noticesPage(): string {
  const rows = Object.entries(noticeCodes).map(([code, row]) => {
    const { subject, meaning, mayStay } = row as { subject: string; meaning: string; mayStay?: true };
    return `| \`${code}\` | ${meaning} | ${subject || "–"} | ${mayStay ? "yes" : "–"} |`;
  });
  return `${head}| code | meaning | subject | may stay |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(import.meta.dirname, "..", "docs", "NOTICES.md"), noticesPage());
}
