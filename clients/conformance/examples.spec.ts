/**
 * The small programs of examples/, each copied into an empty folder and run as its README says, with the package that was built here and a
 * service on free ports. A service verifies by itself the spans that it had signed, and a program with a database that its table holds no
 * clear text; here it counts that they say so. A folder is named for its language, and for the library that it shows.
 */
import { cpSync, globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { startNeighbours } from "./newcomer/neighbours.ts";
import { newFolder, run, write } from "./newcomer/shell.ts";
import { shops } from "./newcomer/shops.ts";

const examples = join(import.meta.dirname, "..", "..", "examples");

/** Languages that the runner built; all if it says nothing. */
const chosen = process.env.CONFORMANCE_LANGUAGES?.split(",");

/** Time-out in milliseconds: a first build downloads and compiles much. */
const hung = 3_600_000;

interface Example {
  /** Commands that its README names, with the package by the way that its shop has. */
  script: string;
  /** What it must say of the spans that it verified, and of one that was changed where it shows that. */
  says: readonly RegExp[];
}

const services: Readonly<Record<string, Example>> = {
  go: {
    // A checkout has the client beside it; here it comes from the shop.
    script: `go mod edit -dropreplace github.com/fluo-dev/fluo-kms/clients/go
go mod edit -dropreplace github.com/fluo-dev/fluo-kms/clients/go/verify
go run -mod=mod . -demo -listen 127.0.0.1:0`,
    says: [/"spans":3,"verified":3,"problems":\[\]/],
  },
  python: {
    script: `python3 -m venv .venv
.venv/bin/pip install --quiet 'fluo-kms[otel,verify]'
.venv/bin/pip install --quiet -r requirements.txt
.venv/bin/python main.py`,
    says: [/ OK +entry \d/, /PROOF_INVALID/],
  },
  "python-sqlalchemy": {
    script: `python3 -m venv .venv
.venv/bin/pip install --quiet 'fluo-kms[sqlalchemy]'
.venv/bin/pip install --quiet -r requirements.txt
.venv/bin/python main.py`,
    says: [/^customer 1 is ann@example\.com, \+49 30 123456$/m, /6 tokens and no clear text/],
  },
  "python-django": {
    script: `python3 -m venv .venv
.venv/bin/pip install --quiet 'fluo-kms[django]'
.venv/bin/pip install --quiet -r requirements.txt
.venv/bin/python main.py`,
    says: [/^customer 1 is ann@example\.com, \+49 30 123456$/m, /6 tokens and no clear text/, /contact is encrypted/],
  },
  java: {
    script: "mvn -B -ntp -q compile exec:java",
    says: [/of the log: OK/, /changed afterwards: PROOF_INVALID/],
  },
  "java-jpa": {
    script: "mvn -B -ntp -q compile exec:java",
    // Not from the start of the line: Maven writes an escape sequence there.
    says: [/Bonn: Contact\[email=ann@example\.com, phone=\+49 30 123456\]$/m, /3 tokens and no clear text/],
  },
  typescript: {
    script: "npm install --silent && npm start --silent",
    says: [/not delivered: 0/, /: OK, entry \d/],
  },
  "typescript-prisma": {
    // Prisma would download an engine that the example has no use for.
    script: `npm install --silent --ignore-scripts
export PRISMA_SCHEMA_ENGINE_BINARY=package.json
npm run --silent generate && npm run --silent check && npm start --silent`,
    says: [
      /^Bonn: ann@example\.com, .* Elm St 1 and Oak St 2$/m,
      /5 tokens and no clear text/,
      /\[1\]\.phone: InvalidArg/,
    ],
  },
};

describe.each(Object.entries(services))("the program in %s", (name, { script, says }) => {
  const language = name.split("-")[0]!;
  it.runIf(chosen?.includes(language) !== false)(
    "does what its README says",
    async () => {
      const folder = newFolder();
      const shop = await shops[language]!(newFolder());
      onTestFinished(() => shop.close?.());
      const { here, stop } = await startNeighbours(newFolder(), newFolder());
      onTestFinished(stop);
      cpSync(join(examples, name), folder, { recursive: true });
      for (const file of globSync("**/*", { cwd: folder }).filter((each) => statSync(join(folder, each)).isFile()))
        write(folder, file, here(readFileSync(join(folder, file), "utf8")));
      for (const [file, content] of Object.entries(shop.settings ?? {})) write(folder, file, content);
      const printed = await run(shop.command?.(script) ?? script, folder, shop);
      for (const words of says) expect(printed).toMatch(words);
    },
    hung,
  );
});
