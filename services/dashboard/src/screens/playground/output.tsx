/** The answer as it comes, its figures, its check against the schema, and the code that asks the same. */

import { Link } from '@tanstack/react-router';
import type { PriceView } from '@tollgate/shared/contracts/console/models';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useSession } from '../../app/session.tsx';
import { parsePartial } from '../../lib/json/partial.ts';
import { validate } from '../../lib/json/validate.ts';
import { tokenCost, usd } from '../../lib/money.ts';
import { count } from '../../lib/numbers.ts';
import { LANGUAGE_NAMES, LANGUAGES, type Language, snippet } from '../../lib/snippets.ts';
import { duration } from '../../lib/time.ts';
import { CopyButton, CopyLine } from '../../ui/copy.tsx';
import { ExplanationTable } from '../../ui/explanation.tsx';
import { Badge, Card, ErrorNote } from '../../ui/parts.tsx';
import { Segments } from '../../ui/tabs.tsx';
import { bodyOf, type Draft } from './draft.ts';
import type { Run } from './run-state.ts';
import { ShownSources } from './sources.tsx';

type Tab = 'answer' | 'routing' | Language;

export function Output({ run, draft, price }: { run: Run; draft: Draft; price: PriceView | null }) {
  const [tab, setTab] = useState<Tab>('answer');
  return (
    <Card
      title="Answer"
      className="lg:sticky lg:top-5"
      actions={
        <Segments<Tab>
          label="What is shown"
          value={tab}
          onChange={setTab}
          options={[
            { value: 'answer', label: 'Answer' },
            ...(run.explanation ? [{ value: 'routing' as const, label: 'Routing' }] : []),
            ...LANGUAGES.map((value) => ({ value, label: LANGUAGE_NAMES[value] })),
          ]}
        />
      }
    >
      {tab === 'routing' && run.explanation ? (
        <ExplanationTable explanation={run.explanation} />
      ) : tab === 'answer' || tab === 'routing' ? (
        <Answer run={run} draft={draft} price={price} />
      ) : (
        <Code language={tab} draft={draft} />
      )}
    </Card>
  );
}

function Answer({ run, draft, price }: { run: Run; draft: Draft; price: PriceView | null }) {
  return (
    <div className="flex flex-col gap-4">
      <Figures run={run} price={price} />
      {run.error ? <ErrorNote error={run.error} /> : null}
      {run.reasoning !== '' ? (
        <details className="rounded-lg bg-sunken p-3 text-sm text-muted">
          <summary>Thinking ({count(run.reasoning.length)} characters)</summary>
          <p className="mt-2 whitespace-pre-wrap">{run.reasoning}</p>
        </details>
      ) : null}
      <div className="relative">
        <section
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
          tabIndex={0}
          aria-label="Answer of the model"
          data-answer
          className="max-h-[32rem] min-h-40 overflow-y-auto rounded-lg bg-sunken p-3 pr-12 font-sans whitespace-pre-wrap"
        >
          {run.text || <span className="text-muted">{HINTS[run.state]}</span>}
        </section>
        {run.text === '' ? null : (
          <span className="absolute top-1 right-1">
            <CopyButton text={run.text} label="Copy the answer" />
          </span>
        )}
      </div>
      {run.sources ? <ShownSources sources={run.sources} /> : null}
      {draft.structured && run.text !== '' ? <SchemaCheck run={run} schema={draft.schema} /> : null}
      <Spoken run={run} />
      {run.requestId && (run.state === 'done' || run.state === 'failed') ? (
        <p className="text-sm text-muted">
          <Link to="/requests/$requestId" params={{ requestId: run.requestId }} className="link">
            {run.requestId}
          </Link>{' '}
          shows its timeline and price in a few seconds.
        </p>
      ) : null}
    </div>
  );
}

const HINTS: Record<Run['state'], string> = {
  idle: 'The answer appears here as it is written.',
  waiting: 'Waiting for the first token …',
  streaming: '',
  done: 'The answer is empty.',
  stopped: 'Stopped before the first token.',
  failed: '',
};

/** What was used costs this; while it streams, an estimate from the pieces so far. */
function costOf(run: Run, price: PriceView | null): string {
  if (!price) return '–';
  if (!run.usage) return run.pieces === 0 ? '–' : `≈ ${usd(tokenCost(run.pieces, price.outputNusd))}`;
  const cached = run.usage.prompt_tokens_details?.cached_tokens ?? 0;
  return usd(
    tokenCost(run.usage.prompt_tokens - cached, price.inputNusd) +
      tokenCost(cached, price.cachedInputNusd) +
      tokenCost(run.usage.completion_tokens, price.outputNusd),
  );
}

function Figures({ run, price }: { run: Run; price: PriceView | null }) {
  const tokens = run.usage?.completion_tokens ?? run.pieces;
  const writingMs = run.elapsedMs - (run.firstTokenMs ?? 0);
  const speed = tokens > 1 && writingMs > 0 ? `${((tokens - 1) / (writingMs / 1000)).toFixed(0)} tok/s` : '–';
  const figure = (name: string, value: ReactNode) => (
    <div>
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="num text-lg font-semibold">{value}</dd>
    </div>
  );
  const passages = run.usage?.prompt_tokens_details?.grounding_tokens ?? 0;
  return (
    <dl className="grid grid-cols-2 gap-3 sm:grid-cols-4" data-figures>
      {figure('First token', duration(run.firstTokenMs))}
      {figure('Speed', speed)}
      {figure(
        'Tokens',
        <>
          {run.usage ? `${count(run.usage.prompt_tokens)} → ${count(tokens)}` : tokens === 0 ? '–' : count(tokens)}
          {passages > 0 ? (
            <span className="block text-xs font-normal text-muted">{count(passages)} from documents</span>
          ) : null}
        </>,
      )}
      {figure('Cost', costOf(run, price))}
    </dl>
  );
}

function SchemaCheck({ run, schema }: { run: Run; schema: string }) {
  const final = run.state === 'done';
  let parsedSchema: unknown;
  try {
    parsedSchema = JSON.parse(schema);
  } catch {
    return null;
  }
  const { root, error } = parsePartial(run.text, final);
  const problems = error ? [{ path: '', message: error.message }] : root === null ? [] : validate(root, parsedSchema);
  const cut = run.finishReason === 'length';
  return (
    <div data-schema-check>
      {problems.length === 0 ? (
        <Badge tone={final ? 'ok' : 'info'}>{final ? 'Valid under the schema' : 'Valid so far'}</Badge>
      ) : (
        <>
          <Badge tone="bad">{cut ? 'Cut by the token limit' : 'Not valid under the schema'}</Badge>
          <ul className="mt-2 list-disc pl-5 text-sm text-bad">
            {problems.slice(0, 8).map(({ path, message }) => (
              <li key={path + message}>
                <code>{path || '/'}</code> {message}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

/** What was written since a second ago, for listeners; never word by word. */
function Spoken({ run }: { run: Run }) {
  const [said, setSaid] = useState('');
  const told = useRef(0);
  const latest = useRef(run);
  latest.current = run;
  const streaming = run.state === 'streaming';
  useEffect(() => {
    if (!streaming) return;
    told.current = 0;
    const timer = setInterval(() => {
      const { text } = latest.current;
      setSaid(text.slice(told.current));
      told.current = text.length;
    }, 1_000);
    return () => clearInterval(timer);
  }, [streaming]);
  const ended = { done: 'The answer is complete.', stopped: 'Stopped.', failed: 'The request failed.' }[
    run.state as string
  ];
  return (
    <p role="status" aria-live="polite" className="sr-only">
      {streaming ? said : ended ? `${run.text.slice(told.current)} ${ended}` : ''}
    </p>
  );
}

function Code({ language, draft }: { language: Language; draft: Draft }) {
  const { routerUrl } = useSession();
  let code: string;
  try {
    code = snippet(language, { baseUrl: `${routerUrl}/v1`, body: bodyOf(draft) });
  } catch {
    return <p className="text-sm text-bad">The schema is not valid JSON yet.</p>;
  }
  return <CopyLine label={`The same request in ${LANGUAGE_NAMES[language]}`} text={code} />;
}
