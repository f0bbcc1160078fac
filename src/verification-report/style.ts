/** The style of a report: black on white, one sheet of A4 where nothing is wrong. */
export const reportStyle = `
@page { size: A4; margin: 10mm 14mm; }
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 6mm; max-width: 182mm; background: #fff; color: #1a1a1a;
  font: 7.8pt/1.32 system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; }
header { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 0 6mm; }
h1 { margin: 0; font-size: 15pt; letter-spacing: -0.01em; }
header p { margin: 0; color: #4a4a4a; }
h2 { margin: 1.9mm 0 0.5mm; padding-top: 0.5mm; border-top: 0.3mm solid #1a1a1a; font-size: 8.5pt; break-after: avoid; }
.conclusion { margin: 2.4mm 0 0; padding: 2mm 3mm; border: 0.5mm solid #1a1a1a; border-left-width: 2.4mm; }
.conclusion strong { display: block; font-size: 11.5pt; letter-spacing: 0.02em; }
.VERIFIED { border-color: #1c6b38; }
.CONSISTENT { border-color: #1d4f91; }
.VERIFIED_WITH_GAPS, .CONSISTENT_WITH_GAPS { border-color: #8a5a00; }
.FAILED { border-color: #a3161a; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.35mm 2.4mm 0.35mm 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
thead th { color: #4a4a4a; font-weight: 600; border-bottom: 0.15mm solid #9a9a9a; }
tbody th { width: 24mm; font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
th.short, td.short { white-space: nowrap; }
tr { break-inside: avoid; }
code { font: 0.9em/1.3 ui-monospace, "Liberation Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
code.hash { font-size: 6.2pt; white-space: nowrap; }
.result { white-space: nowrap; font-weight: 600; }
ul { margin: 0; padding-left: 4mm; }
li, p { margin: 0 0 0.3mm; }
.columns { columns: 2; column-gap: 6mm; }
.columns li { break-inside: avoid; }
.command { margin: 0; padding: 1mm 2mm; border: 0.15mm solid #9a9a9a; white-space: pre-wrap; }
@media print { body { padding: 0; max-width: none; font-size: 7.3pt; line-height: 1.26; } h2 { margin-top: 1.5mm; } }
@media (max-width: 600px) { .columns { columns: 1; } body { font-size: 10pt; padding: 4mm; }
  code.hash { font-size: 0.9em; white-space: normal; }
  table.wide, table.wide tbody, table.wide tr, table.wide td { display: block; } table.wide thead { display: none; }
  table.wide tr { padding: 1mm 0; border-bottom: 0.15mm solid #9a9a9a; } td.number { text-align: left; } }
`;
