/** Which failures of a query are the database's own, so that a caller may try again: what answers 503 and not 500. */

/**
 * Connection errors of Node; then SQLSTATE classes: 08 connection, 40 rollback (serialization, deadlock), 53 resources,
 * 55P03 a lock that is not to be had, 57 operator (statement cut off, shutdown, starting up), 58 system, F0 and XX the
 * server's inside; 25006 a standby that was just written to, 25P03 and 25P04 transactions that took too long.
 */
const TROUBLE =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|(08|40|53|57|58|F0|XX)[0-9A-Z]{3}|55P03|25006|25P0[34])$/;
/** 40002 is a constraint that was checked late: the data's fault. */
const DATA = '40002';
/** What pg says without a code. */
const TROUBLE_TEXT = /^(Connection terminated|Client has encountered a connection error)|timeout exceeded when trying/i;

/** True when the same query may succeed a little later without anybody changing anything. */
export function isDatabaseTrouble(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string') return code !== DATA && TROUBLE.test(code);
  return TROUBLE_TEXT.test(error.message);
}
