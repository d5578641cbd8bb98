// Measures what a browser loads before the first page shows: the entry, the Now page and their static imports and styles,
// compressed as the server sends them. Fails above the budget.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const BUDGET_KB = 300;
const manifest = JSON.parse(readFileSync('dist/.vite/manifest.json', 'utf8'));
const files = new Set(['index.html']);
const visit = (key, seen = new Set()) => {
  const chunk = manifest[key];
  if (!chunk || seen.has(key)) return;
  seen.add(key);
  files.add(chunk.file);
  for (const css of chunk.css ?? []) files.add(css);
  for (const next of chunk.imports ?? []) visit(next, seen);
};
visit('index.html');
visit(Object.keys(manifest).find((key) => key.endsWith('slices/incidents/now.tsx')));

let total = 0;
const rows = [...files].map((file) => {
  const size = gzipSync(readFileSync(`dist/${file}`), { level: 9 }).length;
  total += size;
  return [file, size];
});
rows.sort((a, b) => b[1] - a[1]);
for (const [file, size] of rows) process.stdout.write(`${(size / 1024).toFixed(1).padStart(8)} KB  ${file}\n`);
const kb = total / 1024;
process.stdout.write(`${kb.toFixed(1).padStart(8)} KB  first load, gzip (budget ${BUDGET_KB} KB)\n`);
if (kb > BUDGET_KB) process.exit(1);
