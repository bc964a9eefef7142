/** Path of the first string (or object key) under `value` that is not well-formed Unicode, or null. */
export function findLoneSurrogate(path: string, value: unknown): string | null {
  // Nearly always there is none; only then is it worth building paths.
  return isWellFormed(value) ? null : locate(path, value);
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isWellFormed);
  for (const key in value) {
    if (!key.isWellFormed() || !isWellFormed((value as Record<string, unknown>)[key])) return false;
  }
  return true;
}

function locate(path: string, value: unknown): string | null {
  if (typeof value === 'string') return value.isWellFormed() ? null : path;
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, entry] of Object.entries(value)) {
    if (!key.isWellFormed()) return path;
    const found = locate(Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, entry);
    if (found !== null) return found;
  }
  return null;
}
