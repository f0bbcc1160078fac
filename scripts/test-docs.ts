/**
 * `npm run test:docs`: runs the commands of README and the guides as they stand, and compares what they print with what the guides show: docs/blocks.ts and
 * docs/expected.ts say how. `-- QUICKSTART` runs that one alone, `-- runbooks` all runbooks, `-- runbooks/kms-gone` one.
 * `-- --short` runs QUICKSTART and README, or the pages that it names.
 *
 * AWS is local-kms, Vault is OpenBao, and `aws`, `grpcurl` and `helm` are the command lines of that name, installed first at fixed versions; if one cannot be had, nothing
 * is run: tools/not-run.ts says so. `-- --install` installs and runs nothing. The last line is `N passed, N failed`.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isShortRun, takeShort } from "../test/support/short-option.ts";
import { walk } from "./docs/guide.ts";
import { type Network, networkForGuides } from "./docs/network.ts";
import { installAws } from "./tools/aws.ts";
import { usePackageCaches } from "./tools/cache.ts";
import { isThere } from "./tools/command.ts";
import { installGo } from "./tools/go.ts";
import { grpcurl } from "./tools/grpcurl.ts";
import { helm } from "./tools/helm.ts";
import { installLocalKms } from "./tools/local-kms.ts";
import { notRun } from "./tools/not-run.ts";
import { installOpenBao } from "./tools/openbao.ts";

const root = join(import.meta.dirname, "..");

const runbooks = join(root, "docs", "runbooks");

/** The pages that are walked, the longest first. Each is in docs/, except README; runbooks are all that there are. */
const guides = [
  "KMS_TROUBLESHOOTING",
  "AUTHENTICATION",
  "VAULT_SETUP",
  "MULTI_REGION",
  "QUICKSTART",
  "AWS_KMS_SETUP",
  "REWRAP",
  "BACKUP",
  "UPGRADE",
  "PRODUCTION",
  "TENANT_KEYS",
  "SPAN_LOG",
  "SIGNED_SPANS",
  "GCP_KMS_SETUP",
  "AZURE_KEY_VAULT_SETUP",
  "KEYS",
  "COST",
  "README",
  "API",
  "COMMAND_LINE",
  "CONFIGURATION",
  "TOKENS",
  "CONTAINER",
  "SYSTEMD",
  ...pagesIn(runbooks).map((name) => `runbooks/${name}`),
];

/** Guides of the short form: what people read first. */
const inShort = ["QUICKSTART", "README"];

/** On the PATH: to install what the guides use, and that they use themselves. */
const tools = [
  ["go", "version"],
  ["python3", "-m", "venv", "--help"],
  ["curl", "--version"],
  ["openssl", "version"],
  ["jq", "--version"],
] as const;

async function install(): Promise<void> {
  const missing = tools.filter(([command, ...args]) => !isThere(command, args)).map(([name]) => name);
  if (missing.length > 0) throw new Error(`${missing.join(", ")} not found on the PATH`);
  await installLocalKms();
  await installOpenBao();
  await installAws();
  for (const tool of [grpcurl, helm]) await installGo(tool);
}

/** Before the page, as the one argument of the process that walks it. */
const oneGuide = "--one";
const onlyInstall = "--install";

process.exitCode =
  process.argv[2] === oneGuide ? await walkOne(process.argv[3]!) : await walkAll(takeShort(process.argv.slice(2)));

async function walkOne(page: string): Promise<number> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  const { passed, failed, skipped } = await walk(root, page);
  console.log(`${page}: ${passed} right, ${failed} wrong, ${skipped} not run`);
  return failed === 0 ? 0 : 1;
}

async function walkAll(words: readonly string[]): Promise<number> {
  usePackageCaches();
  const asked = words.filter((word) => word !== onlyInstall);
  const wanted = asked.length === 0 && isShortRun() ? inShort : asked;
  const chosen = guides.filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
  if (chosen.length === 0) {
    console.error(`FAILED: none is called so; there are ${guides.join(", ")}`);
    return summary(0, 1);
  }
  let network: Network;
  try {
    await install();
    if (words.includes(onlyInstall)) return 0;
    network = await networkForGuides();
  } catch (error) {
    return summary(0, notRun("docs", (error as Error).message));
  }
  if (isShortRun()) console.log(`SHORT: ${guides.length - chosen.length} of ${guides.length} guides are left out`);
  else if (asked.length === 0) tellOthers();
  return walkIn(network, chosen);
}

async function walkIn(network: Network, names: readonly string[]): Promise<number> {
  const waiting = names.values();
  let [passed, failed] = [0, 0];
  const work = async () => {
    for (const name of waiting) {
      const counts = await walkApart(network, name === "README" ? "README.md" : `docs/${name}.md`);
      passed += counts.passed;
      failed += counts.failed;
    }
  };
  await Promise.all(Array.from({ length: network.guides }, work));
  return summary(passed, failed);
}

/** In a process of its own, whose output is shown in one piece, as another guide may be under way. */
async function walkApart({ wrapper }: Network, page: string): Promise<{ passed: number; failed: number }> {
  const [command, ...args] = [...wrapper, process.execPath, import.meta.filename, oneGuide, page];
  const child = spawn(command!, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  for await (const text of child.stdout.setEncoding("utf8")) printed += text;
  process.stdout.write(printed);
  const [, passed, failed] = /: (\d+) right, (\d+) wrong, \d+ not run\n$/.exec(printed) ?? [];
  return { passed: Number(passed ?? 0), failed: Number(failed ?? 1) };
}

function tellOthers(): void {
  for (const page of pagesIn(join(root, "docs")).filter((page) => !guides.includes(page))) {
    console.log(`not run: docs/${page}.md: it is none of the guides that scripts/test-docs.ts lists`);
  }
}

/** Names without their ending. */
function pagesIn(folder: string): string[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".md"));
  return files.map((file) => file.slice(0, -".md".length)).sort();
}

function summary(passed: number, failed: number): number {
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
