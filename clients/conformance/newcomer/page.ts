/** Steps of a language's page, docs/clients/*.md, for a newcomer, in the order of the page. */

export type Step =
  | { kind: "install"; script: string }
  /** A file of the newcomer's. */
  | { kind: "file"; example: string; name: string; text: string }
  /** A command, and what it prints: as in the guides, `…` stands for anything. */
  | { kind: "run"; example: string; command: string; shown: string };

const marked = /^<!-- (install|example|run): ([a-z]+)(?: ([a-z0-9-]+))? -->\n+```(\w+)\n([\s\S]*?)^```$/gm;

/** Throws for a marker that says too little, and for an example whose file the page does not name. */
export function stepsOf(page: string, language: string): Step[] {
  return [...page.matchAll(marked)]
    .filter(([, , of]) => of === language)
    .flatMap(([, kind, , example, info, text = ""], at, all): Step[] => {
      const where = `${kind} of ${language}, ${example ?? "without a name"}`;
      if (kind === "install") {
        if (info !== "sh") throw new Error(`${where}: it is no block of sh`);
        return [{ kind: "install", script: text }];
      }
      if (example === undefined) throw new Error(`${where}: the marker names no example`);
      if (kind === "example") return [{ kind: "file", example, name: fileBefore(page, all[at]!.index, where), text }];
      const [before, ...commands] = text.split(/^\$ /m);
      if (info !== "console" || before !== "" || commands.length === 0)
        throw new Error(`${where}: it does not begin with "$ command"`);
      return commands.map((each) => {
        const [command, ...shown] = each.trimEnd().split("\n");
        return { kind: "run", example, command: command!, shown: shown.join("\n") };
      });
    });
}

/** Returns the beginning of each block that no marker explains: nobody would notice when it no longer works. */
export function unmarkedBlocks(page: string): string[] {
  return [...page.replace(marked, "").matchAll(/^(```.*\n.*)\n[\s\S]*?^```$/gm)].map(([, beginning]) => beginning!);
}

/** Returns the name in the last line "In `name`:" that stands above the marker, with nothing but blank lines between. */
function fileBefore(page: string, index: number, where: string): string {
  const name = /In `([\w./-]+)`:\n+$/.exec(page.slice(0, index))?.[1];
  if (name === undefined) throw new Error(`${where}: no line "In \`file\`:" stands before the marker`);
  return name;
}
