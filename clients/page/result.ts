/** The result as the page shows it: conclusion, checks, findings, logs, keys, and what it does not show, in the words of the report. */
import {
  type Conclusion,
  checksOf,
  conclusionOf,
  conclusionText,
  nextSteps,
  notShown,
  ofCompromisedKeys,
} from "../../src/verification-report/conclusion.ts";
import type { Facts, FindingFacts, KeyFacts, LogFacts } from "../../src/verification-report/facts.ts";
import {
  completenessText,
  contentText,
  counted,
  digits,
  eventTexts,
  findingText,
  placeText,
  rangeText,
  reasonText,
  validityTexts,
  voucherText,
} from "../../src/verification-report/wording.ts";
import { button, byId, code, element, foreign } from "./elements.ts";
import { cut } from "./shown-text.ts";

/** How the result leads to the table of spans. */
export interface SpanLinks {
  showSpan(span: string): void;
  showVerdict(verdict: string): void;
}

/** A mark beside each conclusion, so that it is not told by colour alone. */
const marks: Readonly<Record<Conclusion, string>> = {
  VERIFIED: "✓",
  CONSISTENT: "≈",
  VERIFIED_WITH_GAPS: "!",
  CONSISTENT_WITH_GAPS: "!",
  FAILED: "✗",
};
const checkMarks = { passed: "✓ passed", gaps: "! gaps", failed: "✗ failed", "not performed": "– not performed" };

export function showResult(facts: Facts, links: SpanLinks): void {
  const conclusion = conclusionOf(facts);
  const steps = nextSteps(facts);
  const box = byId("conclusion");
  box.dataset.conclusion = conclusion;
  box.replaceChildren(
    element("strong", {}, `${marks[conclusion]} ${conclusion.replaceAll("_", " ")}`),
    element("p", {}, foreign(cut(conclusionText(facts), 4000))),
  );
  byId("result-details").replaceChildren(
    section("Checks performed", checkTable(facts)),
    ...facts.logs.slice(0, mostLogs).map((log) => section(`Log ${log.origin}`, ...logParagraphs(log, facts))),
    ...more(facts.logs.length, mostLogs),
    ...findingSections(facts, links),
    section("Keys", ...keyList(facts)),
    ...eventSection(facts),
    section("What this does not show", ...sentenceList(notShown(facts))),
    ...(steps.length > 0 ? [section("To make the conclusion stronger, ask for", ...sentenceList(steps))] : []),
  );
}

function section(heading: string, ...parts: readonly Node[]): HTMLElement {
  return element("section", {}, element("h3", {}, foreign(cut(heading))), ...parts);
}

function checkTable(facts: Facts): HTMLElement {
  const rows = checksOf(facts).map(({ check, result, detail }) =>
    element(
      "tr",
      { "data-result": result },
      element("td", {}, foreign(check)),
      element("td", { class: "outcome" }, checkMarks[result]),
      element("td", {}, foreign(detail)),
    ),
  );
  return table(["Check", "Result", "On"], rows, "checks");
}

function table(heads: readonly string[], rows: readonly Node[], id: string): HTMLElement {
  const cells = heads.map((head) => element("th", { scope: "col" }, head));
  return element("table", { id }, element("thead", {}, element("tr", {}, ...cells)), element("tbody", {}, ...rows));
}

function findingSections(facts: Facts, links: SpanLinks): HTMLElement[] {
  const items = failureItems(facts, links);
  return [
    ...(items.length > 0
      ? [section("Spans that do not verify by themselves", element("ul", { class: "findings" }, ...items))]
      : []),
    ...facts.logs
      .filter(({ findings }) => findings.length > 0)
      .slice(0, mostLogs)
      .map(({ origin, findings }) => section(`Gaps and other findings: ${origin}`, ...findingList(findings, links))),
  ];
}

/** One for each reason. In a log, another checkpoint may prove what a compromised key signed. */
function failureItems(facts: Facts, { showVerdict }: SpanLinks): HTMLElement[] {
  const { failures } = facts.spans;
  const { proven, notChecked } = ofCompromisedKeys(facts);
  return [...new Set(failures.map(({ reason }) => reason))].map((reason) => {
    const count = failures.filter((each) => each.reason === reason).length;
    const but = [
      proven > 0 && ` Another checkpoint proves the entries of ${digits(proven)} of these, which count as verified.`,
      notChecked > 0 && ` The entries of ${digits(notChecked)} are not among those that were checked.`,
    ];
    const ofKey = reason === "KEY_COMPROMISED" ? but.filter(Boolean).join("") : "";
    const show = button("Show them", () => showVerdict(reason), { "aria-label": `Show them: spans with ${reason}` });
    const text = ` ${counted(count, "span")}. ${reasonText(reason)}${ofKey} `;
    return element("li", { "data-reason": reason }, element("strong", {}, reason), text, show);
  });
}

/** So many are listed at once. */
const mostFindings = 100;
/** So many have their sections, or their lines. The command and the report have more. */
const [mostLogs, mostLines] = [50, 500];

function more(count: number, most: number): HTMLElement[] {
  return count > most ? [element("p", {}, `And ${digits(count - most)} more, which are not shown.`)] : [];
}

function findingList(findings: readonly FindingFacts[], links: SpanLinks): HTMLElement[] {
  const list = element("ul", { class: "findings" });
  let listed = 0;
  const more = button("", () => listMore());
  const listMore = () => {
    list.append(...findings.slice(listed, listed + mostFindings).map((finding) => findingItem(finding, links)));
    listed = Math.min(listed + mostFindings, findings.length);
    more.textContent = `Show more: ${digits(findings.length - listed)} are not listed yet`;
    more.hidden = listed === findings.length;
  };
  listMore();
  return [list, more];
}

function findingItem(finding: FindingFacts, { showSpan }: SpanLinks): HTMLElement {
  const { what, span, after, before } = finding;
  const link = (label: string, linked: string) =>
    button(label, () => showSpan(linked), { "aria-label": `${label}: ${linked}`, "data-span": linked });
  return element(
    "li",
    { "data-what": what },
    ...[element("strong", {}, what), " ", placeText(finding), ": "],
    foreign(cut(findingText(finding), 1000)),
    ...[". ", ...(span === undefined ? [] : [link("Show the span", span), " "])],
    ...(after === undefined ? [] : [link("Show the span before it", after.span), " "]),
    ...(before === undefined ? [] : [link("Show the span after it", before.span)]),
  );
}

function logParagraphs(log: LogFacts, { asked }: Facts): HTMLElement[] {
  const checkpoints = log.checkpoints
    .slice(0, mostLines)
    .map(({ name, size, agrees }) =>
      element("li", {}, foreign(cut(name)), `, of ${counted(size, "entry", "entries")}: ${agreement(agrees)}`),
    );
  return [
    element("p", {}, foreign(`Among ${rangeText(log)} there are ${contentText(log)}.`)),
    element("p", {}, foreign(cut(completenessText(log, asked), 2000))),
    ...(checkpoints.length > 0 ? [element("ul", {}, ...checkpoints)] : []),
    ...more(log.checkpoints.length, mostLines),
  ];
}

function agreement(agrees: boolean | undefined): string {
  if (agrees === undefined) return "not compared, the spans do not reach it";
  return agrees ? "agrees with the spans" : "differs from the spans";
}

/** Keys that verify no span here are counted, as a tenant may have many. */
function keyList({ keys, keysPassedOver }: Facts): HTMLElement[] {
  const [used, others] = [keys.filter(({ spans }) => spans > 0), keys.filter(({ spans }) => spans === 0)];
  return [
    ...(used.length > 0 ? keyItems(used) : []),
    ...(used.length === 0 ? [element("p", {}, "No span here verifies by a key.")] : []),
    ...(others.length > 0 ? [otherKeys(others)] : []),
    ...(keysPassedOver > 0
      ? [element("p", {}, `${counted(keysPassedOver, "key")} of a kind that this page does not know, passed over.`)]
      : []),
  ];
}

function otherKeys(keys: readonly KeyFacts[]): HTMLElement {
  const summary = element("summary", {}, `${counted(keys.length, "other key")} of the tenant`);
  return element("details", {}, summary, ...keyItems(keys));
}

function keyItems(keys: readonly KeyFacts[]): HTMLElement[] {
  const items = keys.slice(0, mostLines).map(keyItem);
  return [element("ul", { class: "keys" }, ...items), ...more(keys.length, mostLines)];
}

function keyItem(key: KeyFacts): HTMLElement {
  const [from, until] = validityTexts(key);
  return element(
    "li",
    {},
    ...[
      code(cut(key.keyId)),
      ` ${key.state}, signed ${counted(key.spans, "span")}; signatures accepted ${from}, ${until}; vouched for by `,
    ],
    ...[foreign(cut(voucherText(key))), ". SHA-256 ", code(key.fingerprint)],
  );
}

function eventSection(facts: Facts): HTMLElement[] {
  const events = eventTexts(facts);
  return events.length === 0 ? [] : [section("Compromised, disabled, handed over", ...sentenceList(events))];
}

function sentenceList(sentences: readonly string[]): HTMLElement[] {
  const items = sentences.slice(0, mostLines).map((sentence) => element("li", {}, foreign(cut(sentence, 1000))));
  return [element("ul", {}, ...items), ...more(sentences.length, mostLines)];
}
