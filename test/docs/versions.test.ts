/**
 * One version for the service and its clients: each file that states it, and where it does. A client whose file is not there fails: it would
 * otherwise be released under an old version.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import packageJson from "../../package.json" with { type: "json" };

const root = join(import.meta.dirname, "..", "..");

/** Patterns whose first group is the version, by file. */
const stated: Readonly<Record<string, RegExp>> = {
  "package.json": /^ {2}"version": "(.+)",$/m,
  "package-lock.json": /^ {2}"version": "(.+)",$/m,
  "clients/go/kms/version.go": /^const Version = "(.+)"$/m,
  "clients/go/go.mod": /^\tgithub\.com\/fluo-dev\/fluo-kms\/clients\/go\/verify v(.+)$/m,
  "clients/python/pyproject.toml": /^\[project\]\n(?:.*\n)*?version = "(.+)"$/m,
  "clients/java/pom.xml": /<artifactId>fluo-kms<\/artifactId>\s*<version>(.+)<\/version>/,
  "clients/typescript/package.json": /^ {2}"version": "(.+)",$/m,
  "clients/ruby/lib/fluo/kms/version.rb": /^ *VERSION = "(.+)"$/m,
  "clients/rust/Cargo.toml": /^\[package\]\n(?:.*\n)*?version = "(.+)"$/m,
  "clients/rust/Cargo.lock": /^name = "fluo-kms"\nversion = "(.+)"$/m,
  "deploy/gitops/argo-cd.yaml": /^ {4}targetRevision: v(.+)$/m,
  "deploy/gitops/flux.yaml": /^ {2}ref: \{ tag: v(.+) \}$/m,
  "docs/clients/JAVA.md": /<artifactId>fluo-kms<\/artifactId>\s*<version>(.+)<\/version>/,
};

function versionIn(text: string, pattern: RegExp): string | undefined {
  return pattern.exec(text)?.[1];
}

describe.each(Object.entries(stated))("%s", (file, pattern) => {
  it("is there, and states the version of the service", () => {
    expect(existsSync(join(root, file)), `${file} is missing`).toBe(true);
    expect(versionIn(readFileSync(join(root, file), "utf8"), pattern)).toBe(packageJson.version);
  });
});

it.each(["go", "python", "java", "typescript", "ruby", "rust"])("covers the client for %s", (language) => {
  expect(Object.keys(stated).some((file) => file.startsWith(`clients/${language}/`))).toBe(true);
});

it("finds another version, and none", () => {
  const other = '[build-system]\nrequires = []\n\n[project]\nname = "x"\nversion = "0.2.0"\n';
  expect(versionIn(other, stated["clients/python/pyproject.toml"]!)).toBe("0.2.0");
  expect(versionIn("[project]\n", stated["clients/python/pyproject.toml"]!)).toBeUndefined();
});
