/** The report of a verification as a page of HTML: no script, no request, printed on A4. The same facts and origin make the same bytes. */
import { escaped, steering } from "../encoding/steering.ts";
import { checksOf, conclusionOf, conclusionText, nextSteps, notShown, ofCompromisedKeys } from "./conclusion.ts";
import type { Asked, Facts, FindingFacts, KeyFacts, SpanFailure } from "./facts.ts";
import { reportStyle } from "./style.ts";
import {
  completenessText,
  contentText,
  counted,
  digits,
  eventTexts,
  findingText,
  nameText,
  placeText,
  rangeText,
  reasonText,
  timeText,
  validityTexts,
  voucherText,
} from "./wording.ts";

/** Who made a report, when, and how anybody makes it again. */
export interface ReportOrigin {
  /** Program and version. */
  madeBy: string;
  /** The date that the person who asks gave, or the time in RFC 3339. */
  date: string;
  /** The command that makes the same report from the same files. */
  command: string;
}

/** HTML, not text. */
type Html = { html: string };

export function reportHtml(facts: Facts, { madeBy, date, command }: ReportOrigin): string {
  const conclusion = conclusionOf(facts);
  const steps = nextSteps(facts);
  const logs = facts.logs.slice(0, mostLogs);
  const sections = [
    section("What was verified", subjectTable(facts)),
    ...logs.map((log) =>
      section(`How far completeness is shown: ${log.origin}`, paragraph(completenessText(log, facts.asked))),
    ),
    ...more(facts.logs.length, mostLogs),
    section("Exhibits", exhibitTable(facts)),
    section("Keys", keyTable(facts)),
    section("Checks performed", checkTable(facts)),
    ...findingSections(facts),
    section("Compromised, disabled, handed over", list(eventTexts(facts))),
    section("What this does not show", list(notShown(facts), "columns")),
    ...(steps.length === 0 ? [] : [section("To make the conclusion stronger, ask for", list(steps))]),
    section(
      `To repeat it, by ${madeBy}: the same files, question and date give the same report`,
      raw(`<p class="command"><code>${text(command, 4000)}</code></p>`),
    ),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Verification report: ${conclusion}</title>
<style>${reportStyle}</style>
</head>
<body>
<header>
<h1>Verification report</h1>
<p>Dated ${text(date)}, made by ${text(madeBy)}</p>
</header>
<main>
<p class="conclusion ${conclusion}"><strong>${conclusion.replaceAll("_", " ")}</strong> ${text(conclusionText(facts), 4000)}</p>
${sections.map(({ html }) => html).join("\n")}
</main>
</body>
</html>
`;
}

function subjectTable(facts: Facts): Html {
  const { spans, logs, asked } = facts;
  const { tenants, period } = spans;
  const issuers = [...new Set(logs.map(({ origin }) => issuerOf(origin)))];
  return describing([
    [
      "Tenant",
      tenants.map(({ tenant, spans: own }) => `${nameText(tenant)} (${counted(own, "span")})`).join(", ") || "none",
    ],
    ...(asked.log ? [["Issuer", issuers.map(nameText).join(", ") || "none"] as const] : []),
    ["Signed", period ? `from ${timeText(period.first)} to ${timeText(period.last)}` : "none"],
    ["Spans", spansText(facts)],
    ...logs
      .slice(0, mostLogs)
      .map((log) => ["Log", `${nameText(log.origin)}, ${rangeText(log)}: ${contentText(log)}`] as const),
    ["Question", questionText(asked)],
  ]);
}

function spansText(facts: Facts): string {
  const { total, verified, signedApart } = facts.spans;
  const { proven, notChecked } = ofCompromisedKeys(facts);
  return [
    `${digits(total)} in the file, ${digits(verified)} verify`,
    ...(proven > 0 ? [`${digits(proven)} of a compromised key are proven by another checkpoint`] : []),
    ...(notChecked > 0 ? [`${digits(notChecked)} of a compromised key are not among the entries checked`] : []),
    `${digits(verified - signedApart)} of these have a place in a log, ${digits(signedApart)} a signature of their own`,
  ].join("; ");
}

/** `kms.example.com` of `kms.example.com/acme` and of `kms.example.com/acme/1796127354`. */
function issuerOf(origin: string): string {
  return origin.replace(/\/[^/]+(?:\/\d+)?$/, "");
}

function questionText({ log, tenant, vkeys, from, to, anyOrder }: Asked): string {
  return [
    log ? "Is each span as it was signed, and is none missing?" : "Is each span as it was signed?",
    ...(tenant === undefined ? [] : [`Tenant ${tenant}.`]),
    ...(from === undefined ? [] : [`From entry ${from}.`]),
    ...(to === undefined ? [] : [`Up to ${counted(to, "entry", "entries")}.`]),
    ...(anyOrder ? ["In any order."] : []),
    ...(vkeys.length === 0 ? [] : [`Trusted from elsewhere: ${vkeys.join(" ")}`]),
  ].join(" ");
}

function exhibitTable({ exhibits }: Facts): Html {
  const rows = exhibits.map(({ role, name, bytes, sha256 }, i) => [
    cell(exhibitLetter(i)),
    shortCell(role),
    cell(name),
    numberCell(counted(bytes, "byte")),
    raw(`<td><code class="hash">${text(sha256)}</code></td>`),
  ]);
  return table(["", "role", "file", "size", "SHA-256"], rows, { numbers: [3] });
}

/** A to Z, then AA. */
function exhibitLetter(index: number): string {
  const last = String.fromCharCode(65 + (index % 26));
  return index < 26 ? last : exhibitLetter(Math.floor(index / 26) - 1) + last;
}

/** Keys that signed something here, or of which there is more to say than that they are there. */
function keyTable({ keys, keysPassedOver }: Facts): Html {
  const shown = keys.filter((key) => key.spans > 0 || key.compromisedAt !== undefined || !ordinary.has(key.state));
  const others = keys.length - shown.length;
  const rows = shown.slice(0, mostRows).map((key) => [
    raw(
      `<td><code>${text(key.keyId)}</code><br><code class="hash">${text(key.fingerprint)}</code><br>` +
        `vouched for by ${text(voucherText(key))}</td>`,
    ),
    shortCell(key.state),
    raw(
      `<td class="short">${validityTexts(key)
        .map((line) => text(line))
        .join("<br>")}</td>`,
    ),
    numberCell(counted(key.spans, "span")),
  ]);
  const rest = [
    ...(others > 0 ? [`${counted(others, "other key")} of the tenant signed nothing here.`] : []),
    ...(keysPassedOver > 0
      ? [`${counted(keysPassedOver, "key")} of a kind that is unknown here was passed over.`]
      : []),
  ];
  const listed =
    shown.length === 0
      ? []
      : [
          table(["key, SHA-256 of its public key, voucher", "state", "signatures accepted", "signed"], rows, {
            numbers: [3],
          }),
        ];
  return joined(...listed, ...more(shown.length), ...rest.map(paragraph));
}

const ordinary: ReadonlySet<KeyFacts["state"]> = new Set(["PENDING", "ACTIVE", "RETIRED"]);

function checkTable(facts: Facts): Html {
  const rows = checksOf(facts).map(({ check, result, detail }) => [
    cell(check),
    raw(`<td class="result">${result}</td>`),
    cell(detail),
  ]);
  return table(["check", "result", "on"], rows);
}

/** More rows than these nobody reads on paper. */
const mostRows = 500;
/** Each has sections of its own. */
const mostLogs = 50;

function findingSections({ asked, logs, spans }: Facts): Html[] {
  if (!asked.log) {
    if (spans.failures.length === 0) return [];
    return [section("Spans that do not verify", failureTable(spans.failures))];
  }
  return logs
    .filter(({ findings }) => findings.length > 0)
    .slice(0, mostLogs)
    .map(({ origin, findings }) => section(`Gaps and other findings: ${origin}`, findingTable(findings)));
}

function findingTable(findings: readonly FindingFacts[]): Html {
  const rows = findings
    .slice(0, mostRows)
    .map((finding) => [
      raw(`<td class="result">${finding.what}</td>`),
      shortCell(placeText(finding)),
      cell(finding.span === undefined ? findingText(finding) : `${finding.span}: ${findingText(finding)}`),
    ]);
  return joined(
    table(["finding", "place", "in detail; a span is named by its trace id and span id"], rows),
    ...more(findings.length),
  );
}

function failureTable(failures: readonly SpanFailure[]): Html {
  const rows = failures
    .slice(0, mostRows)
    .map(({ position, span, reason, message }) => [
      numberCell(digits(position)),
      codeCell(span ?? "–"),
      cell(reason),
      cell(message === "" ? reasonText(reason) : message),
    ]);
  return joined(table(["position", "span", "verdict", "why"], rows, { numbers: [0] }), ...more(failures.length));
}

function more(count: number, most = mostRows): Html[] {
  return count > most ? [paragraph(`And ${digits(count - most)} more, which the command lists.`)] : [];
}

function section(heading: string, ...parts: readonly Html[]): Html {
  return raw(`<section>\n<h2>${text(heading)}</h2>\n${joined(...parts).html}\n</section>`);
}

function describing(rows: readonly (readonly [string, string])[]): Html {
  const lines = rows.map(([name, value]) => `<tr><th scope="row">${text(name)}</th><td>${text(value, 2000)}</td></tr>`);
  return raw(`<table><tbody>\n${lines.join("\n")}\n</tbody></table>`);
}

function table(
  heads: readonly string[],
  rows: readonly (readonly Html[])[],
  { numbers = [] }: { numbers?: readonly number[] } = {},
): Html {
  const ths = heads.map((head, i) => {
    const kind = numbers.includes(i) ? ' class="number"' : "";
    return head === "" ? `<td${kind}></td>` : `<th scope="col"${kind}>${text(head)}</th>`;
  });
  const lines = rows.map((row) => `<tr>${joinedInline(row)}</tr>`);
  return raw(
    `<table class="wide"><thead><tr>${ths.join("")}</tr></thead><tbody>\n${lines.join("\n")}\n</tbody></table>`,
  );
}

function list(items: readonly string[], kind = ""): Html {
  const lines = items.slice(0, mostRows).map((item) => `<li>${text(item, 1000)}</li>`);
  return joined(raw(`<ul${kind === "" ? "" : ` class="${kind}"`}>\n${lines.join("\n")}\n</ul>`), ...more(items.length));
}

function paragraph(words: string): Html {
  return raw(`<p>${text(words, 2000)}</p>`);
}

function cell(words: string): Html {
  return raw(`<td>${text(words)}</td>`);
}

function shortCell(words: string): Html {
  return raw(`<td class="short">${text(words)}</td>`);
}

function numberCell(words: string): Html {
  return raw(`<td class="number">${text(words)}</td>`);
}

function codeCell(words: string): Html {
  return raw(`<td><code>${text(words)}</code></td>`);
}

function joined(...parts: readonly Html[]): Html {
  return raw(parts.map(({ html }) => html).join("\n"));
}

function joinedInline(parts: readonly Html[]): string {
  return parts.map(({ html }) => html).join("");
}

function raw(html: string): Html {
  return { html };
}

const named: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Others wrote parts of most texts. Long ones are cut; characters that turn the direction of text are shown as escapes. */
function text(words: string, most = 400): string {
  const cut = words.length > most ? `${words.slice(0, most)}… (${digits(words.length)} characters)` : words;
  return `<bdi>${cut.replace(steering, escaped).replace(/[&<>"']/g, (character) => named[character]!)}</bdi>`;
}
