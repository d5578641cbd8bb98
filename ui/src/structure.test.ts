// @vitest-environment node
/** The shape of the tree: slices stay apart, pages stay short, colours stay tokens. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname ?? process.cwd(), '.');
const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(ts|tsx)$/.test(name) && !name.includes('.test.'))
  .map((name) => ({ name: name.replaceAll('\\', '/'), text: readFileSync(join(ROOT, name), 'utf8') }));
const imports = (text: string) =>
  [...text.matchAll(/from '([^']+)'|import\('([^']+)'\)/g)].map((m) => m[1] ?? m[2] ?? '');

describe('structure', () => {
  it('counts disks by the one formula on every page', () => {
    const own = files.filter((f) => /node_filesystem_(size|avail)_bytes/.test(f.text)).map((f) => f.name);
    expect(own).toEqual(['parts/disk.ts']);
  });

  it('finds the sources', () => {
    expect(files.length).toBeGreaterThan(80);
  });

  for (const { name, text } of files) {
    const slice = /^slices\/([^/]+)\//.exec(name)?.[1];
    if (slice) {
      it(`${name} imports no other slice and not the app`, () => {
        for (const target of imports(text)) {
          if (target.startsWith('@/slices/')) expect(target.startsWith(`@/slices/${slice}/`), target).toBe(true);
          expect(target.startsWith('@/app/'), target).toBe(false);
          if (target.startsWith('..')) expect(relative('.', target), `${target}: stay inside of the slice`).toBe('');
        }
      });
      it(`${name} is a page of at most 250 lines`, () => {
        expect(text.split('\n').length).toBeLessThanOrEqual(250);
      });
    }
    const layer = /^(api|parts|charts)\//.exec(name)?.[1];
    if (layer) {
      it(`${name} knows neither slices nor the app`, () => {
        for (const target of imports(text)) expect(target, target).not.toMatch(/^@\/(slices|app)\//);
      });
    }
    if (name !== 'api/schema.d.ts') {
      it(`${name} says what it is`, () => {
        expect(text.trimStart()).toMatch(/^(\/\*\*|import|\/\/)/);
        expect(text, 'raw colours belong into tokens.css').not.toMatch(/['"`]#[0-9a-fA-F]{3,8}['"`]/);
      });
    }
  }
});
