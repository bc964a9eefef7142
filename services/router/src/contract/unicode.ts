/** Path of the first string (or object key) under `value` that is not well-formed Unicode, or null. */
export function findLoneSurrogate(path: string, value: unknown): string | null {
  if (typeof value === 'string') return value.isWellFormed() ? null : path;
  if (typeof value !== 'object' || value === null) return null;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const found = findLoneSurrogate(`${path}[${i}]`, value[i]);
      if (found !== null) return found;
    }
    return null;
  }
  for (const [key, entry] of Object.entries(value)) {
    if (!key.isWellFormed()) return path;
    const found = findLoneSurrogate(`${path}.${key}`, entry);
    if (found !== null) return found;
  }
  return null;
}
