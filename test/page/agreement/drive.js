// @ts-nocheck -- It runs in the page alone, whose globals the types of Node do not have.
/**
 * Put into the verifier's page before its own script: `drive` gives it files and a question as somebody would, by its inputs and its button, and
 * returns what it says. Rows and reports that the page has of its worker are overheard.
 */
let overheard = [];
let hearReport = () => {};

globalThis.Worker = class extends Worker {
  constructor(url) {
    super(url);
    this.addEventListener("message", ({ data }) => {
      if (data.response?.rows !== undefined) overheard = data.response.rows;
      if (data.response?.html !== undefined) hearReport(data.response.html);
    });
  }
};

globalThis.drive = async (given) => {
  const { files, asked } = JSON.parse(given);
  const at = (id) => document.getElementById(id);
  const changed = (element, name) => element.dispatchEvent(new Event(name, { bubbles: true }));
  for (const remove of document.querySelectorAll("#exhibits li button")) remove.click();
  for (const [role, list] of Object.entries(files)) {
    const transfer = new DataTransfer();
    for (const { name, base64 } of list) transfer.items.add(new File([Uint8Array.fromBase64(base64)], name));
    at(`${role}-file`).files = transfer.files;
    changed(at(`${role}-file`), "change");
  }
  for (const [id, isChecked] of [
    ["log", asked.log],
    ["any-order", asked.anyOrder],
  ]) {
    at(id).checked = isChecked;
    changed(at(id), "change");
  }
  const texts = { tenant: asked.tenant, "kept-by": asked.keptBy, from: asked.from, to: asked.to };
  for (const [id, value] of [...Object.entries(texts), ["vkeys", asked.vkeys.join("\n")]]) {
    at(id).value = value ?? "";
    changed(at(id), "input");
  }
  const ended = new AbortController();
  const end = new Promise((resolve) => {
    for (const name of ["verified", "trouble"]) at("result").addEventListener(name, resolve, { signal: ended.signal });
  });
  at("verify").click();
  const { type, detail } = await end;
  ended.abort();
  if (type === "trouble") return { refusal: detail };
  // Content that is clearly of another role is used in that one, and the page says so: it was another question then.
  const meant = Object.entries(files).flatMap(([role, list]) => list.map(() => role));
  const taken = [...document.querySelectorAll("#exhibits li")].map((each) => each.dataset.role);
  if (taken.sort().join() !== meant.sort().join()) return { refusal: at("file-notes").textContent };
  const shown = [...document.querySelectorAll("#span-rows tr[data-verdict]")].map((row) => row.dataset.verdict);
  return { facts: detail, rows: overheard, conclusion: at("conclusion").dataset.conclusion, shown };
};

/** The report of the last verification, as it is saved. */
globalThis.reported = (date) => {
  document.getElementById("report-date").value = date;
  document.getElementById("save-report").click();
  return new Promise((resolve) => {
    hearReport = resolve;
  });
};

globalThis.alert = () => {
  globalThis.alerted = true;
};

globalThis.injected = () => [
  ...[...document.querySelectorAll("body script ~ script, img, [onerror]")].map((each) => each.outerHTML),
  ...[...document.querySelectorAll("[id]")].map(({ id }) => id).filter((id, i, ids) => ids.indexOf(id) !== i),
  ...(globalThis.alerted ? ["an alert"] : []),
];
