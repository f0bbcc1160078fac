/** What may be kept as a checkpoint, and what may be asked. */
import { wrongNote } from "../../../clients/conformance/judge/log-cases.ts";
import { base64 } from "../../../clients/conformance/judge/evidence.ts";
import type { Random } from "../../crash/random.ts";
import type { Draft } from "./draft.ts";

type Alteration = (draft: Draft, r: Random) => void;

function changeNote(what: (note: string, r: Random) => string): Alteration {
  return ({ checkpoints }, r) => {
    const file = r.pick(checkpoints);
    if (file === undefined || file.length === 0) return;
    const at = r.below(file.length);
    file[at] = what(file[at]!, r);
  };
}

export const equalCheckpoints: Readonly<Record<string, Alteration>> = {
  "several checkpoints in a file"(draft, r) {
    draft.checkpoints = [draft.checkpoints.flat().map((note) => note + r.pick(["", "\n", "\n\n"])!)];
    if (draft.checkpoints.flat().length === 0) draft.checkpoints = [];
  },
  "line ends and marks of Windows"({ checkpoints }, r) {
    for (const file of checkpoints) {
      if (r.chance(0.5)) file[0] = `\ufeff${file[0]}`;
      if (r.chance(0.5)) file.splice(0, file.length, ...file.map((note) => note.replaceAll("\n", "\r\n")));
    }
  },
};

export const alteredCheckpoints: Readonly<Record<string, Alteration>> = {
  "checkpoints of another log or history"(draft, r) {
    draft.checkpoints.push([r.pick(draft.world.otherCheckpoints)!]);
  },
  "older checkpoints alone"(draft, r) {
    draft.checkpoints = draft.world.checkpoints.slice(0, 1 + r.below(3)).map((note) => [note]);
  },
  "no checkpoint"(draft) {
    draft.checkpoints = [];
  },
  "a checkpoint twice"({ checkpoints }, r) {
    const file = r.pick(checkpoints);
    if (file !== undefined) checkpoints.push([...file]);
  },
  "root of a checkpoint": changeNote((note, r) => note.replace(/\n[A-Za-z0-9+/=]{44}\n/, `\n${base64(r.bytes(32))}\n`)),
  "size of a checkpoint": changeNote((note, r) =>
    note.replace(/\n\d+\n/, `\n${r.pick(["0", "1", "7", "99", "01"])}\n`),
  ),
  "signature of a checkpoint": changeNote((note, r) =>
    note.replace(/.{8}\n$/, `${base64(r.bytes(6)).slice(0, 4)}${note.slice(-5)}`),
  ),
  "name of the signer": changeNote((note) => note.replace(/\n— \S+/, "\n— kms.example.com/other")),
  "more signatures": changeNote((note, r) => {
    const own = note.split("\n\n")[1]!;
    const garbage = `— ${r.pick(["other", note.split("\n")[0]!])} ${base64(r.bytes(68))}\n`;
    return r.pick([`${note}${own}`, `${note}${garbage}`, note.replace(/\n\n/, `\n\n${garbage}`)])!;
  }),
  "a wrong note": changeNote(wrongNote),
  garbage(draft, r) {
    const text = r.pick([
      "",
      "\n",
      "x",
      "\u0000",
      "these are no checkpoints",
      JSON.stringify(draft.world.keys).slice(0, 50),
    ])!;
    draft.checkpoints.splice(r.below(draft.checkpoints.length + 1), 0, [text]);
  },
};

export const alteredQuestion: Readonly<Record<string, Alteration>> = {
  "another tenant"({ asked, world }, r) {
    asked.tenant = r.pick(["other", `${world.tenant}.`, world.tenant.toUpperCase(), "globex", "__proto__"]);
  },
  "other vkeys"({ asked, world, keys }, r) {
    const all = [...world.keys.keys, ...keys.keys].flatMap(({ vkeys }) => (Array.isArray(vkeys) ? vkeys : []));
    const texts = all.filter((each): each is string => typeof each === "string");
    asked.vkeys = Array.from({ length: 1 + r.below(2) }, () => r.pick(texts) ?? "none");
  },
  "a vkey altered"({ asked }, r) {
    const [first = "kms.example.com/acme+00000000+AAAA", ...rest] = asked.vkeys;
    const altered = r.pick([
      ...[first.replace(/^[^+]+/, "kms.example.com/other"), first.replace(/\+[0-9a-f]{8}\+/, "+00000000+")],
      ...[first.slice(0, -1), `${first}=`, "x", first.toUpperCase(), first.replace(/^[^+]+/, "")],
    ])!;
    asked.vkeys = r.chance(0.5) ? [altered, ...rest] : [...rest, altered];
  },
  "from an entry"({ asked }, r) {
    if (asked.log) asked.from = r.below(14);
  },
  "to an entry"({ asked }, r) {
    if (asked.log) asked.to = 1 + r.below(24);
  },
  "any order"({ asked }) {
    if (asked.log) asked.anyOrder = true;
  },
  "the other question"(draft) {
    const { asked } = draft;
    asked.log = !asked.log;
    if (asked.log) return;
    [asked.from, asked.to, asked.anyOrder, draft.checkpoints] = [undefined, undefined, false, []];
  },
};
