import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Role } from '@tollgate/shared/contracts/console/auth';
import type { InvitationView, MemberView, OrganisationView } from '@tollgate/shared/contracts/console/organisations';
import { useState } from 'react';
import { get, patch, post } from '../../api/client.ts';
import { account, listQuery } from '../../api/queries.ts';
import { refreshMe, useSession } from '../../app/session.tsx';
import { dateOnly, relative } from '../../lib/time.ts';
import { Button, ButtonLink } from '../../ui/button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { TextField } from '../../ui/field.tsx';
import { Badge, Card, ErrorNote, Loaded, messageOf, PageBody } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { toast } from '../../ui/toast.tsx';
import { Invite, ROLE_TEXT } from './invite.tsx';
import { KeptBodies } from './kept-bodies.tsx';
import { Projects } from './projects.tsx';

export default function TeamPage() {
  const { accountId, may } = useSession();
  const base = account(accountId);
  const members = useQuery(listQuery<MemberView>(`${base}/members`));
  return (
    <PageBody
      title="Team"
      lead="Who works in this organisation, and what each may do."
      actions={may('audit:read') ? <ButtonLink to="/audit">Audit log</ButtonLink> : null}
    >
      <section className="flex flex-col gap-3" aria-labelledby="members">
        <header className="flex items-center justify-between gap-3">
          <h2 id="members" className="text-lg font-semibold">
            Members
          </h2>
          {may('members:write') ? <Invite /> : null}
        </header>
        <Loaded query={members} skeleton="h-40">
          {(rows) => <Members rows={rows} />}
        </Loaded>
      </section>
      {may('members:write') ? <Invitations /> : null}
      <Projects />
      <OrganisationSettings key={accountId} />
      <KeptBodies key={`kept ${accountId}`} />
    </PageBody>
  );
}

function Members({ rows }: { rows: readonly MemberView[] }) {
  const { accountId, me, organisation, may } = useSession();
  const client = useQueryClient();
  const path = `${account(accountId)}/members`;
  const [leaving, setLeaving] = useState<MemberView | null>(null);
  const after = () => client.invalidateQueries({ queryKey: ['list', path] });
  const change = useMutation({
    mutationFn: ({ userId, role }: { userId: string; role: Role }) => patch<MemberView>(`${path}/${userId}`, { role }),
    onSuccess: () => {
      toast('Role changed');
      void after();
    },
  });
  const remove = useMutation({
    mutationFn: (member: MemberView) => post(`${path}/${member.userId}/remove`),
    onSuccess: (_done, member) => {
      setLeaving(null);
      if (member.userId === me.user.userId) void refreshMe();
      else void after();
    },
  });
  const editable = (member: MemberView) =>
    may('members:write') && (member.role !== 'owner' || organisation.role === 'owner' || me.user.operator);
  return (
    <>
      {change.error ? <ErrorNote error={change.error} /> : null}
      <Table
        caption="Members"
        rows={rows}
        rowKey={(member) => member.userId}
        copyId={(member) => member.userId}
        columns={[
          {
            id: 'who',
            header: 'Who',
            cell: (member) => (
              <>
                <span className="font-medium">{member.name}</span>
                <span className="block text-xs text-muted">{member.email}</span>
              </>
            ),
          },
          {
            id: 'role',
            header: 'Role',
            cell: (member) =>
              editable(member) ? (
                <select
                  aria-label={`Role of ${member.name}`}
                  className="field w-auto"
                  value={member.role}
                  onChange={(event) => change.mutate({ userId: member.userId, role: event.target.value as Role })}
                >
                  {Object.keys(ROLE_TEXT)
                    .filter((role) => role !== 'owner' || organisation.role === 'owner' || me.user.operator)
                    .map((role) => (
                      <option key={role}>{role}</option>
                    ))}
                </select>
              ) : (
                member.role
              ),
          },
          {
            id: '2fa',
            header: 'Two-factor',
            from: 'sm',
            cell: (member) => <Badge tone={member.twoFactor ? 'ok' : 'plain'}>{member.twoFactor ? 'on' : 'off'}</Badge>,
          },
          { id: 'since', header: 'Since', from: 'md', cell: (member) => dateOnly(member.joinedAt) },
          {
            id: 'remove',
            header: <span className="sr-only">Remove</span>,
            numeric: true,
            cell: (member) =>
              member.userId === me.user.userId || editable(member) ? (
                <Button look="ghost" onClick={() => setLeaving(member)}>
                  {member.userId === me.user.userId ? 'Leave' : 'Remove'}
                </Button>
              ) : null,
          },
        ]}
      />
      {leaving ? (
        <Confirm
          open
          onClose={() => setLeaving(null)}
          title={leaving.userId === me.user.userId ? 'Leave the organisation?' : `Remove ${leaving.name}?`}
          description="The person loses access at once. Keys go on working: revoke those that only that person had."
          action={leaving.userId === me.user.userId ? 'Leave' : 'Remove'}
          pending={remove.isPending}
          error={remove.error ? messageOf(remove.error) : null}
          onConfirm={() => remove.mutate(leaving)}
        />
      ) : null}
    </>
  );
}

function Invitations() {
  const { accountId } = useSession();
  const client = useQueryClient();
  const path = `${account(accountId)}/invitations`;
  const invitations = useQuery(listQuery<InvitationView>(path));
  const revoke = useMutation({
    mutationFn: (id: string) => post(`${path}/${id}/revoke`),
    onSuccess: () => client.invalidateQueries({ queryKey: ['list', path] }),
  });
  const open = (invitations.data ?? []).filter(({ state }) => state === 'open');
  if (open.length === 0) return null;
  return (
    <section className="flex flex-col gap-3" aria-labelledby="invitations">
      <h2 id="invitations" className="text-lg font-semibold">
        Open invitations
      </h2>
      {revoke.error ? <ErrorNote error={revoke.error} /> : null}
      <Table
        caption="Open invitations"
        rows={open}
        rowKey={(invitation) => invitation.invitationId}
        columns={[
          { id: 'email', header: 'E-mail', cell: ({ email }) => email },
          { id: 'role', header: 'Role', cell: ({ role }) => role },
          { id: 'ends', header: 'Ends', cell: ({ expiresAt }) => relative(expiresAt, Date.now()) },
          {
            id: 'revoke',
            header: <span className="sr-only">Take back</span>,
            numeric: true,
            cell: ({ invitationId }) => (
              <Button look="ghost" onClick={() => revoke.mutate(invitationId)}>
                Take back
              </Button>
            ),
          },
        ]}
      />
    </section>
  );
}

function OrganisationSettings() {
  const { accountId, may } = useSession();
  const client = useQueryClient();
  const organisation = useQuery({
    queryKey: ['organisation', accountId],
    queryFn: ({ signal }) => get<OrganisationView>(`${account(accountId)}/organisation`, undefined, signal),
  });
  const [draft, setDraft] = useState<{ name: string; email: string } | null>(null);
  const form = draft ?? { name: organisation.data?.name ?? '', email: organisation.data?.email ?? '' };
  const save = useMutation({
    mutationFn: () =>
      patch<OrganisationView>(`${account(accountId)}/organisation`, {
        name: form.name,
        email: form.email.trim() || null,
      }),
    onSuccess: (next) => {
      client.setQueryData(['organisation', accountId], next);
      void refreshMe();
      setDraft(null);
      toast('Organisation saved');
    },
  });
  return (
    <Card title="Organisation">
      <form
        className="flex max-w-xl flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <TextField
          label="Name"
          required
          disabled={!may('organisation:write')}
          value={form.name}
          onChange={(event) => setDraft({ ...form, name: event.target.value })}
        />
        <TextField
          label="E-mail for alerts and receipts"
          type="email"
          disabled={!may('organisation:write')}
          value={form.email}
          onChange={(event) => setDraft({ ...form, email: event.target.value })}
        />
        {save.error ? <ErrorNote error={save.error} /> : null}
        {may('organisation:write') ? (
          <div>
            <Button type="submit" pending={save.isPending} disabled={draft === null}>
              Save
            </Button>
          </div>
        ) : null}
        <p className="text-xs text-muted">
          Id of the organisation: <code>{accountId}</code>
        </p>
      </form>
    </Card>
  );
}
