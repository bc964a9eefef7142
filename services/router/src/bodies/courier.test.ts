import type { ServerResponse } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import type { KeptBody } from '@tollgate/shared/contracts/kept-body';
import { createBodyBox } from '@tollgate/shared/runtime/body-box';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { fakeClock } from '@tollgate/shared/testkit/fake-clock';
import type { RequestContext } from '../context.ts';
import { ClientSide } from '../relay/client-side.ts';
import { BodyCourier, COURIER_DEFAULTS, type SendBodies } from './courier.ts';

const PEPPER = 'a pepper for tests only, long enough';
const box = createBodyBox(PEPPER, systemRandom);

/** What a request's context is for the courier. */
function contextOf(id: string, change: Partial<RequestContext> = {}): RequestContext {
  return {
    requestId: id,
    outcome: 'served',
    takenOver: null,
    bodyCopy: null,
    admission: { intent: { accountId: 'acct_a', keyId: 'key_a', admittedAtMs: 5 } },
    ...change,
  } as unknown as RequestContext;
}

/** A response that nobody reads, and its client's side. */
function clientOf(): { response: ServerResponse; client: ClientSide } {
  const response = {
    destroyed: false,
    chunkedEncoding: false,
    writableFinished: true,
    on: () => {},
    off: () => {},
    writeHead: () => {},
    flushHeaders: () => {},
    write: () => true,
    end: () => {},
  } as unknown as ServerResponse;
  return { response, client: new ClientSide(response, 1_000, { gone: () => {}, drained: () => {} }) };
}

function courierOf(send: SendBodies, options: { maxBodyBytes?: number; maxBufferBytes?: number } = {}) {
  const clock = fakeClock();
  const counted: Record<string, number> = { sent: 0 };
  const courier = new BodyCourier({
    box,
    send,
    clock,
    metrics: {
      bodiesSent(count) {
        counted.sent! += count;
      },
      bodyDropped(reason) {
        counted[reason] = (counted[reason] ?? 0) + 1;
      },
    },
    options: { ...COURIER_DEFAULTS, maxBodyBytes: 100, maxBufferBytes: 1_000, ...options },
  });
  const run = (id: string, request: string, answer: string[], change?: Partial<RequestContext>) => {
    const ctx = contextOf(id, change);
    const { response, client } = clientOf();
    courier.begin(ctx, Buffer.from(request), response);
    client.start(200, { 'content-type': 'text/event-stream' });
    for (const text of answer) client.write(text);
    client.end('');
    courier.end(ctx);
  };
  return { clock, courier, counted, run };
}

const openOf = ({ sealed, accountId, requestId }: KeptBody) =>
  box.open(Buffer.from(sealed, 'base64'), `${accountId}:${requestId}`);

describe('copies of requests and answers', () => {
  test('reach metering sealed, in the order of their ends, and free their room', async () => {
    const got: KeptBody[] = [];
    const { courier, run, counted } = courierOf(async (bodies) => {
      got.push(...bodies);
      return 'taken';
    });
    run('req_1', 'question', ['a', 'b']);
    run('req_2', 'grüß', ['ÿ']);
    await courier.flush();
    expect(got.map(({ requestId }) => requestId).sort()).toEqual(['req_1', 'req_2']);
    const first = got.find(({ requestId }) => requestId === 'req_1')!;
    expect(first).toMatchObject({ requestBytes: 8, answerBytes: 2, requestTruncated: false, answerTruncated: false });
    expect(await openOf(first)).toEqual({
      request: 'question',
      answer: { status: 200, contentType: 'text/event-stream', text: 'ab' },
    });
    await expect(openOf({ ...first, requestId: 'req_2' })).rejects.toThrow();
    const second = await openOf(got.find(({ requestId }) => requestId === 'req_2')!);
    expect(Buffer.from(second.request, 'latin1').toString()).toBe('grüß');
    expect([counted, courier.buffered]).toEqual([{ sent: 2 }, 0]);
  });

  test('are cut at their bound, each for itself; what is kept is a beginning', async () => {
    const got: KeptBody[] = [];
    const { courier, run } = courierOf(
      async (bodies) => {
        got.push(...bodies);
        return 'taken';
      },
      { maxBodyBytes: 4 },
    );
    run('req_1', '123456', ['ab', 'cde', 'f']);
    await courier.flush();
    expect(got[0]).toMatchObject({ requestBytes: 6, answerBytes: 6, requestTruncated: true, answerTruncated: true });
    expect(await openOf(got[0]!)).toMatchObject({ request: '1234', answer: { text: 'abcd' } });
  });

  test('of what was never admitted, or was replayed, are forgotten', async () => {
    const got: KeptBody[] = [];
    const { courier, run } = courierOf(async (bodies) => {
      got.push(...bodies);
      return 'taken';
    });
    run('req_1', 'x', [], { admission: null });
    run('req_2', 'x', ['y'], { outcome: 'replayed' });
    await courier.flush();
    expect([got, courier.buffered]).toEqual([[], 0]);
  });

  test('share one bound of memory: without room an answer is cut, and a request without room is let go', async () => {
    const got: KeptBody[] = [];
    const { courier, run, counted } = courierOf(
      async (bodies) => {
        got.push(...bodies);
        return 'taken';
      },
      { maxBufferBytes: 10 },
    );
    run('req_1', '12345678', ['a', 'bcd', 'e']);
    run('req_2', '123', []);
    await courier.flush();
    expect(got).toHaveLength(1);
    expect([await openOf(got[0]!), got[0]!.answerTruncated]).toEqual([
      { request: '12345678', answer: { status: 200, contentType: 'text/event-stream', text: 'a' } },
      true,
    ]);
    expect([counted, courier.buffered]).toEqual([{ sent: 1, no_room: 1 }, 0]);
  });

  test('wait for a metering that is away, for a minute; nothing of it reaches a request', async () => {
    const tried: number[] = [];
    let answer: Awaited<ReturnType<SendBodies>> = 'later';
    const { clock, courier, run, counted } = courierOf(async (bodies) => {
      tried.push(bodies.length);
      if (answer === 'later') throw new Error('nobody there');
      return answer;
    });
    run('req_1', 'x', ['y']);
    const beats = async (until: () => boolean) =>
      eventually('tried', async () => {
        await clock.advance(1_000);
        return until();
      });
    await beats(() => tried.length >= 3);
    answer = 'taken';
    await beats(() => counted.sent === 1);
    answer = 'later';
    run('req_2', 'x', ['y']);
    await beats(() => counted.undelivered === 1);
    expect(courier.buffered).toBe(0);
  });

  test('that metering refuses for good are let go, the next ones go on', async () => {
    let refused = false;
    const { courier, run, counted } = courierOf(async () => {
      if (refused) return 'taken';
      refused = true;
      return 'refused';
    });
    run('req_1', 'x', ['y']);
    await courier.flush();
    run('req_2', 'x', ['y']);
    await courier.flush();
    expect([counted, courier.buffered]).toEqual([{ sent: 1, failed: 1 }, 0]);
  });
});
