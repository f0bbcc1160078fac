/** A user of a test's database, with its own password and no rights on the tables until it is given some. */
import { randomBytes } from "node:crypto";
import { execute } from "./postgres-server.ts";

export interface PostgresRole {
  name: string;
  /** Of the same database, as this user. */
  url: string;
}

/** Makes a user on the server of the superuser's `url`, and has it run each statement as the superuser. */
export async function createRole(
  url: string,
  statements: (role: string) => readonly string[] = () => [],
): Promise<PostgresRole> {
  const [name, password] = [`role_${randomBytes(8).toString("hex")}`, randomBytes(8).toString("hex")];
  await execute(url, `create role ${name} login password '${password}'`, ...statements(name));
  return { name, url: Object.assign(new URL(url), { username: name, password }).href };
}
