/**
 * The local provider's master key: random, or 32 raw bytes in a file that only its owner can read.
 * A missing file is created: written and synced under another name first, then linked into place, so that a crash or a
 * second process starting at the same time never sees half a key, and never replaces one.
 */
import { createSecretKey, type KeyObject, randomBytes, randomFillSync } from "node:crypto";
import { type FileHandle, link, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { invalidField, type KmsError } from "../../errors.ts";
import { rightsOfOthers } from "../../runtime/private-file.ts";

const masterKeyBytes = 32;
const ownerOnly = 0o600;
const ownerAlone = { groupReadable: false };

export function randomMasterKey(): KeyObject {
  return keyFrom(randomFillSync(Buffer.alloc(masterKeyBytes)));
}

/** Throws INVALID_ARGUMENT that names the setting and the path when the file cannot be used. */
export async function masterKeyFromFile(path: string, rights = ownerAlone): Promise<KeyObject> {
  try {
    const present = await read(path, rights);
    if (present !== undefined) return present;
    await create(path);
    return (await read(path, rights))!;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).syscall && (error as NodeJS.ErrnoException).code;
    throw code ? unusable(`${path} cannot be used (${code})`) : error;
  }
}

/** Undefined when there is no file. */
async function read(path: string, rights: typeof ownerAlone): Promise<KeyObject | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const status = await file.stat();
    const others = rightsOfOthers(path, status, rights);
    if (others !== undefined) throw unusable(others);
    const { size } = status;
    if (size !== masterKeyBytes) throw unusable(`${path} must hold exactly ${masterKeyBytes} raw bytes, not ${size}`);
    const bytes = Buffer.alloc(masterKeyBytes);
    const { bytesRead } = await file.read(bytes, 0, masterKeyBytes, 0);
    if (bytesRead !== masterKeyBytes) throw unusable(`${path} changed while it was read`);
    return keyFrom(bytes);
  } finally {
    await file.close();
  }
}

async function create(path: string): Promise<void> {
  const draft = `${path}.${randomBytes(8).toString("hex")}.new`;
  const bytes = randomBytes(masterKeyBytes);
  try {
    const file = await open(draft, "wx", ownerOnly);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await linkUnlessPresent(draft, path);
  } finally {
    bytes.fill(0);
    await unlink(draft).catch(() => {});
  }
  await syncDirectory(dirname(path));
}

/** When another process was first, its key is the one to use. */
async function linkUnlessPresent(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return; // directories cannot be opened there
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function keyFrom(bytes: Buffer): KeyObject {
  try {
    return createSecretKey(bytes);
  } finally {
    bytes.fill(0);
  }
}

function unusable(description: string): KmsError {
  return invalidField("fluo.kms.local.master-key-file", description);
}
