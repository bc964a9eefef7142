/**
 * Checks the audit log's chain from its first line, in stretches that one call can answer. The chain alone shows a line
 * that was changed, added or taken out; that its end was cut off, or that all of it was written anew, shows only against
 * what an earlier check wrote down elsewhere: the checkpoint.
 */
import type { AuditVerified } from '@tollgate/shared/contracts/console/platform';

export interface Checkpoint {
  lines: number;
  lastHash: string | null;
  /** When it was taken, ISO 8601. */
  at: string;
}

export interface AuditFound {
  ok: boolean;
  /** Lines that hold, from the first on. */
  lines: number;
  lastHash: string | null;
  brokenAt: number | null;
  /** What it was held against; null = nothing. */
  checkpoint: Checkpoint | null;
  problems: string[];
}

/** Lines per call: about a second of the console's time. */
export const STRETCH_LINES = 50_000;

type Ask = (query: { after?: number; hash?: string; limit: number }) => Promise<AuditVerified>;

export async function verifyAudit(
  ask: Ask,
  checkpoint: Checkpoint | null,
  stretchLines = STRETCH_LINES,
): Promise<AuditFound> {
  const found = { lines: 0, lastHash: null as string | null, brokenAt: null as number | null };
  const problems: string[] = [];
  for (let more = true; more && problems.length === 0; ) {
    // One stretch ends at the checkpoint's line, so that its hash can be compared.
    const toCheckpoint = checkpoint && checkpoint.lines > found.lines ? checkpoint.lines - found.lines : stretchLines;
    const limit = Math.min(stretchLines, toCheckpoint);
    const from = found.lastHash === null ? {} : { after: found.lines, hash: found.lastHash };
    const part = await ask({ ...from, limit });
    more = part.more;
    Object.assign(found, { lines: part.lines, lastHash: part.lastHash, brokenAt: part.brokenAt });
    if (!part.ok) {
      problems.push(`line ${part.brokenAt} does not follow from the one before: it was changed, added or taken out`);
    } else if (checkpoint && part.lines === checkpoint.lines && part.lastHash !== checkpoint.lastHash) {
      problems.push(`line ${part.lines} is not what it was at ${checkpoint.at}: the log was written anew`);
    }
  }
  if (checkpoint && problems.length === 0 && found.lines < checkpoint.lines) {
    problems.push(
      `the log ends at line ${found.lines}; at ${checkpoint.at} it had ${checkpoint.lines}: its end is gone`,
    );
  }
  return { ok: problems.length === 0, ...found, checkpoint, problems };
}
