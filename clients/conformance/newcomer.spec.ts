/**
 * A newcomer's first day with each client: in an empty folder, the package is installed as its page in docs/clients/ says, the page's
 * examples are pasted into the files that it names, and run as it says, against real services. What they print is what the page shows.
 *
 * A page says in comments, which it does not show, what its blocks are:
 *
 * - `<!-- install: go -->` before an `sh` block: commands that install packages.
 * - `<!-- example: go first -->` before a block that is a whole file. A line "In `main.go`:" before the comment names the file. A language
 *   may have several of a name, such as a pom.xml beside the program.
 * - `<!-- run: go first -->` before a `console` block: commands behind `$ `, each with what it prints. `…` stands for anything.
 *
 * There are no other blocks.
 *
 * Steps are done in the order of the page, in one folder a language. Each language has the examples that `tasks` lists.
 * `EXAMPLES=files,verify` in the environment runs the examples of these names alone, for whoever writes them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { isShown } from "../../scripts/docs/expected.ts";
import { type Neighbours, startNeighbours, withAddresses } from "./newcomer/neighbours.ts";
import { type Step, stepsOf, unmarkedBlocks } from "./newcomer/page.ts";
import { newFolder, run, write } from "./newcomer/shell.ts";
import { type Shop, shops } from "./newcomer/shops.ts";

const root = join(import.meta.dirname, "..", "..");

/** A language's page. */
const pageOf = (language: string) =>
  readFileSync(join(root, "docs", "clients", `${language.toUpperCase()}.md`), "utf8");

/** Languages that the runner built; all if it says nothing. */
const chosen = process.env.CONFORMANCE_LANGUAGES?.split(",") ?? Object.keys(shops);

/** Time-out in milliseconds: a first build downloads and compiles much. */
const hung = 3_600_000;

/** Files that each package has to have. */
const needed: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  go: [
    ...["LICENSE", "README.md", "CHANGELOG.md", "go.mod", "kmsv1/kms_service_grpc.pb.go", "kms/client.go"],
    ...["verify/LICENSE", "verify/README.md", "verify/go.mod", "verify/verify.go"],
  ],
  python: [
    /^fluo_kms-.*\/LICENSE$/,
    "fluo/kms/v1/kms_service_pb2_grpc.py",
    "fluo/kms/v1/pii_pb2.pyi",
    "fluo_kms/py.typed",
  ],
  java: [/^META-INF\/LICENSE/, "dev/fluo/kms/v1/KmsServiceGrpc.class", "dev/fluo/kms/KmsClient.class"],
  typescript: ["LICENSE", "README.md", "CHANGELOG.md", "package.json", "dist/index.js", "dist/index.d.ts"],
  ruby: ["LICENSE", "README.md", "CHANGELOG.md", "lib/fluo-kms.rb", "lib/fluo/kms/v1/kms_service_services_pb.rb"],
  rust: ["LICENSE", "README.md", "CHANGELOG.md", "Cargo.toml", "build.rs", "src/lib.rs", "fluo.kms.v1.binpb"],
};

/** Files that no package may have: other people's code, secrets, and those that only this repository needs. */
const unwanted = /(^|\/)(node_modules|conformance|target|\.git[^/]*|\.env)(\/|$)|\.(pem|key|p12|token|db)$/;

/** Files of the repository that a Go module has all the same: it is the folder as it stands, with its tests and programs. */
const ofModules = /^cmd\/conformance\//;

/** Files of examples/ that repeat the first example of the page. */
const repeated: Readonly<Record<string, string>> = {
  ruby: "examples/ruby/first_call.rb",
  rust: "examples/rust/src/main.rs",
};

/** What the page shows in each language that has a layer over its stubs; in the others, the first call. */
const tasks = "first sign spans batches records files stream bytes errors tls token calls verify fake test".split(" ");
const ofStubs = ["ruby", "rust"];

/** Headings of every page, in their order. The pages of stubs have the first alone. */
const headings = [
  "Install and first call",
  "Spans of the SDK",
  "Batches of spans",
  "Records",
  "Field types",
  "Files",
  "Streams and bytes",
  "Errors",
  "TLS and tokens",
  "Deadlines and pages",
  "Verify",
  "Tests",
  "Traces of its calls",
];

/** Most lines of a program, without imports and blank lines. Longer programs are in `examples/`. */
const mostLines = 25;

/** Names of the examples to run; all if it says nothing. */
const wanted = process.env.EXAMPLES?.split(",");

describe.each(Object.keys(shops))("%s", (language) => {
  const page = pageOf(language);
  const steps = stepsOf(page, language);

  it("has the headings of all the others", () => {
    const own = [...page.replace(/^```[\s\S]*?^```$/gm, "").matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(own).toEqual(ofStubs.includes(language) ? headings.slice(0, 1) : headings);
  });

  it("has no block that is not run", () => {
    expect(unmarkedBlocks(page)).toEqual([]);
  });

  it("has an example of each task, and what it prints", () => {
    const ran = steps.flatMap((step) => (step.kind === "run" ? [step.example] : []));
    expect([...new Set(ran)]).toEqual(ofStubs.includes(language) ? ["first"] : tasks);
  });

  it(`has no program of more than ${mostLines} lines`, () => {
    const long = steps.filter(
      (step) => step.kind === "file" && step.example !== "project" && linesOf(step) > mostLines,
    );
    expect(long.map((step) => step.kind === "file" && `${step.name}: ${linesOf(step)}`)).toEqual([]);
  });

  it.runIf(chosen.includes(language))(
    "is packed with all that it needs, and nothing else of the repository",
    async () => {
      const { contents, close } = await shops[language]!(newFolder());
      onTestFinished(() => close?.());
      const has = (name: string | RegExp) =>
        contents.some((each) => (name instanceof RegExp ? name.test(each) : name === each));
      expect(needed[language]!.filter((name) => !has(name))).toEqual([]);
      const isUnwanted = (name: string) => unwanted.test(name) && !(language === "go" && ofModules.test(name));
      expect(contents.filter(isUnwanted)).toEqual([]);
    },
  );

  it.runIf(chosen.includes(language))(
    "does what the page shows, from an empty folder",
    async () => {
      const folder = newFolder();
      const shop = await shops[language]!(newFolder());
      onTestFinished(() => shop.close?.());
      const neighbours = await startNeighbours(folder, newFolder());
      onTestFinished(() => neighbours.stop());
      for (const [name, content] of Object.entries(shop.settings ?? {})) write(folder, name, content);
      let runs = 0;
      for (const step of steps) {
        if (step.kind === "run" && wanted?.includes(step.example) === false) continue;
        const printed = await take(step, folder, shop, neighbours);
        if (step.kind !== "run") continue;
        runs += 1;
        expect
          .soft(isShown(step.shown, printed), `${step.command} printed\n${printed}\nand not\n${step.shown}`)
          .toBe(true);
      }
      expect(runs).toBeGreaterThan(0);
    },
    hung,
  );
});

/** Counts neither blank lines nor those that only say where names are from. */
function linesOf(step: Step): number {
  if (step.kind !== "file") return 0;
  const own = step.text.replace(/^(package .*|import \([^)]*\)|import .*|from .* import .*|use .*)$/gm, "");
  return own.split("\n").filter((line) => line.trim() !== "").length;
}

/** Returns what the step prints. */
async function take(step: Step, folder: string, shop: Shop, { here }: Neighbours): Promise<string> {
  const command = (text: string) => here(shop.command?.(text) ?? text);
  switch (step.kind) {
    case "file":
      write(folder, step.name, here(step.text));
      return "";
    case "install":
      return run(command(step.script), folder, shop);
    case "run":
      return run(command(step.command), folder, shop);
  }
}

it.each(["a/node_modules/b.js", "conformance/main.ts", "ca.key", ".gitignore", ".env"])(
  "wants no %s in a package",
  (name) => {
    expect(name).toMatch(unwanted);
  },
);

it.each(Object.entries(repeated))("has the first example in %s in the repository as well", (language, path) => {
  const files = stepsOf(pageOf(language), language).filter((step) => step.kind === "file");
  expect(files.map(({ text }) => text)).toContain(readFileSync(join(root, path), "utf8"));
});

describe("the page", () => {
  const marked = (kind: string, block: string) => `In \`first.go\`:\n\n<!-- ${kind} -->\n\n${block}\n`;

  it("has a block that is not run noticed", () => {
    expect(unmarkedBlocks("Text.\n\n```sh\nrun\n```\n")).toEqual(["```sh\nrun"]);
  });

  it("is read in its order, one language at a time", () => {
    const text = [
      marked("install: go", "```sh\ngo get it\n```"),
      marked("example: go first", "```go\npackage main\n```"),
      marked("example: java first", "```java\nclass First {}\n```"),
      marked("run: go first", "```console\n$ go build\n$ ./first\nfk1.…\n```"),
    ].join("\n");
    expect(stepsOf(text, "go")).toEqual([
      { kind: "install", script: "go get it\n" },
      { kind: "file", example: "first", name: "first.go", text: "package main\n" },
      { kind: "run", example: "first", command: "go build", shown: "" },
      { kind: "run", example: "first", command: "./first", shown: "fk1.…" },
    ]);
  });

  it("has its addresses replaced once, also where a new port begins like one of them", () => {
    const addresses = { "localhost:8080": "localhost:43180", "localhost:4318": "127.0.0.1:5000" };
    const text = 'open("http://localhost:8080"), export("http://localhost:4318/v1/traces", "localhost:43189")';
    expect(withAddresses(text, addresses)).toBe(
      'open("http://localhost:43180"), export("http://127.0.0.1:5000/v1/traces", "localhost:43189")',
    );
  });

  it("is refused with an example without a name or a file, and with a run without a command", () => {
    expect(() => stepsOf(marked("example: go", "```go\npackage main\n```"), "go")).toThrow("names no example");
    expect(() => stepsOf("<!-- example: go first -->\n\n```go\npackage main\n```\n", "go")).toThrow('"In `file`:"');
    expect(() => stepsOf(marked("run: go first", "```console\nfk1.…\n```"), "go")).toThrow('"$ command"');
  });
});
