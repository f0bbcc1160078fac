/** The chart as Helm renders it, and its examples. */
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseAllDocuments } from "yaml";

const root = join(import.meta.dirname, "..", "..");
export const tools = join(root, "tools");
export const deploy = join(root, "deploy");
export const chart = join(deploy, "helm", "fluo-kms");

/** Names of the files in ci/, without their ending. */
export const examples: readonly string[] = globSync(join(chart, "ci", "*.yaml"))
  .map((file) => basename(file, ".yaml"))
  .sort();

export function exampleFile(name: string): string {
  return join(chart, "ci", `${name}.yaml`);
}

// biome-ignore lint/suspicious/noExplicitAny: what Helm renders is of many kinds, and the tests say what they find.
export type Rendered = any;

export interface HelmRun {
  status: number | null;
  stdout: string;
  stderr: string;
}

export function runHelm(args: readonly string[]): HelmRun {
  const { error, status, stdout, stderr } = spawnSync(join(tools, "bin", "helm"), args, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** Options of Helm for one example or several, the last of them first in rank. `set` are values as --set-json takes them. */
export function valuesOf(example: string | readonly string[], set: readonly string[] = []): string[] {
  const files = [example].flat().flatMap((each) => ["--values", exampleFile(each)]);
  return [...files, ...set.flatMap((each) => ["--set-json", each])];
}

export function tryTemplate(example: string | readonly string[], set: readonly string[] = []): HelmRun {
  return runHelm(["template", "kms", chart, "--namespace", "fluo", ...valuesOf(example, set)]);
}

/** Throws with what Helm says where it refuses. */
export function template(example: string | readonly string[], set: readonly string[] = []): string {
  const { status, stdout, stderr } = tryTemplate(example, set);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

export function documents(text: string): Rendered[] {
  return parseAllDocuments(text)
    .map((each) => {
      if (each.errors.length > 0) throw each.errors[0];
      return each.toJS();
    })
    .filter((each) => each !== null);
}

export function objects(example: string | readonly string[], set: readonly string[] = []): Rendered[] {
  return documents(template(example, set));
}

/** The only one of its kind, and name if that is given. */
export function only(rendered: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = rendered.filter((each) => each.kind === kind && (name === undefined || each.metadata.name === name));
  if (found.length !== 1) throw new Error(`there are ${found.length} of kind ${kind} ${name ?? ""}`);
  return found[0];
}

/** Pods and templates of pods, each with the name of what has it. */
export function podsOf(rendered: readonly Rendered[]): { name: string; metadata: Rendered; spec: Rendered }[] {
  return rendered.flatMap((each) => {
    const name = `${each.kind} ${each.metadata.name}`;
    if (each.kind === "Pod") return [{ name, metadata: each.metadata, spec: each.spec }];
    const template = each.spec?.jobTemplate?.spec.template ?? each.spec?.template;
    return template === undefined ? [] : [{ name, ...template }];
  });
}

/** The template of the service's own pods. */
export function servicePod(rendered: readonly Rendered[]): Rendered {
  const [found, ...more] = rendered.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet");
  if (found === undefined || more.length > 0) throw new Error("there is not one workload");
  return found.spec.template;
}

export function fileOfMonitoring(...path: string[]): string {
  return readFileSync(join(root, "monitoring", ...path), "utf8");
}
