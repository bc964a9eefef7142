import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { KeyView } from '@tollgate/shared/contracts/console/keys';
import type { MemberView } from '@tollgate/shared/contracts/console/organisations';
import { Ban, Plus, RefreshCw, Settings2 } from 'lucide-react';
import { useState } from 'react';
import { account, keysQuery, listQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { toNusd } from '../../lib/money.ts';
import { relative } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { CopyButton } from '../../ui/copy.tsx';
import { Checkbox } from '../../ui/field.tsx';
import { RowMenu } from '../../ui/menu.tsx';
import { Badge, Bar, Empty, Loaded, PageBody } from '../../ui/parts.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { CreateKey } from './create-key.tsx';
import { RevokeKey } from './revoke-key.tsx';
import { RotateKey } from './rotate-key.tsx';
import { isUsable, keyState, masked, STATE_NAME, STATE_TONE, spendText } from './state.ts';

type Doing = { what: 'rotate' | 'revoke'; target: KeyView } | null;

export default function KeysPage() {
  const { accountId, may } = useSession();
  const navigate = useNavigate();
  const { create, q } = useSearch({ from: '/signed-in/keys' });
  const keys = useQuery(keysQuery(accountId));
  const members = useQuery(listQuery<MemberView>(`${account(accountId)}/members`));
  const names = new Map((members.data ?? []).map(({ userId, name, email }) => [userId, name || email]));
  const [doing, setDoing] = useState<Doing>(null);
  const [withEnded, setWithEnded] = useState(false);
  const setCreate = (open: boolean) =>
    void navigate({ to: '/keys', search: { ...(q ? { q } : {}), ...(open ? { create: true } : {}) }, replace: !open });
  const setQuery = (text: string) =>
    void navigate({ to: '/keys', search: text === '' ? {} : { q: text }, replace: true });
  const writer = may('keys:write');

  return (
    <PageBody
      title="API keys"
      lead="A key says who pays. Give each program its own, so that you can see and stop it alone."
      actions={
        writer ? (
          <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => setCreate(true)}>
            Create key
          </Button>
        ) : null
      }
    >
      <Loaded query={keys} skeleton="h-64">
        {(list) => {
          const now = Date.now();
          const ended = list.filter((key) => !isUsable(keyState(key, now))).length;
          const needle = (q ?? '').toLowerCase();
          const shown = list
            .filter((key) => key.kind !== 'pat')
            .filter((key) => withEnded || isUsable(keyState(key, now)))
            .filter((key) => `${key.name} ${masked(key)} ${key.tags.join(' ')}`.toLowerCase().includes(needle));
          if (list.length === 0) {
            return (
              <div className="card">
                <Empty
                  title="No keys yet"
                  action={
                    writer ? (
                      <Button look="primary" onClick={() => setCreate(true)}>
                        Create the first one
                      </Button>
                    ) : null
                  }
                >
                  A key lets your program talk to the models, within the limits and the spend that you set.
                </Empty>
              </div>
            );
          }
          return (
            <>
              <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
                <input
                  data-filter
                  type="search"
                  aria-label="Filter keys by name, first characters or tag"
                  placeholder="Filter by name, prefix, tag"
                  className="field max-w-72"
                  value={q ?? ''}
                  onChange={(event) => setQuery(event.target.value)}
                />
                {ended > 0 ? (
                  <Checkbox
                    label={`Also those that ended (${ended})`}
                    checked={withEnded}
                    onChange={(event) => setWithEnded(event.target.checked)}
                  />
                ) : null}
              </div>
              <Table
                caption="API keys"
                columns={columns(
                  now,
                  writer,
                  names,
                  setDoing,
                  (key) => void navigate({ to: '/keys/$keyId', params: { keyId: key.keyId } }),
                )}
                rows={shown}
                rowKey={(key) => key.keyId}
                copyId={(key) => key.keyId}
                empty={<Empty title="No key fits the filter">Change the words, or show those that ended.</Empty>}
              />
            </>
          );
        }}
      </Loaded>
      <CreateKey open={create ?? false} onClose={() => setCreate(false)} />
      {doing?.what === 'rotate' ? <RotateKey target={doing.target} onClose={() => setDoing(null)} /> : null}
      {doing?.what === 'revoke' ? <RevokeKey target={doing.target} onClose={() => setDoing(null)} /> : null}
    </PageBody>
  );
}

function columns(
  now: number,
  writer: boolean,
  names: ReadonlyMap<string, string>,
  setDoing: (doing: Doing) => void,
  open: (key: KeyView) => void,
): Column<KeyView>[] {
  return [
    {
      id: 'name',
      header: 'Name',
      cell: (key) => (
        <Link to="/keys/$keyId" params={{ keyId: key.keyId }} data-row-main className="font-medium hover:underline">
          {key.name}
        </Link>
      ),
    },
    {
      id: 'key',
      header: 'Key',
      from: 'sm',
      cell: (key) => (
        <span className="inline-flex items-center">
          <code className="text-muted">{masked(key)}</code>
          <CopyButton text={key.keyId} label={`Copy the id of ${key.name}`} />
        </span>
      ),
    },
    {
      id: 'state',
      header: 'Status',
      cell: (key) => {
        const state = keyState(key, now);
        return (
          <span className="inline-flex flex-wrap items-center gap-1.5">
            <Badge tone={STATE_TONE[state]}>{STATE_NAME[state]}</Badge>
            {key.expiresAt && isUsable(state) ? (
              <span className="text-xs text-muted">ends {relative(key.expiresAt, now)}</span>
            ) : null}
          </span>
        );
      },
    },
    {
      id: 'spend',
      header: 'Spend',
      numeric: true,
      from: 'sm',
      cell: (key) => {
        const cap = toNusd(key.capMonthNusd ?? key.capDayNusd);
        const spent = toNusd(
          key.capMonthNusd === null && key.capDayNusd !== null ? key.spentDayNusd : key.spentMonthNusd,
        );
        return (
          <div className="ml-auto flex max-w-56 flex-col items-end gap-1">
            <span>{spendText(key)}</span>
            {cap > 0n ? (
              <Bar share={Number((spent * 1000n) / cap) / 1000} label={`Share of the cap of ${key.name}`} />
            ) : null}
          </div>
        );
      },
    },
    {
      id: 'owner',
      header: 'Made by',
      from: 'lg',
      cell: (key) => (
        <span className="block max-w-36 truncate text-muted">
          {key.createdBy ? (names.get(key.createdBy) ?? 'the operator') : '–'}
        </span>
      ),
    },
    {
      id: 'used',
      header: 'Last used',
      numeric: true,
      from: 'md',
      cell: (key) => <span className="text-muted">{key.lastUsedAt ? relative(key.lastUsedAt, now) : 'never'}</span>,
    },
    {
      id: 'created',
      header: 'Created',
      numeric: true,
      from: 'lg',
      cell: (key) => <span className="text-muted">{relative(key.createdAt, now)}</span>,
    },
    {
      id: 'actions',
      header: <span className="sr-only">Actions</span>,
      numeric: true,
      cell: (key) => {
        const usable = isUsable(keyState(key, now));
        return (
          <RowMenu
            label={`Actions for ${key.name}`}
            actions={[
              {
                label: 'Limits and details',
                icon: <Settings2 size={15} aria-hidden="true" />,
                onSelect: () => open(key),
              },
              ...(writer && usable
                ? [
                    {
                      label: 'Rotate',
                      icon: <RefreshCw size={15} aria-hidden="true" />,
                      disabled: key.rotatedTo !== null,
                      onSelect: () => setDoing({ what: 'rotate', target: key }),
                    },
                    {
                      label: 'Revoke',
                      icon: <Ban size={15} aria-hidden="true" />,
                      danger: true,
                      onSelect: () => setDoing({ what: 'revoke', target: key }),
                    },
                  ]
                : []),
            ]}
          />
        );
      },
    },
  ];
}
