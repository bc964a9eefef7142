/** The dashboard's build: small at first, nothing inline, no other host. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from '@jest/globals';
import { dashboardStamp, ensureDashboard, needsDashboard } from '../../services/cli/bootstrap/dashboard.mjs';

const DIST = fileURLToPath(new URL('../../services/dashboard/dist/', import.meta.url));
const FIRST_LOAD_LIMIT_BYTES = 250_000;

interface Chunk {
  file: string;
  src?: string;
  imports?: string[];
  css?: string[];
}
let manifest: Record<string, Chunk>;

beforeAll(async () => {
  await ensureDashboard(process.execPath);
  manifest = JSON.parse(readFileSync(join(DIST, '.vite/manifest.json'), 'utf8')) as Record<string, Chunk>;
}, 180_000);

/** Files that a browser loads for some entries, with all that they import at once. */
function loadedFor(...entries: string[]): string[] {
  const seen = new Set<string>();
  const visit = (name: string): void => {
    const chunk = manifest[name];
    if (!chunk) throw new Error(`the build has no ${name}`);
    if (seen.has(chunk.file)) return;
    seen.add(chunk.file);
    for (const next of chunk.imports ?? []) visit(next);
  };
  entries.forEach(visit);
  return [...seen];
}
const gzippedBytes = (files: readonly string[]) =>
  files.reduce((sum, file) => sum + gzipSync(readFileSync(join(DIST, file))).length, 0);

test('the first page loads at most 250 kB of JavaScript, gzipped', () => {
  for (const screen of ['sign-in/sign-in.tsx', 'home/home.tsx']) {
    const bytes = gzippedBytes(loadedFor('index.html', `src/screens/${screen}`));
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThanOrEqual(FIRST_LOAD_LIMIT_BYTES);
  }
});

test('charts, editor and API viewer load only where they are shown', () => {
  const heavy = readdirSync(join(DIST, 'assets')).filter((name) =>
    /^(chart|json-editor|swagger-ui-es-bundle)-.*\.js$/.test(name),
  );
  expect(heavy).toHaveLength(3);
  const screens = Object.keys(manifest).filter((name) => /^src\/screens\/.*\.tsx$/.test(name));
  const pages = screens.filter((name) => !/chart|json-editor|fleet-strip/.test(name));
  expect(pages.length).toBeGreaterThan(15);
  for (const name of heavy) expect(loadedFor('index.html', ...pages)).not.toContain(`assets/${name}`);
});

test('the page holds nothing inline and names no other host', () => {
  const html = readFileSync(join(DIST, 'index.html'), 'utf8');
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)/);
  expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/);
  expect(html).not.toMatch(/https?:\/\//);
  for (const file of readdirSync(join(DIST, 'assets')).filter((name) => name.endsWith('.css'))) {
    expect(readFileSync(join(DIST, 'assets', file), 'utf8')).not.toMatch(/@import|url\(["']?(https?:)?\/\//);
  }
});

test('a build is made again only when something that goes into it changed', () => {
  expect(needsDashboard()).toBe(false);
  expect(dashboardStamp()).toBe(dashboardStamp());
});
