/** Another gateway as a subject of the bench. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { wrongAnswer } from '../check.ts';
import { processTree } from '../procfs.ts';
import { endServer, runServer, type Subject } from '../subjects.ts';
import { folderOf } from './install.ts';
import type { Peer } from './peers.ts';

const READY_MS = 90_000;

/** Starts it and waits until it answers as the upstream does. @throws {Error} what its answers lack, with its last words. */
export async function startPeer(peer: Peer, upstreamPorts: readonly number[]): Promise<Subject> {
  const scratch = mkdtempSync(join(tmpdir(), `tollgate-${peer.name}-`));
  const [port, spare] = [await freePort(), await freePort()];
  const upstreams = upstreamPorts.map((each) => `http://127.0.0.1:${each}`);
  const { program, args, env, key, headers } = peer.start({ folder: folderOf(peer), scratch, port, spare, upstreams });
  const logFile = join(scratch, 'log');
  const child = await runServer(program, args, port, logFile, { ...env, NODE_OPTIONS: undefined });
  const subject: Subject = {
    name: peer.name,
    version: peer.version,
    port,
    // All of them each time: a supervisor may start workers late.
    pids: () => processTree(child.pid ?? 0),
    keys: [key],
    ...(headers && { headers }),
    async stop() {
      await endServer(child);
      rmSync(scratch, { recursive: true, force: true });
    },
  };
  let wrong: string | null = 'not asked';
  const looks = async () => {
    wrong = await wrongAnswer(subject);
    return wrong === null;
  };
  try {
    // It looks for its workers first.
    await eventually(`${peer.name} answers`, looks, {
      deadlineMs: READY_MS,
      everyMs: 500,
    });
  } catch {
    const words = readFileSync(logFile, 'utf8').slice(-500).trim();
    await subject.stop();
    throw new Error(`${peer.name}: ${wrong}${words === '' ? '' : `; it said: ${words}`}`);
  }
  return subject;
}
