/**
 * The bill of materials of one image, in CycloneDX 1.6, from the lock file alone: nothing is installed and nobody is asked.
 *
 *   node infra/sbom/sbom.ts router > router.cdx.json        router, console, metering, retrieval, devworker or cli
 *
 * What it lists is what `npm ci --omit=dev --omit=optional --workspace @tollgate/<service>` installs, as the Dockerfiles do.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Locked {
  version?: string;
  integrity?: string;
  license?: string;
  link?: boolean;
  resolved?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
}

export interface Lock {
  version: string;
  packages: Record<string, Locked>;
}

export interface Component {
  type: 'library' | 'application';
  'bom-ref': string;
  name: string;
  version: string;
  purl: string;
  hashes?: { alg: string; content: string }[];
  licenses?: { expression: string }[];
}

/** Place of a dependency as Node finds it: beside, or in a `node_modules` further up; null when it is not installed. */
function resolve({ packages }: Lock, from: string, name: string): string | null {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
    if (!folder.endsWith('node_modules')) {
      const place = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
      const found = packages[place];
      if (found?.link) return found.resolved ?? null;
      if (found) return place;
    }
    if (folder === '') return null;
  }
}

const nameAt = (place: string) => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
const purlOf = (name: string, version: string) => `pkg:npm/${name.replace('@', '%40')}@${version}`;

function component(lock: Lock, place: string): Component {
  const { version = lock.version, integrity, license } = lock.packages[place]!;
  const isOwn = place.startsWith('services/');
  const name = isOwn ? `@tollgate/${place.slice('services/'.length)}` : nameAt(place);
  const [alg, hash] = (integrity ?? '').split(' ')[0]!.split('-');
  return {
    type: 'library',
    'bom-ref': purlOf(name, version),
    name,
    version,
    purl: purlOf(name, version),
    ...(hash && {
      hashes: [{ alg: alg === 'sha512' ? 'SHA-512' : 'SHA-1', content: Buffer.from(hash, 'base64').toString('hex') }],
    }),
    ...(license && { licenses: [{ expression: license }] }),
  };
}

/** The bill of a service's image. @throws when the lock file knows no such service */
export function billOf(lock: Lock, service: string) {
  const start = `services/${service}`;
  if (!lock.packages[start]) throw new Error(`no service ${service} in package-lock.json`);
  const edges = new Map<string, string[]>();
  const queue = [start];
  for (let place = queue.pop(); place !== undefined; place = queue.pop()) {
    if (edges.has(place)) continue;
    const {
      dependencies = {},
      peerDependencies = {},
      peerDependenciesMeta = {},
      optionalDependencies = {},
    } = lock.packages[place]!;
    const peers = Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true);
    const wanted = [...Object.keys(dependencies), ...peers].filter((name) => !(name in optionalDependencies));
    const places = wanted.flatMap((name) => resolve(lock, place!, name) ?? []);
    edges.set(place, places);
    queue.push(...places);
  }
  const components = new Map([...edges.keys()].map((place) => [place, component(lock, place)]));
  const refs = (places: readonly string[]) =>
    [...new Set(places.map((place) => components.get(place)!['bom-ref']))].sort();
  const main = { ...components.get(start)!, type: 'application' as const };
  const byRef = new Map(
    [...components].filter(([place]) => place !== start).map(([, each]) => [each['bom-ref'], each]),
  );
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: main },
    components: [...byRef.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1)),
    dependencies: [...edges].map(([place, places]) => ({
      ref: components.get(place)!['bom-ref'],
      dependsOn: refs(places),
    })),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const service = process.argv[2];
  const root = fileURLToPath(new URL('../..', import.meta.url));
  if (service === undefined) {
    process.stderr.write('usage: node infra/sbom/sbom.ts router|console|metering|retrieval|devworker|cli\n');
    process.exitCode = 2;
  } else {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
    process.stdout.write(`${JSON.stringify(billOf(lock, service), null, 1)}\n`);
  }
}
