/** One line of `tollgate doctor`. */
export interface Check {
  name: string;
  ok: boolean;
  /** What was found. */
  detail: string;
  /** What to do; null when nothing needs doing. */
  fix: string | null;
}

export const passed = (name: string, detail: string, fix: string | null = null): Check => ({
  name,
  ok: true,
  detail,
  fix,
});
export const failed = (name: string, detail: string, fix: string): Check => ({ name, ok: false, detail, fix });

/** Dotted version -> numbers; anything after them is ignored. */
export function versionParts(text: string): number[] {
  return (/\d+(\.\d+)*/.exec(text)?.[0] ?? '0').split('.').map(Number);
}

/** Whether version `a` is older than `b`. */
export function isOlder(a: string, b: string): boolean {
  const left = versionParts(a);
  const right = versionParts(b);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
