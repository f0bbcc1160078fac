/** Every link of the documents within the project leads to a file that is there, and to a heading that is in it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const markdown = (folder: string) => readdirSync(join(root, folder)).filter((name) => name.endsWith(".md"));
const pages = [".", "docs", join("docs", "clients"), join("docs", "runbooks")].flatMap((folder) => {
  return markdown(folder).map((name) => join(folder, name));
});

/** Without what is in code. */
function textOf(page: string): string {
  return readFileSync(join(root, page), "utf8").replace(/^```[\s\S]*?^```$/gm, "");
}

/** As GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function isBroken(page: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : join(dirname(page), path);
  if (!existsSync(join(root, target))) return true;
  return anchor !== undefined && !anchorsOf(target).includes(anchor);
}

it.each(pages)("%s", (page) => {
  const links = [...textOf(page).matchAll(/\]\(([^)\s]+)\)|^\[\w+\]: (\S+)$/gm)].map(
    ([, inline, below]) => inline ?? below!,
  );
  expect(links.filter((link) => !/^https?:/.test(link) && isBroken(page, link))).toEqual([]);
});

it("would be found broken", () => {
  expect(isBroken("README.md", "docs/NOWHERE.md")).toBe(true);
  expect(isBroken("README.md", "docs/QUICKSTART.md#nowhere")).toBe(true);
  expect(isBroken("docs/QUICKSTART.md", "#14-use-it")).toBe(false);
});
