/** Who this router is. The name must outlive a restart: confirmations of its records are kept under it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { base62 } from '@tollgate/shared/domain/ids';
import type { Random } from '@tollgate/shared/runtime/random';

/** The configured id, else the one in the spool folder, else a new one that is kept there. */
export function routerIdentity(
  configured: string | undefined,
  spoolDir: string,
  machine: string,
  random: Random,
): string {
  if (configured !== undefined) return configured;
  const path = join(spoolDir, 'router-id');
  try {
    const kept = readFileSync(path, 'utf8').trim();
    if (/^[A-Za-z0-9._-]{1,100}$/.test(kept)) return kept;
  } catch {
    // The folder is new.
  }
  const id = `${machine}-${base62(8, (count) => random.bytes(count))}`;
  mkdirSync(spoolDir, { recursive: true, mode: 0o700 });
  writeFileSync(path, `${id}\n`, { mode: 0o600 });
  return id;
}
