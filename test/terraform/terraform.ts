/** Runs Terraform on a copy of the module, as it writes beside what it reads, with its provider from the mirror and from nowhere else. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export interface Terraform {
  /** The copy of the module. */
  directory: string;
  /** What it wrote, to both; throws for an exit code that is not among `codes`. */
  run(args: readonly string[], options?: RunOptions): Promise<{ code: number | null; out: string; err: string }>;
  /** Ends with the copy gone, and the state with it. */
  remove(): Promise<void>;
}

interface RunOptions {
  /** A folder of the module. */
  of?: string;
  codes?: readonly number[];
}

export const module = join(import.meta.dirname, "..", "..", "terraform", "aws-kms");
export const examples = ["examples/simple", "examples/multi-region", "examples/irsa"];

/** For one command; a provider that gets no answer tries again for much longer. */
const limitMs = 300_000;

export async function terraformCopy(env: Record<string, string> = {}): Promise<Terraform> {
  const mirror = process.env.TF_PLUGIN_MIRROR;
  if (mirror === undefined) throw new Error("TF_PLUGIN_MIRROR is not set: run `npm run test:terraform`");
  const parent = await mkdtemp(join(tmpdir(), "fluo-kms-terraform-"));
  const [directory, config] = [join(parent, "aws-kms"), join(parent, "terraform.rc")];
  // Without what Terraform left in the checkout of someone who tried an example there.
  const isOfModule = (path: string) => !/\/\.terraform|\.tfstate/.test(path.slice(module.length));
  await cp(module, directory, { recursive: true, filter: isOfModule });
  await writeFile(
    config,
    `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(mirror)}\n  }\n}\n`,
  );
  const all = {
    PATH: process.env.PATH,
    HOME: parent,
    TF_CLI_CONFIG_FILE: config,
    TF_IN_AUTOMATION: "1",
    CHECKPOINT_DISABLE: "1",
    AWS_EC2_METADATA_DISABLED: "true",
    ...env,
  };
  return {
    directory,
    async run(args, { of = ".", codes = [0] } = {}) {
      const child = spawn("terraform", args, { cwd: join(directory, of), env: all, timeout: limitMs });
      child.stdin.end();
      const [[code], out, err] = await Promise.all([once(child, "close"), text(child.stdout), text(child.stderr)]);
      if (!codes.includes(code))
        throw new Error(`terraform ${args.join(" ")} in ${of} ended with ${code}: ${out}${err}`);
      return { code, out, err };
    },
    remove: () => rm(parent, { recursive: true, force: true }),
  };
}
