/** `fluo-verify.html` in Chromium, from disk and without a network, with what a real service signed; judged by axe-core. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import type { Facts } from "../../src/verification-report/facts.ts";
import { repeatCommand } from "../../src/verification-report/repeat-command.ts";
import { reportHtml } from "../../src/verification-report/html.ts";
import { type Browser, launchChromium, type Page } from "../support/chromium.ts";
import { keyValue, len, message, stringValue } from "../support/otlp-wire.ts";
import { findingsIn } from "./axe.ts";
import { type PageEvidence, pageEvidence } from "./page-evidence.ts";
import { drop, foreignRequests, openVerifier, press, set, textOf, textsOf, until, verify } from "./verifier-page.ts";

let browser: Browser;
let evidence: PageEvidence;
beforeAll(async () => {
  [browser, evidence] = await Promise.all([launchChromium("page"), pageEvidence()]);
});
afterAll(() => browser?.close());

const dropped = (...names: string[]) => names.map((name) => ({ name, bytes: evidence.bytes(name) }));
const conclusionOf = (page: Page) => page.evaluate<string>("document.getElementById('conclusion').dataset.conclusion");
const stepsOf = (page: Page, position: number) => textsOf(page, `#evidence-${position} .steps > li > strong`);

async function openEvidence(page: Page, position: number): Promise<string[]> {
  await press(page, `tr[data-position="${position}"] button`);
  await until(page, `document.querySelector("#evidence-${position} .steps")`);
  return stepsOf(page, position);
}

describe.each([360, 1280].flatMap((width) => ["light", "dark"].map((colorScheme) => ({ width, colorScheme }))))(
  "at $width pixels, $colorScheme",
  (view) => {
    it("has nothing that axe-core finds in any state, is no wider than the screen, and asks for nothing", async () => {
      const opened = await openVerifier(browser, view);
      const { page } = opened;
      const looksWell = async (state: string) => {
        const overflow = await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        expect({ state, overflow, findings: await findingsIn(page) }).toEqual({ state, overflow: 0, findings: [] });
      };
      await looksWell("empty");
      expect(await verify(page)).toBe("An export of spans is still to be given.");
      await looksWell("trouble");
      await drop(page, { name: "notes.txt", bytes: Buffer.from("nothing") }, ...dropped("keys.json", "removed.bin"));
      await drop(page, ...dropped("keys.json", "checkpoint"));
      await looksWell("files");
      await verify(page);
      expect(await conclusionOf(page)).toBe("CONSISTENT_WITH_GAPS");
      await openEvidence(page, 2);
      await looksWell("gaps");
      await set(page, "log", false);
      await looksWell("stale");
      await drop(page, ...dropped("altered.bin"));
      await verify(page);
      await openEvidence(page, 1);
      await looksWell("failed");
      expect(foreignRequests(opened)).toEqual([]);
      expect(opened.complaints).toEqual([]);
    });
  },
);

describe("a log", () => {
  it("is verified from files that are dropped, by keys trusted from elsewhere and a kept checkpoint", async () => {
    const { page, complaints } = await openVerifier(browser);
    await drop(page, ...dropped("checkpoint", "log.bin", "keys.json"));
    expect(await textsOf(page, "#exhibits .name")).toEqual([
      "Spans log.bin",
      "Keys keys.json",
      "Checkpoint checkpoint",
    ]);
    await set(page, "vkeys", evidence.vkeys.join("\n"));
    await set(page, "kept-by", "Ann Auditor");
    const facts = (await verify(page)) as Facts;
    expect(await conclusionOf(page)).toBe("VERIFIED");
    expect(facts.asked).toMatchObject({ log: true, vkeys: evidence.vkeys, keptBy: "Ann Auditor" });
    expect(facts.logs.map(({ spans, findings }) => [spans, findings])).toEqual([[120, []]]);
    expect(await textOf(page, "#conclusion")).toContain("none is missing from entries 0 to");
    expect(complaints).toEqual([]);
  });

  it("shows each gap between its neighbours, leads to these, and opens their evidence", async () => {
    const { page } = await openVerifier(browser);
    await drop(page, ...dropped("removed.bin", "keys.json", "checkpoint"));
    const { logs } = (await verify(page)) as Facts;
    const [gap] = logs[0]!.findings;
    expect(await textOf(page, '[data-what="missing"]')).toContain("missing entries 7 to 9: 3 entries missing, after");
    await press(page, `[data-span="${gap!.after!.span}"]`);
    await until(page, "document.querySelectorAll('tr[data-position]').length === 1");
    expect(await textOf(page, "#span-rows code")).toBe(gap!.after!.span);
    const steps = await openEvidence(page, 7);
    expect(steps.filter((step) => step.includes("✓"))).not.toEqual([]);
    expect(steps.filter((step) => step.includes("✗"))).toEqual([]);
    expect(await textOf(page, "#evidence-7")).toContain("entry");
  });
});

describe("spans of their own", () => {
  it("are verified by the keyboard alone", async () => {
    const { page } = await openVerifier(browser);
    const focused = () => page.evaluate<string>("document.activeElement.id");
    const tabTo = async (id: string) => {
      while ((await focused()) !== id) await page.keyboard.press("Tab");
    };
    let chosen = "";
    // One listener for both: while there is none, the browser opens a dialogue of its own.
    page.on("filechooser", (chooser) => void chooser.setFiles([evidence.path(chosen)]));
    for (const [id, name] of [
      ["spans-file", "alone.bin"],
      ["keys-file", "keys.json"],
    ] as const) {
      chosen = name;
      await tabTo(id);
      await page.keyboard.press("Space");
      await until(page, `document.getElementById("exhibits").textContent.includes("${name}")`);
    }
    await tabTo("tenant");
    await page.keyboard.type("acme");
    await tabTo("verify");
    await page.keyboard.press("Enter");
    await until(page, "!document.getElementById('result').hidden");
    expect(await focused()).toBe("result-heading");
    expect(await page.evaluate("document.getElementById('log').checked")).toBe(false);
    await tabTo("text-filter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await until(page, "document.querySelector('.steps')");
    expect((await stepsOf(page, 1)).length).toBeGreaterThan(2);
  });

  it("are a page at a time, filtered by verdict and by text", async () => {
    const { page } = await openVerifier(browser);
    await drop(page, ...dropped("all.bin", "keys.json"));
    await until(page, "document.getElementById('log').checked");
    await set(page, "log", false);
    const { spans } = (await verify(page)) as Facts;
    expect(await textOf(page, "#page-text")).toBe("Spans 1 to 100 of 300");
    for (const [id, text] of [
      ["next-page", "Spans 101 to 200 of 300"],
      ["next-page", "Spans 201 to 300 of 300"],
      ["previous-page", "Spans 101 to 200 of 300"],
    ] as const) {
      await press(page, `#${id}`);
      await until(page, `document.getElementById("page-text").textContent === ${JSON.stringify(text)}`);
    }
    const compromised = spans.failures.filter(({ reason }) => reason === "KEY_COMPROMISED").length;
    await set(page, "verdict-filter", "KEY_COMPROMISED");
    await until(page, `document.getElementById("page-text").textContent.endsWith(" of ${compromised}")`);
    const rows = await textsOf(page, "#span-rows tr[data-position] strong");
    expect(new Set(rows)).toEqual(new Set(["✗ KEY_COMPROMISED"]));
    await set(page, "text-filter", "no span is called so");
    await until(page, "document.querySelectorAll('#span-rows tr').length === 0");
  });

  it("that were altered say which step does not hold", async () => {
    const { page } = await openVerifier(browser);
    await drop(page, ...dropped("altered.bin", "keys.json"));
    const { spans } = (await verify(page)) as Facts;
    expect([await conclusionOf(page), spans.failures[0]?.reason]).toEqual(["FAILED", "SIGNATURE_MISMATCH"]);
    const titles = await openEvidence(page, 1);
    expect(titles[titles.indexOf("The signature") + 1]).toBe(" ✗ does not hold");
  });
});

/** Chromium may wait for a printer that there is not. */
const noPrinter = `Object.defineProperty(HTMLIFrameElement.prototype, "contentWindow", {
  get: () => ({ print() { document.title = "printed"; } }),
})`;

describe("the report", () => {
  it("is saved as the facts make it, with the date that was given, and is what is printed", async () => {
    const { page, complaints } = await openVerifier(browser, { before: noPrinter });
    await drop(page, ...dropped("log.bin", "keys.json", "checkpoint"));
    const facts = (await verify(page)) as Facts;
    const date = "2026-12-02";
    await set(page, "report-date", date);
    const [saved] = await Promise.all([page.waitForEvent("download"), press(page, "#save-report")]);
    const origin = { madeBy: `fluo-verify.html ${packageJson.version}`, date, command: repeatCommand(facts, date) };
    const wanted = reportHtml(facts, origin);
    expect(saved.suggestedFilename()).toBe("report.html");
    expect(readFileSync(await saved.path(), "utf8")).toBe(wanted);
    await press(page, "#print-report");
    await until(page, "document.querySelector('iframe')?.contentDocument?.querySelector('.conclusion')");
    const frame = "document.querySelector('iframe')";
    expect(await page.evaluate(`${frame}.srcdoc`)).toBe(wanted);
    await until(page, "document.title === 'printed'");
    const border = `getComputedStyle(${frame}.contentDocument.querySelector(".conclusion")).borderTopStyle`;
    expect(await page.evaluate(border)).toBe("solid");
    expect(complaints).toEqual([]);
  });
});

/** Drops a file of parts that a script in the page makes, and waits until it is listed beside one other. */
async function dropParts(page: Page, parts: string): Promise<void> {
  await page.evaluate(`{
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(${parts}, "parts"));
    document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
  }`);
  await until(page, "document.querySelectorAll('#exhibits li').length === 2");
}

describe("hostile files", () => {
  it("with names and keys of markup and of any length are shown as text, and nothing runs", async () => {
    const opened = await openVerifier(browser);
    const { page } = opened;
    const name = `"'><img src=x onerror="document.title='ran'">\u202e\n`;
    const jwks = JSON.parse(Buffer.from(evidence.bytes("keys.json")).toString());
    jwks.keys[0].kid = name + "k".repeat(4_000_000);
    await drop(page, { name, bytes: evidence.bytes("log.bin") }, { name, bytes: Buffer.from(JSON.stringify(jwks)) });
    expect(((await verify(page)) as Facts).spans.verified).toBe(96);
    expect(await page.evaluate("document.querySelectorAll('img').length")).toBe(0);
    expect((await textOf(page, "main")).length).toBeLessThan(50_000);
    const [saved] = await Promise.all([page.waitForEvent("download"), press(page, "#save-report")]);
    const html = readFileSync(await saved.path(), "utf8");
    expect(html).not.toMatch(/<img|\u202e/);
    expect(html.length).toBeLessThan(50_000);
    expect(await page.evaluate("document.title")).toBe("Verify signed spans");
    expect([foreignRequests(opened), opened.complaints]).toEqual([[], []]);
  });

  it("are refused where a line is longer than any text of the browser, as Chromium would read it as empty", async () => {
    const { page } = await openVerifier(browser);
    await drop(page, ...dropped("keys.json"));
    const long = `Array(9).fill("a".repeat(64 * 1024 * 1024))`;
    await dropParts(
      page,
      `['{"resourceSpans":["', ...${long}, '"]}', String.fromCharCode(10), '{"resourceSpans":[]}']`,
    );
    expect(await verify(page)).toContain("too large for the memory of this browser");
  });
});

describe("files", () => {
  it("and a question that change during a verification leave a result that says so", async () => {
    const { page } = await openVerifier(browser);
    await drop(page, ...dropped("many.bin", "keys.json"));
    const verified = verify(page);
    await until(page, "!document.getElementById('working').hidden");
    await set(page, "tenant", "other");
    expect(((await verified) as Facts).asked.tenant).toBe(undefined);
    expect(await page.evaluate("document.getElementById('stale').hidden")).toBe(false);
    await drop(page, ...dropped("alone.bin"));
    await verify(page);
    expect(await page.evaluate("document.getElementById('stale').hidden")).toBe(true);
  });

  it("are told apart by what is in them, replaced, chosen and removed", async () => {
    const { page } = await openVerifier(browser);
    const renamed = (name: string, as: string) => ({ name: as, bytes: evidence.bytes(name) });
    await drop(page, renamed("alone.bin", "keys.json"), renamed("keys.json", "spans.bin"));
    await drop(page, renamed("altered.bin", "second.bin"));
    expect(await textOf(page, "#file-notes")).toBe("second.bin replaces keys.json: one export is verified at a time.");
    await drop(page, ...dropped("other-keys.json"));
    expect(((await verify(page)) as Facts).exhibits.map(({ name }) => name)).toEqual(["second.bin", "other-keys.json"]);
    await press(page, 'input[name="keys-used"]');
    expect(((await verify(page)) as Facts).exhibits.map(({ name }) => name)).toEqual(["second.bin", "spans.bin"]);
    await drop(page, { name: "odd\u202efdp.exe", bytes: Buffer.from("MZ") });
    expect(await textOf(page, "#file-notes")).toMatch(/^odd\\u202efdp\.exe is left out: it is neither/);
    await press(page, '[data-role="spans"] button');
    expect(await verify(page)).toBe("An export of spans is still to be given.");
  });

  it("of JSON and JSON lines are exports, too", async () => {
    const { page } = await openVerifier(browser);
    const spans = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}';
    for (const text of [
      spans,
      `\ufeff \n${spans}`,
      `${spans}\n${spans}\n`,
      spans.replace("resourceSpans", "resource_spans"),
    ]) {
      await drop(page, { name: "spans", bytes: Buffer.from(text) }, ...dropped("keys.json"));
      const { total } = ((await verify(page)) as Facts).spans;
      expect(total).toBe(text.split('"a"').length - 1);
    }
  });

  it.each([
    ["a key set that is none", ["#keys-file", '{"keys":[{"kty":"OKP"}]}'], /keys\[0\]/],
    ["an export that is none", ["#spans-file", "these are no spans"], /not JSON/],
    ["a checkpoint that is none", ["#checkpoints-file", "these are no checkpoints"], /holds no checkpoint/],
    ["a checkpoint by another key", ["#checkpoints-file", ""], /no key of the keys file signed the checkpoint/],
  ] as const)("with %s are refused with a sentence", async (_, [input, text], sentence) => {
    const { page } = await openVerifier(browser);
    const name = input.slice(1);
    await drop(page, ...dropped("log.bin", "keys.json"));
    if (text === "") await drop(page, ...dropped("checkpoint", "other-keys.json"));
    else {
      await page.evaluate(`{
        const all = new DataTransfer();
        all.items.add(new File([${JSON.stringify(text)}], "${name}"));
        document.querySelector("${input}").files = all.files;
        document.querySelector("${input}").dispatchEvent(new Event("change"));
      }`);
      await until(page, `document.getElementById("exhibits").textContent.includes("${name}")`);
    }
    expect(await verify(page)).toMatch(sentence);
    expect(await textOf(page, "#trouble")).toMatch(sentence);
    expect(await page.evaluate("document.getElementById('result').hidden")).toBe(true);
  });
});

it("refuses bounds that are none, and goes on when they are mended", async () => {
  const { page } = await openVerifier(browser);
  await drop(page, ...dropped("log.bin", "keys.json"));
  await until(page, "document.getElementById('log').checked");
  await set(page, "from", "03");
  expect(await verify(page)).toBe("The beginning is a number of entries, such as 0 or 1500.");
  await set(page, "from", "20");
  await set(page, "to", "20");
  expect(await verify(page)).toBe("The beginning must be below the end.");
  await set(page, "to", "30");
  expect(((await verify(page)) as Facts).logs.map(({ from, to }) => [from, to])).toEqual([[20, 30]]);
});

it("is cancelled at once, and verifies again", async () => {
  const { page } = await openVerifier(browser);
  await page.setInputFiles("#spans-file", [evidence.path("many.bin")]);
  await page.setInputFiles("#keys-file", [evidence.path("keys.json")]);
  await press(page, "#verify");
  await until(page, "!document.getElementById('working').hidden");
  await press(page, "#cancel");
  expect(await textOf(page, "#progress-text")).toBe("Cancelled.");
  expect(await page.evaluate("document.getElementById('result').hidden")).toBe(true);
  await drop(page, ...dropped("alone.bin"));
  expect(((await verify(page)) as Facts).spans.failures.length).toBeGreaterThan(0);
});

describe("what others wrote", () => {
  const markup = '<img src=x onerror="document.title=\'run\'"></bdi><script>document.title="run"</script>';
  const ids = [len(1, Buffer.alloc(16, 1)), len(2, Buffer.alloc(8, 1))];
  const spanOf = (name: string, ...fields: Uint8Array[]) =>
    len(1, message(len(2, message(len(2, message(...ids, len(5, name), ...fields))))));
  const attribute = (key: string, value: Uint8Array) => len(9, keyValue(key, value));
  const deep = Array.from({ length: 3000 }).reduce<Uint8Array>((inner) => len(5, len(1, inner)), stringValue("x"));

  it("is shown as text, cut, and turns the direction of nothing", async () => {
    const opened = await openVerifier(browser);
    const { page } = opened;
    const spans = message(
      spanOf(markup),
      spanOf("__proto__", attribute("__proto__", stringValue("x"))),
      spanOf("abc\u202edcb\u2067\n"),
      spanOf("x".repeat(4 * 1024 * 1024)),
      spanOf("many", ...Array.from({ length: 10_000 }, (_, i) => attribute(`key ${i}`, stringValue(markup)))),
      spanOf("deep", attribute("deep", deep)),
    );
    await drop(page, { name: `${markup}.bin`, bytes: spans }, ...dropped("keys.json"));
    const facts = (await verify(page)) as Facts;
    expect(facts.spans.total).toBe(6);
    const names = await textsOf(page, "#span-rows tr[data-position] td:nth-child(3) > div");
    expect(names.slice(0, 3)).toEqual([markup, "__proto__", "abc\\u202edcb\\u2067\\u000a"]);
    expect(names[3]).toBe(`${"x".repeat(300)}… (4,194,304 characters)`);
    for (const position of [1, 2, 3, 4, 5, 6]) expect((await openEvidence(page, position)).length).toBeGreaterThan(0);
    expect(await page.evaluate("document.querySelector('main').textContent.length")).toBeLessThan(100_000);
    expect(await page.evaluate("document.querySelectorAll('main img, main script').length")).toBe(0);
    expect(await page.evaluate("document.title")).toBe("Verify signed spans");
    expect(foreignRequests(opened)).toEqual([]);
    expect(opened.complaints).toEqual([]);
  });
});

describe("a browser that lacks", () => {
  it.each([
    ["Ed25519", "SubtleCrypto.prototype.generateKey = () => Promise.reject(new Error())", "(Ed25519)"],
    ["WebCrypto", "Object.defineProperty(crypto, 'subtle', { value: undefined })", "(WebCrypto)"],
    ["workers", "delete globalThis.Worker", "no workers"],
  ])("%s is told what cannot be checked in it, and what to do", async (_, before, words) => {
    const { page } = await openVerifier(browser, { before });
    await until(page, "document.getElementById('unsupported').textContent !== ''");
    expect(await textOf(page, "#unsupported")).toContain(words);
    expect(await textOf(page, "#unsupported")).toContain("fluo-kms verify");
    expect(await page.evaluate("document.getElementById('verify').disabled")).toBe(true);
  });
});

describe("the page's policy", () => {
  const tries: Record<string, string> = {
    "a script in the page": `{
      const script = document.createElement("script");
      script.append("document.title = 'run'");
      document.body.append(script);
    }`,
    "a handler in markup": `try { document.body.setAttribute("onclick", "document.title = 'run'"); document.body.click(); } catch {}`,
    markup: `try { document.body.innerHTML = "<b>x</b>"; document.title = "run"; } catch {}`,
    // A timer takes a text too, and runs it after the evaluation, in which the browser's protocol sets the policy aside.
    "a script from a text": `try { setTimeout("document.title = 'run'"); } catch {}`,
    "a request": `fetch("http://127.0.0.1:9/").then(() => { document.title = "run"; }, () => {})`,
    "an image": `{
      const image = new Image();
      image.src = "http://127.0.0.1:9/";
      document.body.append(image);
    }`,
    "another worker": `try { new Worker("data:text/javascript,"); document.title = "run"; } catch {}`,
  };

  it.each(Object.entries(tries))("refuses %s", async (_, script) => {
    const { page } = await openVerifier(browser);
    const refused = page.evaluate<string>(
      "new Promise((resolve) => document.addEventListener('securitypolicyviolation', () => resolve(document.title), { once: true }))",
    );
    await page.evaluate(`${script}; undefined`);
    expect(await refused).toBe("Verify signed spans");
  });
});
