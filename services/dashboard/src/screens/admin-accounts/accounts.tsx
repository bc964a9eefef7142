import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { AccountView } from '@tollgate/shared/contracts/console/accounts';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { FoundView } from '@tollgate/shared/contracts/console/platform';
import { get } from '../../api/client.ts';
import { dateOnly } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { PagedTable } from '../../ui/paged-table.tsx';
import { Badge, Empty, Loaded, PageBody } from '../../ui/parts.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { masked } from '../keys/state.ts';
import { People } from './people.tsx';

export default function AccountsPage() {
  const { q } = useSearch({ from: '/signed-in/admin/accounts' });
  const navigate = useNavigate();
  return (
    <PageBody
      title="Accounts"
      lead="Find a customer by name, e-mail, member, key (its first characters) or a whole request id."
    >
      <form
        className="flex max-w-xl gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          const text = String(new FormData(event.currentTarget).get('q') ?? '').trim();
          void navigate({ to: '/admin/accounts', search: text === '' ? {} : { q: text } });
        }}
      >
        <input
          key={q ?? ''}
          name="q"
          data-filter
          type="search"
          aria-label="Search"
          placeholder="ada@example.com, tg_live_…, req_…"
          className="field"
          defaultValue={q ?? ''}
        />
        <Button type="submit">Search</Button>
      </form>
      {q ? <Results q={q} /> : <All />}
    </PageBody>
  );
}

const COLUMNS: readonly Column<AccountView>[] = [
  {
    id: 'name',
    header: 'Name',
    cell: (account) => (
      <Link
        to="/admin/accounts/$accountId"
        params={{ accountId: account.accountId }}
        data-row-main
        className="tap-touch inline-flex items-center font-medium hover:underline"
      >
        {account.name}
      </Link>
    ),
  },
  { id: 'email', header: 'E-mail', from: 'sm', cell: (account) => account.email ?? '–' },
  { id: 'id', header: 'Id', from: 'lg', cell: (account) => <code className="text-muted">{account.accountId}</code> },
  { id: 'plan', header: 'Plan', from: 'md', cell: (account) => account.plan },
  {
    id: 'status',
    header: 'Status',
    cell: (account) => <Badge tone={account.status === 'active' ? 'ok' : 'bad'}>{account.status}</Badge>,
  },
  { id: 'since', header: 'Since', numeric: true, from: 'sm', cell: (account) => dateOnly(account.createdAt) },
];

function All() {
  const list = useInfiniteQuery({
    queryKey: ['accounts'],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      get<Page<AccountView>>('/api/accounts', { limit: 50, cursor: pageParam }, signal),
    getNextPageParam: (page) => page.next,
  });
  return (
    <PagedTable
      list={list}
      noun="account"
      caption="Accounts, newest first"
      columns={COLUMNS}
      rowKey={(account) => account.accountId}
      copyId={(account) => account.accountId}
      empty={<Empty title="No accounts yet" />}
    />
  );
}

function Results({ q }: { q: string }) {
  const found = useQuery({
    queryKey: ['search', q],
    queryFn: ({ signal }) => get<FoundView>('/api/search', { q }, signal),
  });
  return (
    <Loaded query={found} skeleton="h-64">
      {({ accounts, keys, request, users }) => (
        <>
          <Table
            caption="Accounts found"
            columns={COLUMNS}
            rows={accounts}
            rowKey={(account) => account.accountId}
            copyId={(account) => account.accountId}
            empty={<Empty title={keys.length > 0 || request ? 'No account by that name' : 'Nothing found'} />}
          />
          {keys.length > 0 ? (
            <Table
              caption="Keys found"
              rows={keys}
              rowKey={(key) => key.keyId}
              copyId={(key) => key.keyId}
              columns={[
                {
                  id: 'name',
                  header: 'Key',
                  cell: (key) => (
                    <Link
                      to="/admin/accounts/$accountId"
                      params={{ accountId: key.accountId }}
                      data-row-main
                      className="font-medium hover:underline"
                    >
                      {key.name}
                    </Link>
                  ),
                },
                { id: 'key', header: 'Prefix', cell: (key) => <code className="text-muted">{masked(key)}</code> },
                { id: 'account', header: 'Account', from: 'md', cell: (key) => <code>{key.accountId}</code> },
              ]}
            />
          ) : null}
          {request ? (
            <p className="card p-4">
              Request <code>{request.requestId}</code> belongs to{' '}
              <Link to="/admin/accounts/$accountId" params={{ accountId: request.accountId }} className="link">
                {request.accountId}
              </Link>
              : {request.status} {request.outcome}, {request.model}.
            </p>
          ) : null}
          {users.length > 0 ? <People users={users} /> : null}
        </>
      )}
    </Loaded>
  );
}
