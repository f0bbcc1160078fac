/** `policy new`: a policy with a first administrator, and how to put it in force. */
import { join, resolve } from "node:path";
import { realTime } from "../../runtime/time.ts";
import { newStaticToken } from "../../auth/token/static-token.ts";
import { suggestion } from "../../encoding/nearest.ts";
import { type Command, exitCode, jsonOption, textOf, UsageError } from "../command.ts";
import { makeFolderOf, refuseExisting, writeNewFile } from "../new-file.ts";
import { type TemplateName, templates } from "../policy/templates.ts";
import { printError, printJson, printLine } from "../print.ts";

/**
 * A policy holds no secret, and the service may run as another user: others may read it as far as the umask
 * lets them, and none may write it.
 */
const mode = 0o644;
const tokenDays = 365;
const dayMs = 86_400_000;

/** The default, in a folder of its own: the service watches it, and each file that is written there wakes the service. */
const defaultFile = join("policy", "policy.yaml");

export const policyNew: Command = {
  name: "policy new",
  summary: "Writes a policy with a first administrator.",
  options: [
    {
      name: "for",
      value: "KIND",
      description: `who will call: ${Object.keys(templates).join(", ")}; local by default`,
    },
    { name: "out", value: "FILE", description: `the new file, ${defaultFile} by default` },
    jsonOption,
  ],
  details: [
    "The administrator of a local policy has a static token, which is printed once, alone on standard output:",
    "  (umask 077; fluo-kms policy new > admin.token)",
    "The policy has the token's SHA-256 alone, so others may read the file as far as your umask lets them; its owner alone may write it. A file",
    "that exists is never written over. Keep what the policy names (authorities, revocation lists, key sets) in its folder, and nothing that is",
    "written while the service runs, such as its log, its store and tokens.",
    "",
  ],
  async run(options) {
    const kind = kindOf(textOf(options, "for") ?? "local");
    const given = textOf(options, "out");
    const out = given ?? defaultFile;
    if (given === undefined) makeFolderOf(out);
    refuseExisting(out);
    const first = kind === "local" ? newStaticToken() : undefined;
    const expires = new Date(realTime.now().getTime() + tokenDays * dayMs).toISOString().slice(0, 10);
    const text = templates[kind]({ sha256: first?.sha256 ?? "", expires });
    const { readPolicy } = await import("../../auth/policy/policy.ts");
    const { policy, problems } = readPolicy(text);
    if (policy === undefined) throw new Error(`the template ${kind} has problems: ${problems[0]?.text}`);
    writeNewFile(out, [text], mode);
    const lines = text.split("\n").flatMap((line, at) => (line.includes("# yours") ? [at + 1] : []));
    const written = { kind, out, lines, token: first && { token: first.token, expires } };
    if (options.json === true) printJson(newJson(written));
    else print(written);
    return exitCode.ok;
  },
};

interface Written {
  kind: TemplateName;
  out: string;
  /** Those that the reader has to change. */
  lines: number[];
  token: { token: string; expires: string } | undefined;
}

function kindOf(text: string): TemplateName {
  if (Object.hasOwn(templates, text)) return text as TemplateName;
  const kinds = Object.keys(templates);
  throw new UsageError(`--for is ${kinds.join(", ")}${suggestion(text, kinds)}`);
}

const settingsFor = (out: string) => ({ "fluo.kms.auth": "policy", "fluo.kms.policy.file": resolve(out) });

/** How the administrator shows who it is. */
const credentials: Record<TemplateName, readonly string[]> = {
  local: ["export FLUO_KMS_TOKEN_FILE=admin.token"],
  kubernetes: [
    "(umask 077; kubectl -n fluo-kms create token admin --audience fluo-kms > admin.token)",
    "export FLUO_KMS_TOKEN_FILE=admin.token",
  ],
  spiffe: ["export FLUO_KMS_CLIENT_CERT=svid.pem FLUO_KMS_CLIENT_KEY=svid_key.pem"],
  oidc: ["export FLUO_KMS_TOKEN_FILE=admin.token # with an access token of your identity provider"],
};

/** A token is alone on standard output, so that it can go into a file. */
function print({ kind, out, lines, token }: Written): void {
  if (token !== undefined) printLine(token.token);
  const say = token === undefined ? printLine : printError;
  const last = lines.at(-1);
  const steps: string[][] = [
    token === undefined
      ? [
          `change lines ${lines.slice(0, -1).join(", ")} and ${last}, marked yours, and check the policy:`,
          `fluo-kms policy check ${out}`,
        ]
      : [`keep the token in a file that you alone can read; it is not shown again, and ends on ${token.expires}`],
    [
      "set in application.properties:",
      ...Object.entries(settingsFor(out)).map(([name, value]) => `${name}=${value}`),
      ...(kind === "spiffe" ? ["and fluo.kms.tls.certificate and fluo.kms.tls.key, since certificates need TLS"] : []),
    ],
    ["be the administrator on the command line:", ...credentials[kind]],
  ];
  say(`${out} is written. Next:`);
  for (const [at, [first, ...others]] of steps.entries()) {
    say(`  ${at + 1}. ${first}`);
    for (const line of others) say(`     ${line}`);
  }
}

function newJson({ kind, out, lines, token }: Written) {
  return { file: resolve(out), for: kind, lines_to_change: lines, settings: settingsFor(out), ...token };
}
