/**
 * `npm run test:docs`: runs the guides' commands as they stand, and compares what they print with what the guides show: docs/blocks.ts and
 * docs/expected.ts say how. `-- QUICKSTART` runs that one alone.
 *
 * Guides use the ports that are documented. On Linux each runs in a network of its own, where all ports are free, two guides at a time;
 * where such cannot be made they run one after another, and those ports must be free. AWS is local-kms, Vault is OpenBao, and `aws` is AWS's own
 * command line, installed first at fixed versions; where that needs a tool that is not there, nothing is run: said loudly, and with CI=true a failure.
 * The last line is `N passed, N failed`.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { walk } from "./docs/guide.ts";
import { installAws } from "./tools/aws.ts";
import { installLocalKms } from "./tools/local-kms.ts";
import { installOpenBao } from "./tools/openbao.ts";

const root = join(import.meta.dirname, "..");
const bin = join(root, "tools", "bin");

/** The longest first. */
const guides = [
  "KMS_TROUBLESHOOTING",
  "VAULT_SETUP",
  "MULTI_REGION",
  "QUICKSTART",
  "AWS_KMS_SETUP",
  "REWRAP",
  "BACKUP",
];

const peers = [
  { name: "local-kms", tool: ["go", "version"], install: installLocalKms },
  { name: "OpenBao", tool: ["python3", "-m", "venv", "--help"], install: installOpenBao },
  { name: "the AWS command line", tool: ["python3", "-m", "venv", "--help"], install: installAws },
] as const;

/** That the guides use. */
const ports = [4599, 4600, 4601, 8080, 8181, 8200, 8201, 9000];

/** A network with a loopback of its own and nothing else. */
const alone = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"] as const;
const oneGuide = "--one";

process.exitCode = process.argv[2] === oneGuide ? await runOne(process.argv[3]!) : await runAll(process.argv.slice(2));

async function runOne(page: string): Promise<number> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  const { passed, failed, skipped } = await walk(root, page);
  console.log(`${page}: ${passed} right, ${failed} wrong, ${skipped} not run`);
  return failed === 0 ? 0 : 1;
}

async function runAll(asked: readonly string[]): Promise<number> {
  const missing = peers.filter(({ tool: [command, ...args] }) => spawnSync(command, args).status !== 0);
  for (const { name, tool } of missing) {
    const what = process.env.CI === "true" ? "FAILED" : "SKIPPED";
    console.error(`${what}: the guides are not run, as there is no ${tool[0]} to install ${name}; put it on the PATH`);
  }
  if (missing.length > 0) return summary({ passed: 0, failed: process.env.CI === "true" ? 1 : 0 });
  for (const { name, install } of peers) {
    try {
      await install(bin);
    } catch (error) {
      console.error(`FAILED: ${name} is not installed: ${error}`);
      return summary({ passed: 0, failed: 1 });
    }
  }
  const canBeAlone = spawnSync(alone[0], [...alone.slice(1), "true"]).status === 0;
  const taken = canBeAlone ? [] : await takenPorts();
  if (taken.length > 0) {
    const what = `the guides need the ports ${taken.join(", ")}, which are in use, and no network of their own can be made here`;
    console.error(`FAILED: ${what}`);
    return summary({ passed: 0, failed: 1 });
  }
  const chosen = guides.filter((name) => asked.length === 0 || asked.some((word) => name.includes(word)));
  if (chosen.length === 0) {
    console.error(`FAILED: no guide of that name; there are ${guides.join(", ")}`);
    return summary({ passed: 0, failed: 1 });
  }
  const waiting = chosen.values();
  const total = { passed: 0, failed: 0 };
  const work = async () => {
    for (const name of waiting) {
      const { passed, failed } = await inItsNetwork(`docs/${name}.md`, canBeAlone);
      total.passed += passed;
      total.failed += failed;
    }
  };
  await Promise.all(Array.from({ length: canBeAlone ? Math.min(2, availableParallelism()) : 1 }, work));
  return summary(total);
}

async function takenPorts(): Promise<number[]> {
  const taken: number[] = [];
  for (const port of ports) {
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening").then(
      () => once(server.close(), "close"),
      () => taken.push(port),
    );
  }
  return taken;
}

/** Its output in one piece, as another guide may be running. */
async function inItsNetwork(page: string, isAlone: boolean): Promise<{ passed: number; failed: number }> {
  const [command, ...args] = [
    ...(isAlone ? alone : []),
    process.execPath,
    import.meta.filename,
    oneGuide,
    page,
  ] as const;
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  for await (const text of child.stdout.setEncoding("utf8")) printed += text;
  process.stdout.write(printed);
  const [, passed, failed] = /: (\d+) right, (\d+) wrong, \d+ not run\n$/.exec(printed) ?? [];
  return passed === undefined ? { passed: 0, failed: 1 } : { passed: Number(passed), failed: Number(failed) };
}

function summary({ passed, failed }: { passed: number; failed: number }): number {
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
