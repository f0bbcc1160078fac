/** The Prisma extension, by a running service and SQLite in memory. Prisma is where `npm run test:clients -- --install typescript` put it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type RunningService, startService } from "../../../test/support/running-service.ts";
import { createKms, type Kms, RecordError } from "../src/index.ts";
import { piiExtension } from "../src/prisma.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const installed = realpathSync(join(root, "tools", "clients", "prisma"));
const require = createRequire(join(installed, "package.json"));

// Of the generated client, as far as the tests use it; typed.ts has its types.
interface Row {
  [column: string]: unknown;
}
type Model = Record<string, (args?: object) => Promise<Row> & Record<string, (args?: object) => Promise<unknown>>>;
interface Client {
  customer: Model;
  order: Model;
  $extends(extension: object): Client;
  $transaction(work: unknown): Promise<unknown>;
  $queryRawUnsafe(sql: string): Promise<Row[]>;
  $executeRawUnsafe(sql: string): Promise<number>;
  $disconnect(): Promise<void>;
}

let service: RunningService;
let kms: Kms;
/** How many fields each call had. */
let calls: { encrypt: number[]; decrypt: number[] };
let raw: Client;
let prisma: Client;
let tenant: string;

beforeAll(async () => {
  service = await startService();
  kms = createKms({ baseUrl: service.url });
});
afterAll(() => service.stop());

beforeEach(async () => {
  const { PrismaClient } = await import(
    /* @vite-ignore */ pathToFileURL(join(installed, "generated", "client.ts")).href
  );
  const { PrismaLibSql } = require("@prisma/adapter-libsql");
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-prisma-"));
  raw = new PrismaClient({ adapter: new PrismaLibSql({ url: `file:${join(folder, "test.db")}` }) });
  onTestFinished(async () => {
    await raw.$disconnect();
    rmSync(folder, { recursive: true });
  });
  await raw.$executeRawUnsafe(
    `CREATE TABLE "Customer" (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, phone TEXT, scan BLOB, settings TEXT)`,
  );
  await raw.$executeRawUnsafe(
    `CREATE TABLE "Order" (id INTEGER PRIMARY KEY, address TEXT NOT NULL, note TEXT, customerId INTEGER NOT NULL)`,
  );
  tenant = "acme";
  calls = { encrypt: [], decrypt: [] };
  prisma = raw.$extends(extension());
});

const relations = { Customer: { orders: "Order" }, Order: { customer: "Customer" } };
const columns = { Customer: { email: true, phone: "customer.phone", scan: true }, Order: { address: true } } as const;

/** With a client that counts. */
function extension(options: object = {}) {
  const counting: Pick<Kms, "encryptPii" | "decryptPii"> = {
    encryptPii(request, about) {
      calls.encrypt.push(request.fields!.length);
      return kms.encryptPii(request, about);
    },
    decryptPii(request, about) {
      calls.decrypt.push(request.fields!.length);
      return kms.decryptPii(request, about);
    },
  };
  return piiExtension({ kms: counting, tenantId: () => tenant, columns, relations, ...options });
}

const ann = { id: 1, name: "Ann", email: "ann@example.com", phone: "", scan: Uint8Array.of(0, 255) };
const stored = (table = "Customer") => raw.$queryRawUnsafe(`SELECT * FROM "${table}" ORDER BY id`);

describe("a row", () => {
  it("is in the table as tokens, and comes back as it was", async () => {
    const created = await prisma.customer.create!({ data: ann });
    expect(created).toEqual({ ...ann, settings: null });
    const [row] = await stored();
    expect(row).toMatchObject({ id: 1, name: "Ann", email: expect.stringMatching(/^fk1\./) });
    expect(row!.phone).toMatch(/^fk1\./); // empty values, too
    expect(Buffer.from(row!.scan as Uint8Array).toString()).toMatch(/^fk1\./);
    expect(JSON.stringify(row)).not.toContain("ann@");
    expect(await prisma.customer.findUnique!({ where: { id: 1 } })).toEqual({ ...ann, settings: null });
    expect(calls).toEqual({ encrypt: [3], decrypt: [3, 3] });
  });

  it("keeps null, and what was given is not changed", async () => {
    const data = { id: 1, name: "Ann", email: null, phone: undefined };
    expect(await prisma.customer.create!({ data })).toMatchObject({ email: null, phone: null });
    expect(data).toEqual({ id: 1, name: "Ann", email: null, phone: undefined });
    const given = { ...ann, id: 2 };
    await prisma.customer.create!({ data: given });
    expect(given).toEqual({ ...ann, id: 2 });
    expect(calls).toEqual({ encrypt: [3], decrypt: [3] });
  });

  it("makes no call, and asks for no tenant, where a query has none of these columns", async () => {
    const extended = raw.$extends(
      extension({
        tenantId: () => {
          throw new Error("outside of a request");
        },
      }),
    );
    await extended.customer.create!({ data: { id: 1, name: "Ann" } });
    expect(await extended.customer.findMany!({ select: { name: true } })).toEqual([{ name: "Ann" }]);
    expect(await extended.customer.count!()).toBe(1);
    expect(calls).toEqual({ encrypt: [], decrypt: [] });
  });

  it("is encrypted when it is updated, in each form", async () => {
    await prisma.customer.create!({ data: ann });
    expect(await prisma.customer.update!({ where: { id: 1 }, data: { email: "b@x" } })).toMatchObject({ email: "b@x" });
    expect(await prisma.customer.update!({ where: { id: 1 }, data: { email: { set: "c@x" } } })).toMatchObject({
      email: "c@x",
    });
    expect((await stored())[0]!.email).toMatch(/^fk1\./);
    await prisma.customer.updateMany!({ data: { email: "d@x", scan: { set: Uint8Array.of(7) } } });
    expect(await prisma.customer.findFirst!()).toMatchObject({ email: "d@x", scan: Uint8Array.of(7) });
    for (const id of [1, 2])
      await prisma.customer.upsert!({
        where: { id },
        create: { id, name: "new", email: "created@x" },
        update: { email: "updated@x" },
      });
    expect(await prisma.customer.findMany!({ select: { email: true } })).toEqual([
      { email: "updated@x" },
      { email: "created@x" },
    ]);
    await prisma.customer.update!({ where: { id: 1 }, data: { email: null } });
    expect((await stored())[0]!.email).toBeNull();
  });

  it("is encrypted if its data is an instance of a class", async () => {
    class Input {
      id = 1;
      name = "Ann";
      email = "ann@example.com";
    }
    await prisma.customer.create!({ data: new Input() });
    expect((await stored())[0]!.email).toMatch(/^fk1\./);
  });
});

describe("many rows", () => {
  it("are encrypted and decrypted in calls of 1,000 fields", async () => {
    const data = Array.from({ length: 600 }, (_, id) => ({ id, name: "n", email: `${id}@x`, phone: `+${id}` }));
    await prisma.customer.createMany!({ data });
    expect(calls).toEqual({ encrypt: [1_000, 200], decrypt: [] });
    const found = (await prisma.customer.findMany!({ orderBy: { id: "asc" } })) as unknown as Row[];
    expect(found.map(({ id, email, phone }) => [id, email, phone])).toEqual(
      data.map(({ id, email, phone }) => [id, email, phone]),
    );
    expect(calls.decrypt).toEqual([1_000, 200]);
  });

  it("are in more calls where they are large", async () => {
    const scan = new Uint8Array(60_000);
    const data = Array.from({ length: 40 }, (_, id) => ({ id, name: "n", scan }));
    await prisma.customer.createMany!({ data });
    expect(calls.encrypt).toEqual([34, 6]);
    expect(await prisma.customer.findMany!()).toMatchObject(data.map(() => ({ scan })));
  });

  it("are in one call with the rows of their relations", async () => {
    const orders = {
      create: [
        { id: 1, address: "Elm St" },
        { id: 2, address: "Oak St" },
      ],
    };
    await prisma.customer.create!({ data: { ...ann, orders } });
    expect(calls).toEqual({ encrypt: [5], decrypt: [3] });
    const include = { orders: { include: { customer: true }, orderBy: { id: "asc" } }, _count: true };
    const found = await prisma.customer.findMany!({ include });
    const own = { ...ann, settings: null };
    expect(found).toMatchObject([
      {
        ...own,
        orders: [
          { address: "Elm St", customer: own },
          { address: "Oak St", customer: own },
        ],
        _count: { orders: 2 },
      },
    ]);
    expect(calls.decrypt).toEqual([3, 11]);
  });
});

describe("a relation", () => {
  it("has what is written through it encrypted, in each form", async () => {
    const customer = (id: number) => ({ id, name: "n", email: `${id}@x` });
    await prisma.order.create!({ data: { id: 1, address: "a1", customer: { create: customer(1) } } });
    await prisma.order.create!({
      data: { id: 2, address: "a2", customer: { connectOrCreate: { where: { id: 2 }, create: customer(2) } } },
    });
    await prisma.order.update!({ where: { id: 1 }, data: { customer: { update: { email: "one" } } } });
    await prisma.order.update!({ where: { id: 2 }, data: { customer: { update: { data: { email: "two" } } } } });
    await prisma.order.update!({
      where: { id: 2 },
      data: { customer: { upsert: { create: customer(3), update: { phone: "22" } } } },
    });
    await prisma.customer.update!({
      where: { id: 1 },
      data: {
        orders: {
          createMany: { data: [{ id: 3, address: "a3" }] },
          update: [{ where: { id: 1 }, data: { address: "a1 new" } }],
          upsert: { where: { id: 4 }, create: { id: 4, address: "a4" }, update: { address: "never" } },
          connect: [{ id: 2 }],
        },
      },
    });
    await prisma.customer.update!({
      where: { id: 1 },
      data: { orders: { updateMany: { where: { id: 2 }, data: { address: "a2 new" } } } },
    });
    for (const { address } of await stored("Order")) expect(address).toMatch(/^fk1\./);
    for (const { email } of await stored()) expect(email).toMatch(/^fk1\./);
    const include = { orders: { select: { address: true }, orderBy: { id: "asc" } } };
    expect(await prisma.customer.findMany!({ include, orderBy: { id: "asc" } })).toMatchObject([
      { email: "one", orders: ["a1 new", "a2 new", "a3", "a4"].map((address) => ({ address })) },
      { email: "two", phone: "22", orders: [] },
    ]);
  });

  it("is decrypted where it alone is asked for", async () => {
    await prisma.customer.create!({ data: { ...ann, orders: { create: { id: 1, address: "Elm St" } } } });
    const where = { id: 1 };
    expect(await prisma.customer.findUnique!({ where }).orders!()).toMatchObject([{ address: "Elm St" }]);
    expect(await prisma.order.findUnique!({ where }).customer!()).toMatchObject({ email: ann.email });
    const select = { orders: { select: { customer: { select: { email: true } } } } };
    const customer = { email: ann.email };
    expect(await prisma.customer.findUnique!({ where, select })).toEqual({ orders: [{ customer }] });
    expect(
      await prisma.customer.findUnique!({ where }).orders!({ select: { customer: select.orders.select.customer } }),
    ).toEqual([{ customer }]);
    expect(await prisma.customer.findMany!({ select: { orders: { select: { address: true } } } })).toEqual([
      { orders: [{ address: "Elm St" }] },
    ]);
  });

  it("that nobody told of is not written through", async () => {
    const extended = raw.$extends(extension({ relations: {} }));
    const customer = { create: { id: 1, name: "Ann", email: "ann@example.com" } };
    await expect(extended.order.create!({ data: { id: 1, address: "a", customer } })).rejects.toThrow(
      /^Order\.customer: .* not among the relations of Order/,
    );
    expect(await stored()).toEqual([]);
    const settings = { update: { channel: "beta" }, theme: "dark" };
    expect(await prisma.customer.create!({ data: { id: 2, name: "Bob", settings } })).toMatchObject({ settings });
  });
});

describe("a token", () => {
  beforeEach(async () => {
    await prisma.customer.createMany!({ data: [ann, { ...ann, id: 2, email: "bob@example.com" }] });
  });

  it("opens in another row of its column", async () => {
    await raw.$executeRawUnsafe(
      `UPDATE "Customer" SET email = (SELECT email FROM "Customer" WHERE id = 2) WHERE id = 1`,
    );
    expect(await prisma.customer.findUnique!({ where: { id: 1 } })).toMatchObject({ email: "bob@example.com" });
  });

  it("does not open in another column, and the error names each value", async () => {
    await raw.$executeRawUnsafe(`UPDATE "Customer" SET email = phone WHERE id = 2`);
    await raw.$executeRawUnsafe(`INSERT INTO "Order" SELECT 1, email, NULL, 2 FROM "Customer" WHERE id = 1`);
    const find = prisma.customer.findMany!({ include: { orders: true }, orderBy: { id: "asc" } });
    const error = await find.catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(RecordError);
    expect((error as RecordError).fields.map(({ member }) => member)).toEqual([
      "Customer[1].email",
      "Customer[1].orders[0].address",
    ]);
    expect(String(error)).not.toContain("fk1.");
  });

  it("does not open for another tenant, or with another context", async () => {
    tenant = "globex";
    await expect(prisma.customer.findFirst!()).rejects.toThrow(/Customer\.email/);
    tenant = "acme";
    await expect(raw.$extends(extension({ context: { app: "shop" } })).customer.findFirst!()).rejects.toThrow(
      RecordError,
    );
    expect(await prisma.customer.findFirst!()).toMatchObject({ email: ann.email });
  });

  it("opens after a rotation", async () => {
    await kms.rotate({ tenantId: tenant });
    expect(await prisma.customer.findFirst!()).toMatchObject({ email: ann.email });
  });

  it("is not told from clear text that was there before", async () => {
    await raw.$executeRawUnsafe(`UPDATE "Customer" SET email = 'in clear'`);
    await expect(prisma.customer.findFirst!()).rejects.toThrow(RecordError);
  });
});

describe("a query", () => {
  const refused: [string, (of: Client) => Promise<unknown>][] = [
    ["where", ({ customer }) => customer.findMany!({ where: { email: "a" } })],
    ["where, nested", ({ customer }) => customer.count!({ where: { OR: [{ NOT: { email: { contains: "a" } } }] } })],
    ["of a relation", ({ order }) => order.findMany!({ where: { customer: { is: { email: { not: "a" } } } } })],
    ["of relations", ({ customer }) => customer.findMany!({ where: { orders: { some: { address: "a" } } } })],
    ["in what is included", ({ customer }) => customer.findMany!({ include: { orders: { where: { address: "a" } } } })],
    [
      "in a count",
      ({ customer }) => customer.findMany!({ select: { _count: { select: { orders: { where: { address: "a" } } } } } }),
    ],
    ["order", ({ customer }) => customer.findMany!({ orderBy: [{ email: "asc" }] })],
    ["order by a relation", ({ order }) => order.findMany!({ orderBy: { customer: { email: { sort: "asc" } } } })],
    ["distinct", ({ customer }) => customer.findMany!({ distinct: ["email"] })],
    ["groups", ({ customer }) => customer.groupBy!({ by: ["email"] })],
    ["greatest", ({ customer }) => customer.aggregate!({ _max: { email: true } })],
    ["where of an update", ({ customer }) => customer.updateMany!({ where: { phone: "" }, data: { name: "n" } })],
    [
      "where of a nested write",
      ({ customer }) => customer.update!({ where: { id: 1 }, data: { orders: { deleteMany: [{ address: "a" }] } } }),
    ],
  ];

  it.each(refused)("is refused with a column that is encrypted: %s", async (_, query) => {
    await expect(query(prisma)).rejects.toThrow(/^(Customer|Order)\.\w+: is encrypted, and cannot be/);
  });

  it("may look for null, and count", async () => {
    await prisma.customer.createMany!({ data: [ann, { id: 2, name: "Bob" }] });
    expect(await prisma.customer.findMany!({ where: { email: null }, select: { id: true } })).toEqual([{ id: 2 }]);
    expect(await prisma.customer.count!({ where: { email: { not: null } } })).toBe(1);
    expect(await prisma.customer.aggregate!({ _count: { email: true } })).toEqual({ _count: { email: 1 } });
  });

  it("is refused with a value that is neither text nor bytes", async () => {
    await expect(prisma.customer.create!({ data: { id: 1, name: "n", email: ["a"] } })).rejects.toThrow(
      "Customer.email: is encrypted, and takes text, bytes, null or { set }",
    );
  });

  it("may be one of a transaction of either form", async () => {
    const [first] = (await prisma.$transaction([
      prisma.customer.create!({ data: ann }),
      prisma.customer.create!({ data: { ...ann, id: 2 } }),
    ])) as Row[];
    expect(first).toMatchObject({ email: ann.email });
    const failure = prisma.$transaction(async (tx: Client) => {
      await tx.customer.create!({ data: { ...ann, id: 3 } });
      throw new Error("undone");
    });
    await expect(failure).rejects.toThrow("undone");
    expect(await prisma.customer.count!()).toBe(2);
  });

  it("is seen in clear by extensions that were added before, and as tokens by those added after", async () => {
    const seen: string[] = [];
    const watching = (name: string) => ({
      query: {
        customer: {
          async create({ args, query }: { args: { data: Row }; query: (args: object) => Promise<Row> }) {
            seen.push(`${name}: ${String(args.data.email).slice(0, 4)}`);
            const row = await query(args);
            seen.push(`${name}: ${String(row.email).slice(0, 4)}`);
            return row;
          },
        },
      },
    });
    const client = raw.$extends(watching("before")).$extends(extension()).$extends(watching("after"));
    await client.customer.create!({ data: ann });
    expect(seen).toEqual(["before: ann@", "after: fk1.", "after: fk1.", "before: ann@"]);
  });

  it("gives computed fields what was decrypted, whichever extension is first", async () => {
    const result = {
      customer: { host: { needs: { email: true }, compute: ({ email }: Row) => String(email).split("@")[1] } },
    };
    await prisma.customer.create!({ data: ann });
    for (const client of [prisma.$extends({ result }), raw.$extends({ result }).$extends(extension())])
      expect(await client.customer.findFirst!()).toMatchObject({ email: ann.email, host: "example.com" });
  });
});

it("has types that refuse other columns and relations, and leave those of queries alone", () => {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-prisma-types-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const here = join(root, "clients", "typescript");
  const paths = {
    "@fluo/kms": [join(here, "src", "index.ts")],
    "@fluo/kms/prisma": [join(here, "src", "prisma.ts")],
    "#generated": [join(installed, "generated", "client.ts")],
  };
  const settings = {
    extends: join(here, "tsconfig.json"),
    compilerOptions: { paths, noEmit: true, typeRoots: [join(root, "node_modules", "@types")] },
    files: [join(here, "test", "prisma", "typed.ts")],
    include: [],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
  const { status, stdout } = spawnSync(join(root, "node_modules", ".bin", "tsc"), ["-p", folder], { encoding: "utf8" });
  expect(stdout).toBe("");
  expect(status).toBe(0);
});
