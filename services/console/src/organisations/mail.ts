/**
 * Mail leaves through a port. `log` sends nothing and says so: whoever invites hands the link over. `http` posts JSON
 * `{to, subject, text}` to a relay of the operator's choice. Texts are never logged: they hold links that let people in.
 */
import type { Logger } from '@tollgate/shared/runtime/logger';

export interface Mail {
  to: string;
  subject: string;
  text: string;
}

/** True when somebody has taken charge of delivering it. */
export type Outbox = (mail: Mail) => Promise<boolean>;

const DEADLINE_MS = 10_000;

export function logOutbox(logger: Logger): Outbox {
  return async ({ subject }) => {
    logger.info({ subject }, 'mail is not configured: nothing was sent');
    return false;
  };
}

export function httpOutbox(url: string, token: string | null, logger: Logger): Outbox {
  return async (mail) => {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(mail),
        redirect: 'error',
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      await response.arrayBuffer();
      if (!response.ok) logger.warn({ status: response.status }, 'the mail relay refused a mail');
      return response.ok;
    } catch (error) {
      logger.warn({ err: error }, 'the mail relay does not answer');
      return false;
    }
  };
}
