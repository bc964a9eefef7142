/** What README and the how-to pages tell people to run does run, on a started stack. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { freePort } from '@tollgate/shared/testkit/ports';
import { cleanUp, type LocalStart, startLocal } from './local-start.ts';

const LIMIT_MS = 240_000;
const PAGE_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 20_000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGES = ['README.md', ...readdirSync(`${ROOT}docs/how-to`).map((name) => `docs/how-to/${name}`)];

/** Pages whose commands need what a plain machine does not have, each with what stands for it. */
const ELSEWHERE: Record<string, string> = {
  'docs/how-to/install-kubernetes.md': 'a cluster; what Helm makes of the chart: npm run test:helm',
  'docs/how-to/upgrade.md': 'a cluster; what Helm makes of the chart: npm run test:helm',
  'docs/how-to/backup-restore.md': 'a Postgres server with its tools: test/chaos/backup-restore runs its commands',
  'docs/how-to/redis-failover-drill.md':
    'a Redis with a replica: test/chaos/lease-machine, test/chaos/router-redis-loss',
  'docs/how-to/change-the-dashboard.md':
    'its commands build and watch: test/e2e/dashboard-build, test/e2e/dashboard-story',
  'docs/how-to/scale-out.md': 'nothing to run',
  'docs/how-to/multi-region.md': 'nothing to run',
};

interface Block {
  page: string;
  language: string;
  isRun: boolean;
  code: string;
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(ROOT + page, 'utf8');
  return [...text.matchAll(/^```(\w*)([^\n]*)\n([\s\S]*?)^```$/gm)].map(([, language, rest, code]) => ({
    page,
    language: language!,
    isRun: rest!.trim() === 'run',
    code: code!,
  }));
}

/** Shell blocks that are not run, each with what stands for it. */
const NOT_RUN: Record<string, string> = {
  'npm start\nnpm test\n': 'the stack of this test is what npm start starts; this test is part of npm test',
  'vllm serve': 'needs a GPU; the look-alike of the next block takes its place',
};

let local: LocalStart;

/** One shell for a whole page, so that later blocks see what earlier ones set. */
function scriptOf(blocks: readonly Block[]): string {
  const parts = blocks.map(({ language, code }, i) => {
    if (language === 'sh') return code;
    const name = `block_${i}_ended`;
    if (language === 'js') return `node --input-type=module - <<'${name}'\n${code}${name}\n`;
    // The SDK for Python is not among this project's packages: without it the block is at least compiled.
    const runner = `python3 -c 'import openai' 2>/dev/null && python3 - || python3 -c 'import sys; compile(sys.stdin.read(), "block", "exec")'`;
    return `if command -v python3 >/dev/null; then { ${runner}; } <<'${name}'\n${code}${name}\nfi\n`;
  });
  return `set -euo pipefail\n${parts.join('\necho\n')}`;
}

/** The page's addresses are those of a plain `npm start`; the test's stack is elsewhere. */
async function atHome(script: string): Promise<string> {
  const places: [string, string][] = [
    ['http://127.0.0.1:8080/v1', local.dev.routerUrl],
    ['http://127.0.0.1:8081', local.dev.consoleUrl],
    ["require('./.tollgate/", `require('${local.home}/`],
    ['--port 8000', `--port ${await placeOf('8000')}`],
    ['127.0.0.1:8000', `127.0.0.1:${await placeOf('8000')}`],
    ['127.0.0.1:8090', `127.0.0.1:${await placeOf('8090')}`],
    ['ledger.json', `${local.home}/ledger.json`],
    ['> router.log', `> ${local.home}/router.log`],
  ];
  return places.reduce((text, [from, to]) => text.replaceAll(from, to), script);
}

const ports = new Map<string, number>();
async function placeOf(name: string): Promise<number> {
  const port = ports.get(name) ?? (await freePort());
  ports.set(name, port);
  return port;
}

/** A page may leave services running in the background: they end with the page, as they would with the terminal. */
async function shell(script: string): Promise<{ code: number | null; output: string }> {
  const child = spawn('bash', ['-c', script], {
    cwd: ROOT,
    env: childEnvironment({ TOLLGATE_HOME: local.home }),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const end = (signal: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // Nobody is left in the group.
    }
  };
  const limit = setTimeout(() => end('SIGKILL'), PAGE_LIMIT_MS);
  const closed = once(child, 'close');
  const [code] = await once(child, 'exit');
  clearTimeout(limit);
  end('SIGTERM');
  const stubborn = setTimeout(() => end('SIGKILL'), STOP_LIMIT_MS);
  await closed;
  clearTimeout(stubborn);
  return { code: code as number | null, output };
}

describe('on a started stack', () => {
  beforeAll(async () => {
    local = await startLocal();
  }, LIMIT_MS);
  afterAll(cleanUp, LIMIT_MS);

  test.each(PAGES.filter((page) => !(page in ELSEWHERE)))(
    'every command of %s runs',
    async (page) => {
      const blocks = blocksOf(page).filter(({ isRun }) => isRun);
      expect(blocks.length).toBeGreaterThan(0);
      const { code, output } = await shell(await atHome(scriptOf(blocks)));
      expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
      expect(PROMISED[page]?.filter((text) => !output.includes(text)) ?? []).toEqual([]);
    },
    LIMIT_MS,
  );
});

describe('documentation', () => {
  test('every shell block is run, or named here with the reason why not', () => {
    const left = PAGES.flatMap(blocksOf)
      .filter(({ language, isRun }) => ['sh', 'bash', 'js', 'python'].includes(language) && !isRun)
      .filter(({ code }) => !Object.keys(NOT_RUN).some((start) => code.startsWith(start)));
    expect(left).toEqual([]);
  });

  test('a page that runs elsewhere is there, and has no block that says it runs here', () => {
    for (const page of Object.keys(ELSEWHERE)) {
      expect(PAGES).toContain(page);
      expect(blocksOf(page).filter(({ isRun }) => isRun)).toEqual([]);
    }
  });

  test('links inside the repository lead somewhere', () => {
    const pages = [
      ...PAGES,
      'docs/ARCHITECTURE.md',
      'CONTRIBUTING.md',
      'SECURITY.md',
      'CHANGELOG.md',
      'docs/adr/README.md',
    ];
    const dead = pages.flatMap((page) => {
      const text = readFileSync(ROOT + page, 'utf8');
      return [...text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => ({ page, target: target! }))
        .filter(({ target }) => !exists(new URL(target, new URL(page, `file://${ROOT}`))));
    });
    expect(dead).toEqual([]);
  });
});

function exists(url: URL): boolean {
  try {
    readFileSync(url);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EISDIR';
  }
}

/** What a page says that its commands print. */
const PROMISED: Record<string, string[]> = {
  'README.md': ['data: [DONE]', 'served', '/api/keys/{id}/rotate'],
  'docs/how-to/rotate-a-key.md': ['200\n200', '401\n200'],
  'docs/how-to/read-the-ledger.md': ['credit_grant', 'goodwill', 'settlement', 'available'],
  'docs/how-to/key-leak-drill.md': ['401', '"key":'],
  'docs/how-to/capacity.md': ['h100: ', ' workers for 33.3 requests/s'],
  'docs/how-to/own-vllm-worker.md': ['"model":"my-org/my-model"', 'chat.completion'],
};
