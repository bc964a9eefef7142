import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { SessionView } from '@tollgate/shared/contracts/console/auth';
import { post } from '../../api/client.ts';
import { listQuery } from '../../api/queries.ts';
import { relative } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Badge, ErrorNote, Loaded } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';

const PATH = '/api/me/sessions';

/** `Firefox on Linux`: enough to know one's own devices. */
function browserOf(userAgent: string | null): string {
  if (!userAgent) return 'Unknown';
  const browser = /Edg\//.test(userAgent)
    ? 'Edge'
    : /Firefox\//.test(userAgent)
      ? 'Firefox'
      : /Chrome\//.test(userAgent)
        ? 'Chrome'
        : /Safari\//.test(userAgent)
          ? 'Safari'
          : (userAgent.split(/[ /]/)[0] ?? 'Unknown');
  const system = /Windows|Android|iPhone|iPad|Mac OS|Linux/.exec(userAgent)?.[0];
  return system ? `${browser} on ${system}` : browser;
}

export function Sessions() {
  const client = useQueryClient();
  const sessions = useQuery(listQuery<SessionView>(PATH));
  const after = () => client.invalidateQueries({ queryKey: ['list', PATH] });
  const end = useMutation({ mutationFn: (id: string) => post(`${PATH}/${id}/revoke`), onSuccess: after });
  const others = useMutation({ mutationFn: () => post(`${PATH}/revoke-others`), onSuccess: after });
  return (
    <section className="flex flex-col gap-3" aria-labelledby="sessions">
      <header className="flex flex-wrap items-center justify-between gap-3">
        <h2 id="sessions" className="text-lg font-semibold">
          Where you are signed in
        </h2>
        {(sessions.data?.length ?? 0) > 1 ? (
          <Button pending={others.isPending} onClick={() => others.mutate()}>
            End all others
          </Button>
        ) : null}
      </header>
      {end.error || others.error ? <ErrorNote error={end.error ?? others.error} /> : null}
      <Loaded query={sessions}>
        {(rows) => (
          <Table
            caption="Sessions"
            rows={rows}
            rowKey={(session) => session.sessionId}
            columns={[
              {
                id: 'where',
                header: 'Browser',
                cell: (session) => (
                  <span className="inline-flex items-center gap-2">
                    {browserOf(session.userAgent)} {session.current ? <Badge tone="ok">this one</Badge> : null}
                  </span>
                ),
              },
              {
                id: 'ip',
                header: 'Address',
                from: 'sm',
                cell: (session) => <code className="text-muted">{session.ip ?? '–'}</code>,
              },
              { id: 'how', header: 'How', from: 'md', cell: (session) => session.method },
              { id: 'seen', header: 'Last seen', cell: (session) => relative(session.lastSeenAt, Date.now()) },
              {
                id: 'end',
                header: <span className="sr-only">End</span>,
                numeric: true,
                cell: (session) =>
                  session.current ? null : (
                    <Button look="ghost" onClick={() => end.mutate(session.sessionId)}>
                      End
                    </Button>
                  ),
              },
            ]}
          />
        )}
      </Loaded>
    </section>
  );
}
