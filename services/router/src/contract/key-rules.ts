/** Whose request it is: a key tells by itself, or headers beside it do (the rag contract, seed 002). */
import { AppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import { invalid, missing } from './checks.ts';
import type { HeaderOf } from './profile.ts';
import type { ProfileFile } from './profile-file.ts';

const NAME = /^[\x21-\x7e]{1,128}$/;

export function compileKeyRules(rules: ProfileFile['keys']): (key: KeyRecord, header: HeaderOf) => KeyRecord {
  const { userHeader, projectHeader } = rules;
  if (rules.users === 'from_key' || userHeader === undefined || projectHeader === undefined) return (key) => key;
  return (key, header) => {
    const userId = named(userHeader, header);
    const projectId = named(projectHeader, header);
    if (key.kind === 'service') return forUser(key, userId, projectId, userHeader, projectHeader);
    // A user's own token speaks for that user alone; saying so again does no harm.
    checkSame(key.userId, userId);
    checkSame(key.projectId, projectId);
    return key;
  };
}

/** A service key acts for a user in a project, and must say for whom; one that is bound to a project stays in it. */
function forUser(
  key: KeyRecord,
  userId: string | null,
  projectId: string | null,
  userHeader: string,
  projectHeader: string,
): KeyRecord {
  if (userId === null) throw missing(userHeader);
  if (projectId === null) throw missing(projectHeader);
  checkSame(key.userId, userId);
  checkSame(key.projectId, projectId);
  return { ...key, userId, projectId };
}

function named(name: string, header: HeaderOf): string | null {
  const value = header(name);
  if (value === undefined || value === '') return null;
  if (!NAME.test(value)) throw invalid(name, 'expected 1 to 128 visible ASCII characters.');
  return value;
}

function checkSame(own: string | null, told: string | null): void {
  if (own !== null && told !== null && own !== told) {
    throw new AppError('endpoint_not_allowed', { message: 'This key belongs to another user or project.' });
  }
}
