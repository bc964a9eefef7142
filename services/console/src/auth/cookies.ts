/** The cookies of the console, and nothing else's. */
export interface CookieRules {
  /** True when the console is reached over https: then cookies are `__Host-` and Secure. */
  secure: boolean;
}

const SESSION = 'tollgate_session';
const SIGN_IN = 'tollgate_sign_in';

const name = (base: string, { secure }: CookieRules) => (secure ? `__Host-${base}` : base);

function cookie(base: string, value: string, maxAgeS: number, rules: CookieRules): string {
  const secure = rules.secure ? '; Secure' : '';
  return `${name(base, rules)}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeS}${secure}`;
}

export const sessionCookie = (value: string, maxAgeMs: number, rules: CookieRules) =>
  cookie(SESSION, value, Math.ceil(maxAgeMs / 1000), rules);
export const noSessionCookie = (rules: CookieRules) => cookie(SESSION, '', 0, rules);
/** What must survive the way to an OIDC provider and back; sealed by the caller. */
export const signInCookie = (value: string, rules: CookieRules) => cookie(SIGN_IN, value, 600, rules);
export const noSignInCookie = (rules: CookieRules) => cookie(SIGN_IN, '', 0, rules);

export const readSessionCookie = (header: string | undefined, rules: CookieRules) => read(header, name(SESSION, rules));
export const readSignInCookie = (header: string | undefined, rules: CookieRules) => read(header, name(SIGN_IN, rules));

/** Null when it is missing, or there twice: whose it is would be a guess. */
function read(header: string | undefined, wanted: string): string | null {
  const found: string[] = [];
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === wanted) found.push(part.slice(at + 1).trim());
  }
  return found.length === 1 && /^[0-9A-Za-z_.-]{1,4000}$/.test(found[0]!) ? found[0]! : null;
}
