/** The bill of materials in the image, against what the image has. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, it } from "vitest";
import { readLock } from "../../scripts/image/debian-packages.ts";
import { architectureHere } from "../../scripts/image/recipe.ts";

interface Listed {
  name: string;
  group?: string;
  version: string;
  purl?: string;
  hashes?: { alg: string; content: string }[];
}

const { rootfs } = inject("image");
const bill = JSON.parse(readFileSync(join(rootfs, "app/sbom.cdx.json"), "utf8"));
const components: Listed[] = bill.components;
const node = readFileSync(join(rootfs, "usr/bin/node"));

it("is CycloneDX, of this version of the service", () => {
  const { version } = JSON.parse(readFileSync(join(rootfs, "app/package.json"), "utf8"));
  expect(bill).toMatchObject({ bomFormat: "CycloneDX", metadata: { component: { name: "fluo-kms", version } } });
  expect(bill.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
});

it("has a hash and a version of every component, and each component once", () => {
  expect(components.filter(({ hashes, version }) => !hashes?.[0]?.content || !version)).toEqual([]);
  const refs = bill.components.map((each: { "bom-ref": string }) => each["bom-ref"]);
  expect(new Set(refs).size).toBe(refs.length);
});

it("has every package of npm that is in the image", () => {
  const listed = new Set(components.map(({ group, name, version }) => `${group ? `${group}/` : ""}${name}@${version}`));
  const found = packagesBelow(join(rootfs, "app/node_modules"));
  expect(found.length).toBeGreaterThan(100);
  expect(found.filter((each) => !listed.has(each))).toEqual([]);
});

it("has Node by the hash of the program, and OpenSSL, zlib and ICU of the versions that are in it", () => {
  const content = createHash("sha256").update(node).digest("hex");
  for (const name of ["node", "openssl", "zlib", "icu"]) {
    const version = process.versions[name];
    expect(components).toContainEqual(
      expect.objectContaining({ name, version, hashes: [{ alg: "SHA-256", content }] }),
    );
  }
  expect(node.includes(`OpenSSL ${process.versions.openssl}`)).toBe(true);
});

it("has each of Debian's packages by the hash of the lock file", () => {
  const architecture = architectureHere();
  for (const { name, version, sha256 } of readLock()[architecture.name]) {
    const purl = expect.stringMatching(`^pkg:deb/debian/.*arch=${architecture.name}`);
    expect(components).toContainEqual(
      expect.objectContaining({ name, version, purl, hashes: [{ alg: "SHA-256", content: sha256 }] }),
    );
  }
});

it("has no package for another platform", () => {
  expect(components.filter(({ name }) => /^node-(bin-)?(darwin|win|linux)/.test(name)).map(({ name }) => name)).toEqual(
    [`node-linux-${process.arch}`],
  );
});

function packagesBelow(modules: string): string[] {
  return readdirSync(modules, { recursive: true, encoding: "utf8" })
    .filter((path) => /(^|\/node_modules\/)(@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path))
    .map((path) => JSON.parse(readFileSync(join(modules, path), "utf8")))
    .map(({ name, version }) => `${name}@${version}`);
}
