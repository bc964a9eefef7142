/** The small parts that every page is made of. */
import { Link } from '@tanstack/react-router';
import { CircleAlert, Inbox } from 'lucide-react';
import { type ReactNode, useEffect } from 'react';
import { ApiError } from '../api/client.ts';
import { Button } from './button.tsx';

export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'plain';
const TONES: Record<Tone, string> = {
  ok: 'bg-ok-soft text-ok',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
  info: 'bg-info-soft text-info',
  plain: 'bg-hover text-muted',
};

/** A short word about a state; the word says it, the colour only repeats it. */
export function Badge({ tone = 'plain', children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={`inline-flex h-5.5 items-center gap-1 rounded-md px-1.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}
    >
      {children}
    </span>
  );
}

interface PageProps {
  title: ReactNode;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page: its heading gets the focus after a change of page (see shell), so that listeners hear where they are. */
export function PageBody({ title, lead, actions, children }: PageProps) {
  useEffect(() => {
    document.title = typeof title === 'string' ? `${title} · Tollgate` : 'Tollgate';
  }, [title]);
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-5 px-4 py-5 sm:px-6 sm:py-7">
      <header className="flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <h1 tabIndex={-1} data-page-title className="text-2xl font-semibold outline-none">
            {title}
          </h1>
          {lead ? <p className="mt-1 max-w-2xl text-muted">{lead}</p> : null}
        </div>
        {actions ? <div className="flex flex-wrap items-center gap-2">{actions}</div> : null}
      </header>
      {children}
    </div>
  );
}

export function Card({ title, actions, children, className }: Partial<PageProps> & { className?: string }) {
  return (
    <section className={`card ${className ?? ''}`}>
      {title ? (
        <header className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-3">
          <h2 className="min-w-0 font-semibold">{title}</h2>
          {actions ? <div className="flex flex-wrap items-center gap-2">{actions}</div> : null}
        </header>
      ) : null}
      <div className="p-4">{children}</div>
    </section>
  );
}

/** Nothing there yet: says what would be, and what to do next. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      <Inbox size={26} className="text-faint" aria-hidden="true" />
      <p className="font-medium">{title}</p>
      {children ? <p className="max-w-md text-muted">{children}</p> : null}
      {action ? <div className="mt-2">{action}</div> : null}
    </div>
  );
}

/** What went wrong in a person's words, with the next step and the id that support can look up. */
export function ErrorNote({ error, retry }: { error: unknown; retry?: () => void }) {
  const api = error instanceof ApiError ? error : null;
  return (
    <div role="alert" className="flex flex-wrap items-start gap-3 rounded-xl border border-bad/40 bg-bad-soft p-4">
      <CircleAlert size={18} className="mt-0.5 shrink-0 text-bad" aria-hidden="true" />
      <div className="min-w-0 flex-1">
        <p className="font-medium text-bad">{messageOf(error)}</p>
        {api?.requestId ? <p className="mt-1 text-xs text-muted">Request id: {api.requestId}</p> : null}
        {api && api.code !== 'unreachable' && api.code !== 'unknown' && api.code !== 'cancelled' ? (
          <a className="link text-sm" href={`/docs/errors/${api.code}`}>
            What this means and what to do
          </a>
        ) : null}
      </div>
      {retry ? <Button onClick={retry}>Try again</Button> : null}
    </div>
  );
}

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
/** The message when the error names this field, else null. */
export const fieldError = (error: unknown, param: string) =>
  error instanceof ApiError && error.param === param ? error.message : null;

/** The space that the content will take, so that nothing jumps. */
export function Skeleton({ className = 'h-24' }: { className?: string }) {
  return (
    <div role="status" className={`skeleton ${className}`}>
      <span className="sr-only">Loading</span>
    </div>
  );
}

interface LoadedProps<T> {
  query: { data: T | undefined; error: unknown; refetch(): unknown };
  skeleton?: string;
  children: (data: T) => ReactNode;
}

/** Loading, failed or there. Old data stays visible while newer is fetched, with a note when that failed. */
export function Loaded<T>({ query, skeleton, children }: LoadedProps<T>) {
  if (query.data === undefined) {
    if (query.error) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
    return <Skeleton {...(skeleton ? { className: skeleton } : {})} />;
  }
  return (
    <>
      {query.error ? <ErrorNote error={query.error} retry={() => void query.refetch()} /> : null}
      {children(query.data)}
    </>
  );
}

/** Name and value pairs. */
export function Facts({ items, columns = 2 }: { items: [ReactNode, ReactNode][]; columns?: 2 | 3 | 4 }) {
  const grid = { 2: 'sm:grid-cols-2', 3: 'sm:grid-cols-3', 4: 'sm:grid-cols-2 lg:grid-cols-4' }[columns];
  return (
    <dl className={`grid grid-cols-1 gap-x-6 gap-y-3 ${grid}`}>
      {items.map(([name, value], index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the pairs of one list never change places
        <div key={index} className="min-w-0">
          <dt className="text-xs text-muted">{name}</dt>
          <dd className="num mt-0.5 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function TextLink({ to, children }: { to: string; children: ReactNode }) {
  return (
    <Link to={to} className="link">
      {children}
    </Link>
  );
}

/** How full something is; a number stands beside it. */
export function Bar({ share, label, tone }: { share: number; label: string; tone?: 'ok' | 'warn' | 'bad' }) {
  const within = Math.min(1, Math.max(0, share));
  const colour = tone ?? (within >= 0.9 ? 'bad' : within >= 0.7 ? 'warn' : 'ok');
  const fill = { ok: 'bg-accent', warn: 'bg-warn', bad: 'bg-bad' }[colour];
  return (
    // biome-ignore lint/a11y/useSemanticElements: <meter> cannot be styled alike in all browsers
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(within * 100)}
      className="h-1.5 w-full overflow-hidden rounded-full bg-hover"
    >
      <div className={`h-full rounded-full ${fill} transition-[width]`} style={{ width: `${within * 100}%` }} />
    </div>
  );
}
