/** Keeps customers and their orders with their PII encrypted, and shows what is in the tables. */
import assert from "node:assert/strict";
import { createTables, prisma, raw } from "./database.ts";

await createTables();

// One call for the customer and both orders.
const orders = { create: [{ address: "Elm St 1" }, { address: "Oak St 2" }] };
await prisma.customer.create({ data: { city: "Bonn", email: "ann@example.com", phone: "+49 30 123456", orders } });
// One call for both customers.
await prisma.customer.createMany({ data: [{ city: "Köln", email: "bob@example.com" }, { city: "Ulm" }] });

// One call for all that is found.
for (const { city, email, phone, orders } of await prisma.customer.findMany({ include: { orders: true } }))
  console.log(`${city}: ${email}, ${phone}, ${orders.map(({ address }) => address).join(" and ") || "no orders"}`);

const tables = JSON.stringify(await raw.customer.findMany({ include: { orders: true } }));
for (const clear of ["@example.com", "+49", "Elm St", "Oak St"]) assert(!tables.includes(clear), clear);
console.log(`the tables hold ${tables.match(/"fk1\./g)?.length} tokens and no clear text`);

await prisma.customer.findMany({ where: { email: "ann@example.com" } }).catch((error) => console.log(error.message));

// A token that is moved to another column does not open.
await raw.$executeRaw`UPDATE "Customer" SET phone = email WHERE city = 'Köln'`;
await prisma.customer.findMany().catch((error) => console.log(error.message));
await prisma.$disconnect();
