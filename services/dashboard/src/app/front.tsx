/** The frame of pages before signing in. */
import { type ReactNode, useEffect } from 'react';
import { Logo } from './logo.tsx';

export function Front({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Tollgate`;
  }, [title]);
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="flex w-full max-w-sm flex-col gap-5">
        <div className="flex items-center gap-2.5 text-lg font-semibold">
          <Logo size={28} /> Tollgate
        </div>
        <div className="card p-6">
          <h1 tabIndex={-1} data-page-title className="text-xl font-semibold outline-none">
            {title}
          </h1>
          {lead ? <p className="mt-1 text-muted">{lead}</p> : null}
          <div className="mt-5">{children}</div>
        </div>
      </div>
    </main>
  );
}
