/** The tables of a page, and the differences between what a page states and what the code does. */

/** A name and what is said of it. */
export type Fact = readonly [name: string, fact: string];

/** Returns the rows of every table of the page whose first column has the title `first`, without the titles. */
export function rowsOf(page: string, first: string): string[][] {
  const tables = page.match(/^(\|.*\|\n)+/gm) ?? [];
  return tables.flatMap((table) => {
    const [titles, , ...rows] = table.trimEnd().split("\n").map(cellsOf);
    return titles?.[0] === first ? rows : [];
  });
}

function cellsOf(line: string): string[] {
  const cells = line.split(/(?<!\\)\|/).slice(1, -1);
  return cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** Returns the names in backticks of a cell. */
export function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
}

/** Returns a line for each fact that one of the two lacks, states twice or states otherwise; none if they agree. */
export function differences(page: readonly Fact[], code: readonly Fact[]): string[] {
  const [stated, actual] = [new Map(page), new Map(code)];
  const twice = page.filter(([name], at) => page.findIndex(([other]) => other === name) !== at);
  return [
    ...twice.map(([name]) => `${name}: twice on the page`),
    ...[...stated.keys()].filter((name) => !actual.has(name)).map((name) => `${name}: on the page, not in the code`),
    ...[...actual].flatMap(([name, fact]) => {
      const said = stated.get(name);
      if (said === undefined) return [`${name}: in the code, not on the page`];
      return said === fact ? [] : [`${name}: "${said}" on the page, "${fact}" in the code`];
    }),
  ];
}
