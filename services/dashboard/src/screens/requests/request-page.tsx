import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import type { RequestDetail } from '@tollgate/shared/contracts/console/requests';
import type { ReactNode } from 'react';
import { requestQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { errorPage, fixFor } from '../../lib/error-help.ts';
import { usd, usdExact } from '../../lib/money.ts';
import { count } from '../../lib/numbers.ts';
import { dateTime, duration } from '../../lib/time.ts';
import { ButtonLink } from '../../ui/button.tsx';
import { CopyButton } from '../../ui/copy.tsx';
import { Badge, Card, Facts, Loaded, PageBody } from '../../ui/parts.tsx';
import { Body } from './body.tsx';
import type { RequestsSearch } from './filter.ts';
import { outcomeName, outcomeTone } from './outcome.ts';

export default function RequestDetailPage() {
  const { requestId } = useParams({ from: '/signed-in/requests/$requestId' });
  const { accountId } = useSession();
  const request = useQuery(requestQuery(accountId, requestId));
  return (
    <PageBody
      title={request.data ? `${outcomeName(request.data.outcome)} · ${request.data.model}` : 'Request'}
      lead={
        <span className="inline-flex items-center">
          <code>{requestId}</code>
          <CopyButton text={requestId} label="Copy the request id" />
        </span>
      }
      actions={
        request.data ? (
          <ButtonLink to="/playground" search={{ model: request.data.model }} look="primary">
            Replay in the playground
          </ButtonLink>
        ) : null
      }
    >
      <Loaded query={request} skeleton="h-96">
        {(data) => <Detail data={data} />}
      </Loaded>
    </PageBody>
  );
}

function Detail({ data }: { data: RequestDetail }) {
  const fix = fixFor(data.code);
  return (
    <>
      {data.code ? (
        <div className="flex flex-wrap items-center gap-3 rounded-xl border border-warn/40 bg-warn-soft p-4">
          <p className="flex-1">
            Answered <strong>{data.status}</strong> <code>{data.code}</code>.{' '}
            <a className="link" href={errorPage(data.code)}>
              What this means and what to do
            </a>
          </p>
          {fix ? (
            <ButtonLink to={fix.to} look="primary">
              {fix.label}
            </ButtonLink>
          ) : null}
        </div>
      ) : null}
      <Card>
        <Facts
          columns={4}
          items={[
            [
              'Outcome',
              <Badge key="o" tone={outcomeTone(data.outcome)}>
                {data.status || ''} {outcomeName(data.outcome)}
              </Badge>,
            ],
            ['Admitted', dateTime(data.admittedAt)],
            ['First token after', duration(data.firstTokenMs)],
            ['Took in all', duration(data.durationMs)],
            ['Tokens in', `${count(data.promptTokens)}, of these ${count(data.cachedTokens)} cached`],
            [
              'Tokens out',
              data.reasoningTokens > 0
                ? `${count(data.completionTokens)}, of these ${count(data.reasoningTokens)} reasoning`
                : count(data.completionTokens),
            ],
            ['While writing', data.tokensPerSecond === null ? '–' : `${data.tokensPerSecond.toFixed(1)} tokens/s`],
            [
              'Cost',
              <strong key="c" title={usdExact(data.amountNusd)}>
                {usd(data.amountNusd)}
              </strong>,
            ],
            [
              'Endpoint',
              <code key="e">
                {data.endpoint}
                {data.stream ? ' · stream' : ''}
              </code>,
            ],
            [
              'Key',
              <Link key="k" to="/keys/$keyId" params={{ keyId: data.keyId }} className="link">
                {data.keyName ?? data.keyId}
              </Link>,
            ],
            ['Ended because', data.finishReason ?? '–'],
            ['Program', data.userAgent ?? '–'],
            ["Client's own id", data.clientRequestId ? <code key="i">{data.clientRequestId}</code> : '–'],
            ['Project', data.projectId ? <Like key="p" search={{ projectId: data.projectId }} /> : '–'],
            ['User', data.userId ? <Like key="u" search={{ userId: data.userId }} /> : '–'],
            ['End user', data.endUser ? <Like key="eu" search={{ endUser: data.endUser }} /> : '–'],
            ['Chat id', data.chatId ? <Like key="c" search={{ chatId: data.chatId }} /> : '–'],
          ]}
        />
      </Card>
      <Timeline data={data} />
      {data.cost ? <Cost cost={data.cost} data={data} /> : null}
      {/* What was shown of one request is never on the page of another. */}
      <Body key={data.requestId} data={data} />
      {data.worker ? (
        <Card title="For operators">
          <Facts
            items={[
              ['Worker', data.worker.url ?? '–'],
              ['Router', data.worker.routerId],
              ['Workers asked', String(data.attempts)],
              ['Counted by', data.countSource],
            ]}
          />
        </Card>
      ) : null}
    </>
  );
}

/** A name that a client gave; leads to all requests with it. */
const Like = ({ search }: { search: RequestsSearch }) => (
  <Link to="/requests" search={search} className="link break-all">
    {Object.values(search).join()}
  </Link>
);

const PHASES: Record<string, [string, string]> = {
  queue: ['Waiting for a worker', 'bg-warn'],
  prefill: ['Reading the prompt', 'bg-info'],
  decode: ['Writing the answer', 'bg-accent'],
  total: ['In all', 'bg-faint'],
};

function Timeline({ data }: { data: RequestDetail }) {
  const total = Math.max(1, data.durationMs);
  if (data.timeline.length === 0) return null;
  return (
    <Card title="Timeline">
      <ul className="flex flex-col gap-2.5">
        {data.timeline.map(({ phase, startMs, durationMs }) => {
          const [name, colour] = PHASES[phase] ?? [phase, 'bg-faint'];
          return (
            <li key={phase} className="grid grid-cols-[9rem_1fr_5rem] items-center gap-3 text-sm">
              <span>{name}</span>
              <span className="relative h-2.5 overflow-hidden rounded-full bg-hover" aria-hidden="true">
                <span
                  className={`absolute inset-y-0 rounded-full ${colour}`}
                  style={{
                    left: `${Math.min(100, (startMs / total) * 100)}%`,
                    width: `${Math.max(0.6, Math.min(100, (durationMs / total) * 100))}%`,
                  }}
                />
              </span>
              <span className="num text-right">{duration(durationMs)}</span>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

function Cost({ cost, data }: { cost: NonNullable<RequestDetail['cost']>; data: RequestDetail }) {
  const line = (name: string, { tokens, unitNusd, nusd }: typeof cost.input): ReactNode => (
    <tr className="border-b border-line">
      <td className="py-1.5 pr-3">{name}</td>
      <td className="num py-1.5 pr-3 text-right">{count(tokens)}</td>
      <td className="num py-1.5 pr-3 text-right text-muted">× {usdExact(unitNusd)} / 1M</td>
      <td className="num py-1.5 text-right">{usdExact(nusd)}</td>
    </tr>
  );
  return (
    <Card title="What it cost, and why">
      <div className="scroll-x">
        <table className="w-full text-sm">
          <caption className="sr-only">Arithmetic of the price</caption>
          <thead className="sr-only">
            <tr>
              <th scope="col">Part</th>
              <th scope="col">Tokens</th>
              <th scope="col">Price</th>
              <th scope="col">Amount</th>
            </tr>
          </thead>
          <tbody>
            {line('Prompt, fresh', cost.input)}
            {line('Prompt, cached', cost.cachedInput)}
            {line('Answer', cost.output)}
            <tr>
              <td className="pt-2 font-semibold" colSpan={3}>
                Charged{cost.clipped ? ' (no more than was reserved)' : ''}
              </td>
              <td className="num pt-2 text-right font-semibold">{usdExact(cost.amountNusd)}</td>
            </tr>
          </tbody>
        </table>
      </div>
      <p className="mt-3 text-xs text-muted">
        {usdExact(cost.heldNusd)} was reserved when it was admitted; the rest went back. Price{' '}
        <code>{cost.priceId}</code>
        {data.final ? '.' : '; the count is still an estimate.'}
      </p>
      {data.ledger.length > 0 ? (
        <ul className="mt-2 text-xs text-muted">
          {data.ledger.map(({ transactionId, kind, createdAt }) => (
            <li key={transactionId}>
              Ledger: <code>{transactionId}</code> {kind}, {dateTime(createdAt)}
            </li>
          ))}
        </ul>
      ) : null}
    </Card>
  );
}
