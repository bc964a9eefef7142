/**
 * What was asked and answered, where the organisation keeps it, and asking it again. A kept text is fetched only when
 * somebody wants to see it: each look is a line of the audit log.
 */
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { RequestBodyView } from '@tollgate/shared/contracts/console/bodies';
import type { RequestDetail } from '@tollgate/shared/contracts/console/requests';
import { get } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { bytes } from '../../lib/numbers.ts';
import { snippet } from '../../lib/snippets.ts';
import { dateTime } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { CopyButton, CopyLine } from '../../ui/copy.tsx';
import { Badge, Card, ErrorNote, TextLink } from '../../ui/parts.tsx';
import { draftOfBody } from '../playground/draft.ts';
import { leaveDraft } from '../playground/handed-over.ts';

export function Body({ data }: { data: RequestDetail }) {
  const { accountId, may } = useSession();
  const show = useMutation({
    mutationFn: () => get<RequestBodyView>(`${account(accountId)}/requests/${data.requestId}/body`),
  });
  const until = data.bodyKeptUntil;
  return (
    <>
      <Card
        title="Prompt and answer"
        actions={until === null ? <Badge>not kept</Badge> : <Badge tone="info">kept until {dateTime(until)}</Badge>}
      >
        {until === null ? (
          <p className="text-sm text-muted">
            Nothing that is said is stored, unless an organisation switches that on under{' '}
            <TextLink to="/team">Team</TextLink>; it then holds for requests from that moment on.
          </p>
        ) : show.data ? (
          <Kept body={show.data} />
        ) : may('bodies:read') ? (
          <div className="flex flex-wrap items-center gap-3">
            <Button pending={show.isPending} onClick={() => show.mutate()}>
              Show it
            </Button>
            <p className="text-sm text-muted">Kept sealed. Who looks stands in the audit log.</p>
          </div>
        ) : (
          <p className="text-sm text-muted">Developers, admins and owners of the organisation may read it.</p>
        )}
        {show.error ? (
          <div className="mt-3">
            <ErrorNote error={show.error} />
          </div>
        ) : null}
      </Card>
      <Again data={data} kept={show.data ?? null} />
    </>
  );
}

function Kept({ body }: { body: RequestBodyView }) {
  return (
    <div className="flex flex-col gap-4">
      <Text name="Request" part={body.request} />
      {body.answer ? (
        <Text name={`Answer, ${body.answer.status} ${body.answer.contentType}`} part={body.answer} />
      ) : (
        <p className="text-sm text-muted">No byte of an answer was given.</p>
      )}
    </div>
  );
}

function Text({ name, part }: { name: string; part: RequestBodyView['request'] }) {
  return (
    <section aria-label={name}>
      <header className="mb-1 flex flex-wrap items-center gap-2 text-sm">
        <h3 className="font-medium">{name}</h3>
        <span className="num text-muted">{bytes(part.bytes)}</span>
        {part.truncated ? <Badge tone="warn">only the beginning was kept</Badge> : null}
        <span className="flex-1" />
        <CopyButton text={part.text} label={`Copy: ${name}`} />
      </header>
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        tabIndex={0}
        className="max-h-96 overflow-auto rounded-lg bg-sunken p-3 whitespace-pre-wrap break-words"
      >
        {pretty(part.text)}
      </pre>
    </section>
  );
}

/** The same request as curl, and in the playground: with its own text where that is shown, else with a place for one. */
function Again({ data, kept }: { data: RequestDetail; kept: RequestBodyView | null }) {
  const { routerUrl } = useSession();
  const navigate = useNavigate();
  const own = kept && !kept.request.truncated ? objectOf(kept.request.text) : null;
  const body = own ?? {
    model: data.model,
    messages: [{ role: 'user', content: '…' }],
    ...(data.stream ? { stream: true } : {}),
  };
  const draft = own === null ? null : draftOfBody(own);
  return (
    <Card
      title="Ask it again"
      actions={
        draft ? (
          <Button
            onClick={() => {
              leaveDraft(draft);
              void navigate({ to: '/playground' });
            }}
          >
            With this text in the playground
          </Button>
        ) : null
      }
    >
      {own ? null : <p className="mb-3 text-sm text-muted">Put your own text in the place of the dots.</p>}
      <CopyLine
        label="As curl"
        text={snippet('curl', {
          baseUrl: `${routerUrl}/v1`,
          body,
          ...(own ? { endpoint: data.endpoint } : {}),
        })}
      />
    </Card>
  );
}

function objectOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** JSON on lines; anything else, streams too, as it was. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
