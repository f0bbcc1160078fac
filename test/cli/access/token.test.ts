/** The token that commands show: from where it is taken, where it goes, and what is refused before it goes anywhere. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { clientEnvironment } from "../../../src/config/client-environment.ts";
import { UsageError } from "../../../src/cli/command.ts";
import { type Place, tokenFor } from "../../../src/cli/access/token.ts";
import { directory } from "../../support/config-fixture.ts";

const loopback = { text: "http://localhost:8080", host: "localhost", isTls: false };
const elsewhere = { text: "https://kms.example.org", host: "kms.example.org", isTls: true };
const inTheClear = { ...elsewhere, text: "http://kms.example.org", isTls: false };

function said() {
  const spy = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => spy.mockRestore());
  return spy.mock.calls;
}

/** The path of a file that its owner alone can read. */
function fileOf(content: string, mode = 0o600): string {
  const file = join(directory(), "token");
  writeFileSync(file, content);
  chmodSync(file, mode);
  return file;
}

const from = (env: Record<string, string>, options = {}, place: Place = loopback) =>
  tokenFor(options, place, clientEnvironment(env));

describe("a token", () => {
  it("is none where none is named, be there one of Vault", () => {
    expect(from({ VAULT_TOKEN: "hvs.secret", FLUO_KMS_TOKEN_FILE: " ", FLUO_KMS_TOKEN: "" })).toBeUndefined();
  });

  it("is that of the option, else of the variable for a file, else of the variable for itself", () => {
    const [given, other] = [fileOf("fkt_given\n"), fileOf("  fkt_other\r\n")];
    expect(from({ FLUO_KMS_TOKEN_FILE: other }, { "token-file": given })).toEqual({
      text: "fkt_given",
      from: `--token-file ${given}`,
    });
    expect(from({ FLUO_KMS_TOKEN_FILE: other })).toEqual({ text: "fkt_other", from: `FLUO_KMS_TOKEN_FILE ${other}` });
    expect(from({ FLUO_KMS_TOKEN: "fkt_text" })).toEqual({ text: "fkt_text", from: "FLUO_KMS_TOKEN" });
    const both = { FLUO_KMS_TOKEN: "fkt_text", FLUO_KMS_TOKEN_FILE: other };
    expect(from(both, { "token-file": given })?.text).toBe("fkt_given");
  });

  it("is refused where the environment has it twice", () => {
    expect(() => from({ FLUO_KMS_TOKEN: "fkt_canary", FLUO_KMS_TOKEN_FILE: fileOf("fkt_other") })).toThrow(
      new UsageError("FLUO_KMS_TOKEN_FILE and FLUO_KMS_TOKEN are both set; unset one of them"),
    );
  });

  it("is as its file is when it is asked for", () => {
    const file = fileOf("fkt_one");
    expect(from({ FLUO_KMS_TOKEN_FILE: file })?.text).toBe("fkt_one");
    writeFileSync(file, "fkt_two");
    expect(from({ FLUO_KMS_TOKEN_FILE: file })?.text).toBe("fkt_two");
  });
});

describe("is sent in the clear to this machine alone", () => {
  it.each(["localhost", "127.0.0.1", "127.9.8.7", "[::1]", "::1", "LOCALHOST"])("to %s", (host) => {
    expect(from({ FLUO_KMS_TOKEN: "fkt_text" }, {}, { ...loopback, host })).toBeDefined();
  });

  it.each(["kms.example.org", "localhost.example.org", "10.0.0.1", "128.0.0.1", "[::2]", "0.0.0.0"])(
    "not to %s",
    (host) => {
      const place = { text: `http://${host}:8080`, host, isTls: false };
      const error = new UsageError(
        `a token is not sent to http://${host}:8080, where others could read it on its way; use https://`,
      );
      expect(() => from({ FLUO_KMS_TOKEN: "fkt_text" }, {}, place)).toThrow(error);
      expect(() => from({}, { "token-file": "/is/not/read" }, place)).toThrow(error);
      expect(from({}, {}, place)).toBeUndefined();
      expect(from({ FLUO_KMS_TOKEN: "fkt_text" }, {}, { ...place, isTls: true })).toBeDefined();
    },
  );

  it("whoever names it", () => {
    expect(() => from({ FLUO_KMS_TOKEN_FILE: fileOf("fkt_text") }, {}, inTheClear)).toThrow(UsageError);
    expect(from({ FLUO_KMS_TOKEN_FILE: fileOf("fkt_text") }, {}, elsewhere)?.text).toBe("fkt_text");
  });
});

describe("a file", () => {
  it.each([
    ["is empty", ""],
    ["is empty", "\n \n"],
    ["holds no token", "fkt_canary\nfkt_canary"],
    ["holds no token", "Bearer fkt_canary"],
    ["holds no token", "fkt_canärie"],
    ["holds no token", "fkt_canary\u0000"],
    ["holds no token", `fkt_canary${"x".repeat(8192)}`],
  ])("that %s is refused, and not shown: %j", (what, content) => {
    const file = fileOf(content);
    const error = new UsageError(
      `--token-file ${file} ${what}; it must hold a token alone, without "Bearer" before it`,
    );
    expect(() => from({}, { "token-file": file })).toThrow(error);
    expect(error.message).not.toContain("canar");
  });

  it("takes a token of 8 KiB", () => {
    expect(from({}, { "token-file": fileOf("x".repeat(8192)) })?.text).toHaveLength(8192);
  });

  it("that is not there is named with its option or variable", () => {
    const why = "cannot be read (ENOENT); give the path of a file that this user can read";
    expect(() => from({}, { "token-file": "/no/token" })).toThrow(new UsageError(`--token-file /no/token ${why}`));
    expect(() => from({ FLUO_KMS_TOKEN_FILE: "/no/token" })).toThrow(
      new UsageError(`FLUO_KMS_TOKEN_FILE /no/token ${why}`),
    );
  });

  it.each(["fkt_canary", "eyJhbGciOiJub25lIn0.canary."])(
    "is a path, not the token itself, which is not shown: %s",
    (text) => {
      const call = () => from({}, { "token-file": text });
      expect(call).toThrow(
        "--token-file must be the path of a file, not the token itself; take it for known to others",
      );
      expect(call).not.toThrow(/canary/);
    },
  );

  it.each([0o604, 0o644, 0o666])("that others can read is told of once, and taken: %o", (mode) => {
    const lines = said();
    const file = fileOf("fkt_text", mode);
    for (let call = 0; call < 2; call += 1) expect(from({}, { "token-file": file })?.text).toBe("fkt_text");
    expect(lines).toEqual([
      [`fluo-kms: --token-file ${file} can be read by every user of this machine; chmod o= ${file}`],
    ]);
  });

  it("that is none, but a device or a pipe, is not told of", () => {
    const lines = said();
    expect(() => from({}, { "token-file": "/dev/null" })).toThrow("--token-file /dev/null is empty");
    expect(lines).toEqual([]);
  });

  it.each([0o600, 0o640, 0o440])("that others cannot read is taken without a word: %o", (mode) => {
    const lines = said();
    expect(from({}, { "token-file": fileOf("fkt_text", mode) })?.text).toBe("fkt_text");
    expect(lines).toEqual([]);
  });
});

describe("a token by --connect-to", () => {
  it("is judged by where it goes, not by the name", () => {
    const env = { FLUO_KMS_TOKEN: "fkt_x" };
    const via = (host: string) => ({ host, port: 8080 });
    expect(from(env, {}, { ...inTheClear, via: via("127.0.0.1") })).toMatchObject({ text: "fkt_x" });
    expect(() => from(env, {}, { ...loopback, via: via("10.0.0.7") })).toThrow(UsageError);
    expect(from(env, {}, { ...elsewhere, via: via("10.0.0.7") })).toMatchObject({ text: "fkt_x" });
  });
});
