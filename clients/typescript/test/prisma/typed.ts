/** What types let through, and what they refuse. Checked by prisma.test.ts, as it needs the client that Prisma generated. */
import { createKms } from "@fluo/kms";
import { piiExtension } from "@fluo/kms/prisma";
import type { Prisma, PrismaClient } from "#generated";

declare const prisma: PrismaClient;
const kms = createKms({ baseUrl: "http://localhost:8080" });
const relations = { Customer: { orders: "Order" }, Order: { customer: "Customer" } } as const;

const extended = prisma.$extends(
  piiExtension<Prisma.TypeMap>({
    kms,
    tenantId: () => "acme",
    columns: { Customer: { email: true, scan: "customer.scan" }, Order: { address: true } },
    relations,
  }),
);

// Queries have the types that they had.
const customers = await extended.customer.findMany({ select: { email: true, orders: true } });
export const email: string | null = customers[0]!.email;
export const address: string = customers[0]!.orders[0]!.address;
await extended.$transaction((tx) => tx.customer.create({ data: { id: 1, name: "Ann", email: "ann@example.com" } }));
// @ts-expect-error a number is no text
await extended.customer.create({ data: { id: 1, name: "Ann", email: 7 } });
// @ts-expect-error there is no such column
export const none = customers[0]!.mail;

const wrong = { kms, tenantId: "acme" };
// @ts-expect-error no column of Customer
piiExtension<Prisma.TypeMap>({ ...wrong, relations, columns: { Customer: { mail: true } } });
// @ts-expect-error a number
piiExtension<Prisma.TypeMap>({ ...wrong, relations, columns: { Customer: { id: true } } });
// @ts-expect-error JSON
piiExtension<Prisma.TypeMap>({ ...wrong, relations, columns: { Customer: { settings: true } } });
// @ts-expect-error no such model
piiExtension<Prisma.TypeMap>({ ...wrong, relations, columns: { Client: { email: true } } });
// @ts-expect-error one relation is missing
piiExtension<Prisma.TypeMap>({ ...wrong, relations: { Customer: { orders: "Order" } }, columns: {} });
piiExtension<Prisma.TypeMap>({
  ...wrong,
  columns: {},
  // @ts-expect-error a relation that leads elsewhere
  relations: { Customer: { orders: "Order" }, Order: { customer: "Order" } },
});
