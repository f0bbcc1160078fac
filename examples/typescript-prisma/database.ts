/** SQLite in memory, with the tables of schema.prisma, and its client with the columns that are encrypted. */
import { createKms } from "@fluo/kms";
import { piiExtension } from "@fluo/kms/prisma";
import { PrismaLibSql } from "@prisma/adapter-libsql";
import { type Prisma, PrismaClient } from "./generated/client.ts";

const kms = createKms({ baseUrl: process.env.FLUO_KMS_URL ?? "http://localhost:8080" });

/** Sees the tables as they are. */
export const raw = new PrismaClient({ adapter: new PrismaLibSql({ url: "file::memory:?cache=shared" }) });

export const prisma = raw.$extends(
  piiExtension<Prisma.TypeMap>({
    kms,
    tenantId: "acme", // or a function that is asked once a query
    columns: { Customer: { email: true, phone: true }, Order: { address: true } },
    relations: { Customer: { orders: "Order" }, Order: { customer: "Customer" } },
  }),
);

export async function createTables(): Promise<void> {
  await raw.$executeRaw`CREATE TABLE "Customer" (
    id INTEGER PRIMARY KEY AUTOINCREMENT, city TEXT NOT NULL, email TEXT, phone TEXT)`;
  await raw.$executeRaw`CREATE TABLE "Order" (
    id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL, customerId INTEGER NOT NULL REFERENCES "Customer" (id))`;
}
