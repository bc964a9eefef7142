/** What a rule lets pass, each with its reason. A line that is no longer needed fails the check. */

export interface Exception {
  /** Exact path, or a folder when it ends with `/`. */
  path: string;
  reason: string;
}

export const LONG_FILES: readonly Exception[] = [
  { path: 'infra/observability/definitions.ts', reason: 'one table: every scrape job, rule, alert and panel' },
];

/** Files that may quote lines of Lua scripts. */
export const LUA_QUOTES: readonly Exception[] = [
  {
    path: 'test/chaos/lease-machine.test.ts',
    reason: 'planted bugs name the lines of the real scripts that they change',
  },
  {
    path: 'services/shared/src/testkit/bench-money.ts',
    reason: 'measures the real script with and without the call that it names',
  },
  { path: 'test/chaos/lease-machine/', reason: 'replaces the clock call of the real scripts by a chosen time' },
];

export const LUA_TEXT: readonly Exception[] = [];

/** Recorded or vendored material: not our words. */
export const FOREIGN: readonly Exception[] = [
  { path: 'services/devworker/goldens/', reason: 'answers of a real vLLM, byte for byte' },
  { path: 'package-lock.json', reason: 'written by npm; has a check of its own' },
  { path: 'LICENSE', reason: 'the licence text' },
];
