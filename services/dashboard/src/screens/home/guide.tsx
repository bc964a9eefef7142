/** The set-up guide: watches for the first successful request and, until then, names what went wrong and where to fix it. */
import { Link } from '@tanstack/react-router';
import type { GuideView } from '@tollgate/shared/contracts/console/insights';
import { Check, CircleX, PartyPopper } from 'lucide-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useSession } from '../../app/session.tsx';
import { fixFor } from '../../lib/error-help.ts';
import { envLine, LANGUAGE_NAMES, LANGUAGES, type Language, snippet } from '../../lib/snippets.ts';
import { relative } from '../../lib/time.ts';
import { Button, ButtonLink } from '../../ui/button.tsx';
import { CopyLine } from '../../ui/copy.tsx';
import { Segments } from '../../ui/tabs.tsx';
import { CreateKey } from '../keys/create-key.tsx';

export function SetupGuide({ guide }: { guide: GuideView }) {
  const { may } = useSession();
  const [creating, setCreating] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  // Who saw the guide waiting sees it succeed; who comes later sees no guide at all.
  const waited = useRef(!guide.steps.request);
  useEffect(() => {
    if (!guide.steps.request) waited.current = true;
  }, [guide.steps.request]);
  const dialog = <CreateKey open={creating} onClose={() => setCreating(false)} onCreated={setSecret} />;
  if (guide.steps.request) return waited.current ? <Success guide={guide} dialog={dialog} /> : dialog;
  return (
    <section className="card overflow-hidden" aria-labelledby="guide-title">
      <header className="border-b border-line px-5 py-4">
        <h2 id="guide-title" className="text-lg font-semibold">
          Your first request
        </h2>
        <p className="text-sm text-muted">Three steps. This page watches and tells you when it worked, or why not.</p>
      </header>
      <ol className="divide-y divide-line">
        <Step number={1} done={guide.steps.key} title="Create a key">
          {guide.steps.key && secret === null ? null : secret !== null ? (
            <p className="text-sm text-muted">Saved. The example below reads it from your environment.</p>
          ) : may('keys:write') ? (
            <Button look="primary" onClick={() => setCreating(true)}>
              Create key
            </Button>
          ) : (
            <p className="text-sm text-muted">Your role may not create keys: ask a developer or admin of your team.</p>
          )}
        </Step>
        <Step number={2} done={guide.steps.credit} title="Have some credit">
          {guide.steps.credit ? null : (
            <ButtonLink to="/credits" look="primary">
              Add credit
            </ButtonLink>
          )}
        </Step>
        <Step number={3} done={false} title="Send a request">
          <Example guide={guide} secret={secret} />
        </Step>
      </ol>
      <Watcher guide={guide} />
      {dialog}
    </section>
  );
}

function Step({
  number,
  done,
  title,
  children,
}: {
  number: number;
  done: boolean;
  title: string;
  children: ReactNode;
}) {
  return (
    <li className="flex gap-4 px-5 py-4">
      <span
        className={`grid size-6 shrink-0 place-items-center rounded-full text-xs font-semibold ${done ? 'bg-ok-soft text-ok' : 'bg-hover text-muted'}`}
      >
        {done ? <Check size={14} aria-label="Done" /> : number}
      </span>
      <div className="flex min-w-0 flex-1 flex-col items-start gap-2.5">
        <h3 className={`font-medium ${done ? 'text-muted' : ''}`}>{title}</h3>
        {children}
      </div>
    </li>
  );
}

function Example({ guide, secret }: { guide: GuideView; secret: string | null }) {
  const [language, setLanguage] = useState<Language>('curl');
  const body = {
    model: guide.model ?? 'a-model',
    messages: [{ role: 'user', content: 'Say hello' }],
    max_tokens: 40,
  };
  const code = snippet(language, { baseUrl: `${guide.routerUrl}/v1`, body });
  return (
    <div className="flex w-full min-w-0 flex-col gap-3">
      <Segments<Language>
        label="Language of the example"
        options={LANGUAGES.map((value) => ({ value, label: LANGUAGE_NAMES[value] }))}
        value={language}
        onChange={setLanguage}
      />
      <CopyLine label="First, your key, in the same terminal" text={`export ${envLine(secret ?? '<your key>')}`} />
      <CopyLine label="Then the request" text={code} />
    </div>
  );
}

function Watcher({ guide: { lastFailure } }: { guide: GuideView }) {
  const fix = fixFor(lastFailure?.code);
  return (
    <div role="status" className="border-t border-line bg-sunken px-5 py-3.5">
      {lastFailure ? (
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <CircleX size={18} className="shrink-0 text-bad" aria-hidden="true" />
          <div className="min-w-0 flex-1 basis-64">
            <p className="font-medium">
              A request came, and was answered {lastFailure.status} <code>{lastFailure.code}</code>
            </p>
            <p className="text-sm text-muted">
              {lastFailure.message} ({relative(lastFailure.at, Date.now())}){' '}
              <a className="link" href={lastFailure.docUrl}>
                What this means
              </a>
            </p>
          </div>
          {fix ? (
            <ButtonLink to={fix.to} look="primary">
              {fix.label}
            </ButtonLink>
          ) : null}
        </div>
      ) : (
        <p className="flex items-center gap-2.5 text-sm text-muted">
          <span aria-hidden="true" className="size-2 animate-pulse rounded-full bg-accent" />
          Waiting for your first request …
        </p>
      )}
    </div>
  );
}

function Success({ guide, dialog }: { guide: GuideView; dialog: ReactNode }) {
  const first = guide.firstSuccess;
  return (
    <div role="status" className="card flex flex-wrap items-center gap-3 border-ok/40 bg-ok-soft p-4">
      <PartyPopper size={20} className="text-ok" aria-hidden="true" />
      <p className="flex-1 font-medium">It works: your first request was served.</p>
      {first ? (
        <Link to="/requests/$requestId" params={{ requestId: first.requestId }} className="link text-sm">
          Look at it
        </Link>
      ) : null}
      {dialog}
    </div>
  );
}
