/** Who may import whom (DESIGN section 2). Pure functions over file lists. */
import { posix } from 'node:path';
import type { SourceFile } from './files.ts';

export interface Violation {
  path: string;
  line: number;
  message: string;
}

const IMPORT =
  /(?:^|[\n;])\s*(?:import|export)\s[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|(?:^|[\n;])\s*import\s*['"]([^'"]+)['"]|\bimport\s*\(\s*['"]([^'"]+)['"]/g;

/** Modules named by static and dynamic imports and re-exports, types included, with their line. */
export function importsOf(text: string): { specifier: string; line: number }[] {
  return [...text.matchAll(IMPORT)].map((match) => {
    const specifier = (match[1] ?? match[2] ?? match[3])!;
    const line = text.slice(0, match.index + match[0].length).split('\n').length;
    return { specifier, line };
  });
}

/** The file that an import names, as a project path without knowledge of the disk; null for a package. */
export function resolveImport(from: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(from), specifier));
  const own = /^@tollgate\/([^/]+)\/?(.*)$/.exec(specifier);
  return own ? `services/${own[1]}/src/${own[2]}` : null;
}

/** Tests and test helpers may reach further than what ships. */
export function isTestCode(path: string): boolean {
  return path.startsWith('test/') || /\.test\.tsx?$/.test(path) || /\/(testkit|testing)\//.test(path);
}

/** `shared/domain`, `shared/redis`, ..., or the service's name; null outside `services/<name>/src`. */
export function layerOf(path: string): string | null {
  const match = /^services\/([^/]+)\/src\/(?:([^/]+)\/)?/.exec(path);
  if (!match) return null;
  return match[1] === 'shared' ? `shared/${match[2] ?? ''}` : match[1]!;
}

/** Shared layers that a layer may import besides itself. */
const SHARED_ARROWS: Record<string, readonly string[]> = {
  'shared/domain': [],
  'shared/contracts': ['shared/domain'],
  'shared/runtime': ['shared/domain'],
  'shared/redis': ['shared/domain', 'shared/contracts', 'shared/runtime'],
  'shared/db': ['shared/domain', 'shared/contracts', 'shared/runtime'],
  'shared/queue': ['shared/domain', 'shared/contracts', 'shared/runtime'],
  // The workers' grammar engine, used by router (gate) and devworker (decoding).
  'shared/xgrammar': ['shared/domain', 'shared/runtime'],
};

/** Packages that a pure layer may use. `zod` touches no I/O and runs in browsers. */
const PURE_PACKAGES: Record<string, readonly string[]> = {
  'shared/domain': [],
  'shared/contracts': ['zod'],
};

/** Layers of shared that a service may use; the testkit is for tests. */
const SHARED_FOR_SERVICES = ['domain', 'contracts', 'redis', 'db', 'queue', 'runtime', 'xgrammar'].map(
  (name) => `shared/${name}`,
);

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  const shared = SHARED_ARROWS[from];
  if (shared) return shared.includes(to);
  if (from === 'dashboard') return to === 'shared/contracts';
  if (SHARED_FOR_SERVICES.includes(to)) return true;
  // The command line composes the services; nobody else knows another one.
  return from === 'cli' && !to.startsWith('shared/');
}

/** Imports against the arrows. */
export function checkArrows(files: readonly SourceFile[]): Violation[] {
  const violations: Violation[] = [];
  for (const { path, text } of files) {
    const layer = layerOf(path);
    if (layer === null || isTestCode(path) || !/\.(ts|tsx|mts|mjs|js)$/.test(path)) continue;
    for (const { specifier, line } of importsOf(text)) {
      const target = resolveImport(path, specifier);
      if (target === null) {
        const allowed = PURE_PACKAGES[layer];
        if (allowed && !allowed.includes(specifier)) {
          violations.push({ path, line, message: `${layer} imports package ${specifier}` });
        }
        continue;
      }
      const to = layerOf(target);
      // Beside `src` (assets, bootstrap) there are no layers; but that must be the service's own.
      if (to === null) {
        const sameService = target.split('/')[1] === path.split('/')[1];
        if (!sameService) violations.push({ path, line, message: `${layer} reaches into ${target}` });
      } else if (!mayImport(layer, to)) {
        violations.push({ path, line, message: `${layer} imports ${to}` });
      }
    }
  }
  return violations;
}

/** Express is a detail of the HTTP edge: only files in a folder `http/` import it. */
export function checkExpress(files: readonly SourceFile[]): Violation[] {
  return files
    .filter(({ path }) => layerOf(path) !== null && !isTestCode(path) && !path.includes('/http/'))
    .flatMap(({ path, text }) =>
      importsOf(text)
        .filter(({ specifier }) => /^(express|express-serve-static-core|@types\/express)$/.test(specifier))
        .map(({ line }) => ({ path, line, message: 'express outside http/' })),
    );
}
