/** Small choices of the person at this browser. Never anything secret; and it may be forbidden, so nothing depends on it. */

export type Choice = 'theme' | 'organisation' | 'shortcuts' | 'schema';

export function recall(name: Choice): string | null {
  try {
    return localStorage.getItem(`tollgate.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: Choice, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`tollgate.${name}`);
    else localStorage.setItem(`tollgate.${name}`, value);
  } catch {
    // Forbidden or full: the choice lasts as long as the page.
  }
}
