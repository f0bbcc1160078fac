/** A second build, in another checkout and at another time, is the same image; so whoever has the commit can verify a release. */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, it } from "vitest";
import { command } from "../../scripts/tools/command.ts";
import { git, root } from "../../scripts/image/recipe.ts";

const { archive, layout } = inject("image");

it("has the same digest, and the archive the same bytes", () => {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-again-"));
  const [checkout, out] = [join(folder, "elsewhere"), join(folder, "out")];
  copyCheckout(checkout);
  const printed = command(process.execPath, [join(checkout, "scripts", "image.ts"), "--out", out]);
  const first = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")).manifests[0].digest;
  console.log(`image: ${first}`);
  expect(printed).toContain(first);
  const [file] = readdirSync(out).filter((name) => name.endsWith(".oci.tar"));
  expect(readFileSync(join(out, file!)).equals(readFileSync(archive))).toBe(true);
  expect(command("sha256sum", ["--check", "SHA256SUMS"], { cwd: out })).toContain("OK");
});

/** With what is not committed yet. */
function copyCheckout(to: string): void {
  git("clone", "--quiet", "--shared", root, to);
  const files = git("ls-files", "--cached", "--others", "--exclude-standard");
  command("sh", ["-c", 'printf "%s\\n" "$1" | tar -cf - -C "$2" -T - | tar -xf - -C "$3"', "sh", files, root, to]);
}
