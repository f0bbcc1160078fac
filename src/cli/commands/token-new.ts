/** `token new`: a static token, and the lines of the policy that make it good. */
import { realTime } from "../../runtime/time.ts";
import { newStaticToken } from "../../auth/token/static-token.ts";
import { type Command, exitCode, jsonOption, type OptionValues, textOf, UsageError } from "../command.ts";
import { refuseExisting, writeNewFile } from "../new-file.ts";
import { printError, printJson, printLine } from "../print.ts";

const ownerOnly = 0o600;

export const tokenNew: Command = {
  name: "token new",
  summary: "Makes a static token, and prints the lines for the policy.",
  options: [
    { name: "name", value: "NAME", description: "what the policy and the audit trail call it, app by default" },
    { name: "expires", value: "DATE", description: "when it ends, as in 2027-06-30; without it, never" },
    { name: "out", value: "FILE", description: "a new file for the token, which its owner alone can read" },
    jsonOption,
  ],
  details: [
    "The token is printed once, alone on standard output unless there is --out. The policy has its SHA-256 alone, from which nobody finds the",
    "token. A rule then says what it may do: who: { token: NAME }.",
    "",
  ],
  async run(options) {
    const { name, expires, out } = await wishes(options, realTime.now().getTime());
    const { token, sha256 } = newStaticToken();
    const lines = policyLines(name, sha256, expires);
    if (out !== undefined) writeNewFile(out, [`${token}\n`], ownerOnly);
    if (options.json === true) {
      printJson({ name, sha256, expires: expires ?? null, ...(out === undefined ? { token } : { out }) });
      return exitCode.ok;
    }
    if (out === undefined) printLine(token);
    const say = out === undefined ? printError : printLine;
    say(`# ${out === undefined ? "The token is shown this once." : `${out} has the token.`} For the policy:`);
    for (const line of lines) say(line);
    return exitCode.ok;
  },
};

function policyLines(name: string, sha256: string, expires: string | undefined): string[] {
  const end = expires === undefined ? [] : [`    expires: ${expires}`];
  return ["tokens:", `  - name: ${name}`, `    sha256: ${sha256}`, ...end];
}

/** The policy's own reader says whether a name and a date are right. */
async function wishes(options: OptionValues, now: number) {
  const [name = "app", expires, out] = ["name", "expires", "out"].map((each) => textOf(options, each));
  const token = { name, sha256: "0".repeat(64), ...(expires !== undefined && { expires }) };
  const rule = { name: "r", who: { token: name }, roles: ["verify"], tenants: "*" };
  const { readPolicy } = await import("../../auth/policy/policy.ts");
  const { policy, problems } = readPolicy(JSON.stringify({ version: "1", tokens: [token], rules: [rule] }));
  if (policy === undefined) throw new UsageError(problems[0]!.text);
  const end = policy.tokens[0]!.expires;
  if (end !== undefined && end.getTime() <= now) throw new UsageError(`--expires ${expires} is past`);
  if (out !== undefined) refuseExisting(out);
  return { name, expires, out };
}
