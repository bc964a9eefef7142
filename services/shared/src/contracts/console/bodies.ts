/** Kept bodies of requests: the switch of an organisation, and what was kept of one request. */
import { z } from 'zod';
import { isoTime, requestId } from './common.ts';

export const BODY_DAYS_MOST = 90;
export const BODY_DAYS_DEFAULT = 30;

export const bodyRetention = z
  .object({
    enabled: z
      .boolean()
      .meta({ description: 'On: bodies of new requests are kept, sealed. Off for everybody at first.' }),
    days: z.int().meta({ description: 'For so many days from admission.' }),
    maxDays: z.int(),
    storedBytes: z.int().meta({ description: 'Sealed bytes kept now.' }),
    maxStoredBytes: z.int().meta({ description: 'With so much stored, further bodies are not kept.' }),
    maxBodyBytes: z.int().meta({ description: 'Of each body; what is longer is cut, and says so.' }),
    changedAt: isoTime.nullable(),
    changedBy: z.string().nullable(),
  })
  .meta({ id: 'BodyRetention' });
export type BodyRetentionView = z.infer<typeof bodyRetention>;

export const setBodyRetention = z
  .strictObject({
    enabled: z.boolean(),
    days: z.int().min(1).max(BODY_DAYS_MOST).optional().meta({ description: 'As before when absent; 30 at first.' }),
    deleteKept: z
      .boolean()
      .optional()
      .meta({ description: 'Also deletes what was kept until now: unreadable at once, gone within minutes.' }),
  })
  .meta({ id: 'SetBodyRetention' });
export type SetBodyRetention = z.output<typeof setBodyRetention>;

const keptText = {
  text: z.string().meta({ description: 'UTF-8; of a stream its events as they were sent.' }),
  bytes: z.int().meta({ description: 'As it was, before any cut.' }),
  truncated: z.boolean().meta({ description: 'True: only the beginning was kept.' }),
};
export const requestBody = z
  .object({
    requestId,
    admittedAt: isoTime,
    expiresAt: isoTime.meta({ description: 'Deleted then.' }),
    request: z.object(keptText),
    answer: z
      .object({ status: z.int(), contentType: z.string(), ...keptText })
      .nullable()
      .meta({ description: 'Null: no byte of an answer was given.' }),
  })
  .meta({ id: 'RequestBody' });
export type RequestBodyView = z.infer<typeof requestBody>;
