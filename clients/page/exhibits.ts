/** The files that were given: sorted by their content, listed, and removed. */
import { counted } from "../../src/verification-report/wording.ts";
import { button, byId, element, foreign } from "./elements.ts";
import { type Role, roleOf } from "./file-role.ts";
import { cut } from "./shown-text.ts";

export interface Given {
  role: Role;
  file: File;
}

export interface Exhibits {
  spans(): File | undefined;
  /** The chosen one of several key sets. */
  keys(): File | undefined;
  checkpoints(): readonly File[];
  /** `role` is what the person who gives them takes them for; it counts for files whose content does not say. */
  add(files: readonly File[], role?: Role): Promise<void>;
}

const roleNames: Readonly<Record<Role, string>> = { spans: "Spans", keys: "Keys", checkpoints: "Checkpoint" };
const roleOrder: readonly Role[] = ["spans", "keys", "checkpoints"];

/** `onChange` is called after each change. */
export function startExhibits(onChange: () => Promise<void>): Exhibits {
  let given: readonly Given[] = [];
  let chosenKeys: Given | undefined;
  const list = byId("exhibits");
  const notes = byId("file-notes");

  function show(): Promise<void> {
    const ordered = roleOrder.flatMap((role) => given.filter((each) => each.role === role));
    const severalKeys = given.filter(({ role }) => role === "keys").length > 1;
    list.replaceChildren(...ordered.map((each) => row(each, severalKeys && each.role === "keys")));
    byId("exhibits-group").hidden = ordered.length === 0;
    return onChange();
  }

  function row(each: Given, isChoice: boolean): HTMLElement {
    const { role, file } = each;
    const name = cut(file.name, 200);
    const remove = button("Remove", () => removed(each), { "aria-label": `Remove ${name}`, class: "quiet" });
    const about = [element("strong", {}, roleNames[role]), " ", foreign(name)];
    const size = element("span", { class: "size" }, counted(file.size, "byte"));
    return element(
      "li",
      { "data-role": role },
      element("span", { class: "name" }, ...about),
      size,
      ...(isChoice ? [choice(each)] : []),
      remove,
    );
  }

  function choice(each: Given): HTMLElement {
    const radio = element("input", { type: "radio", name: "keys-used" });
    radio.checked = each === chosenKeys;
    radio.addEventListener("change", () => {
      chosenKeys = each;
      void onChange();
    });
    return element(
      "label",
      { class: "choice" },
      radio,
      "verify by these",
      element("span", { class: "unseen" }, " keys, ", foreign(each.file.name)),
    );
  }

  function removed(each: Given): void {
    given = given.filter((other) => other !== each);
    if (chosenKeys === each) chosenKeys = given.findLast(({ role }) => role === "keys");
    notes.replaceChildren(element("p", {}, foreign(cut(each.file.name, 200)), " was removed."));
    void show();
    byId("spans-file").focus();
  }

  return {
    spans: () => given.find(({ role }) => role === "spans")?.file,
    keys: () => chosenKeys?.file,
    checkpoints: () => given.filter(({ role }) => role === "checkpoints").map(({ file }) => file),
    async add(files, asked) {
      const said: HTMLElement[] = [];
      for (const file of files) {
        const content = await roleOf(file, asked).catch(() => "unreadable" as const);
        const role = content === "unreadable" ? undefined : (content ?? asked);
        const name = foreign(cut(file.name, 200));
        if (role === undefined) {
          said.push(element("p", {}, name, content === "unreadable" ? unreadable : ofNoRole));
          continue;
        }
        if (asked !== undefined && role !== asked) said.push(element("p", {}, name, contentSays[role]));
        const before = given.find((each) => each.role === "spans");
        if (role === "spans" && before !== undefined) {
          given = given.filter((each) => each !== before);
          const former = foreign(cut(before.file.name, 200));
          said.push(element("p", {}, name, " replaces ", former, ": one export is verified at a time."));
        }
        const added = { role, file };
        given = [...given, added];
        if (role === "keys") chosenKeys = added;
      }
      if (files.length > 0) notes.replaceChildren(...said);
      await show();
    },
  };
}

const ofNoRole =
  " is left out: it is neither an OTLP trace export (protobuf, JSON or JSON lines), nor a key set (JWKS), nor a checkpoint (a signed note).";
const unreadable = " is left out: it cannot be read. A folder must be opened, and its files given.";
const contentSays: Readonly<Record<Role, string>> = {
  spans: " is an export of spans, and is used as one.",
  keys: " is a key set, and is used as one.",
  checkpoints: " is a checkpoint, and is used as one.",
};
