/** Organisations: members with roles, invitations, projects, alerts. An organisation is a billing account. */
import { sql } from 'kysely';
import type { AccountId, UserId } from '../domain/ids.ts';
import type { Executor, Tx } from './client.ts';
import { decodeCursor, olderThan, type Page, type PageRequest, pageLimit, toPage } from './page.ts';

export type MemberRole = 'owner' | 'admin' | 'developer' | 'billing' | 'viewer';

export interface Member {
  userId: UserId;
  email: string;
  name: string;
  role: MemberRole;
  twoFactor: boolean;
  joinedAtMs: number;
}

export interface Membership {
  accountId: AccountId;
  name: string;
  role: MemberRole;
  status: 'active' | 'frozen';
  plan: string;
}

export interface Invitation {
  id: string;
  accountId: AccountId;
  organisation: string;
  email: string;
  role: MemberRole;
  invitedBy: string;
  createdAtMs: number;
  expiresAtMs: number;
  acceptedAtMs: number | null;
  revokedAtMs: number | null;
}

export interface Project {
  id: string;
  name: string;
  createdAtMs: number;
  archivedAtMs: number | null;
}

export interface Alerts {
  balanceLowNusd: bigint | null;
  keyExpiringDays: number | null;
}

interface MemberRow {
  user_id: UserId;
  email: string;
  name: string;
  role: MemberRole;
  two_factor: boolean;
  created_at: Date;
}
interface InvitationRow {
  id: string;
  account_id: AccountId;
  organisation: string;
  email: string;
  role: MemberRole;
  invited_by: string;
  created_at: Date;
  expires_at: Date;
  accepted_at: Date | null;
  revoked_at: Date | null;
}
interface ProjectRow {
  id: string;
  name: string;
  created_at: Date;
  archived_at: Date | null;
}

const invitationOf = (row: InvitationRow): Invitation => ({
  id: row.id,
  accountId: row.account_id,
  organisation: row.organisation,
  email: row.email,
  role: row.role,
  invitedBy: row.invited_by,
  createdAtMs: row.created_at.getTime(),
  expiresAtMs: row.expires_at.getTime(),
  acceptedAtMs: row.accepted_at?.getTime() ?? null,
  revokedAtMs: row.revoked_at?.getTime() ?? null,
});
const projectOf = (row: ProjectRow): Project => ({
  id: row.id,
  name: row.name,
  createdAtMs: row.created_at.getTime(),
  archivedAtMs: row.archived_at?.getTime() ?? null,
});
const memberOf = (row: MemberRow): Member => ({
  userId: row.user_id,
  email: row.email,
  name: row.name,
  role: row.role,
  twoFactor: row.two_factor,
  joinedAtMs: row.created_at.getTime(),
});
const newestFirst = (row: { id: string; created_at: Date }) => ({ atMs: row.created_at.getTime(), id: row.id });

export class OrganisationStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Organisations of a user, by name. */
  async ofUser(userId: string): Promise<Membership[]> {
    const { rows } = await sql<Membership>`
      SELECT a.id AS "accountId", a.name, m.role, a.status, a.plan FROM memberships m JOIN accounts a ON a.id = m.account_id
      WHERE m.user_id = ${userId} ORDER BY a.name, a.id`.execute(this.#db);
    return rows;
  }

  async members(accountId: string, page: PageRequest): Promise<Page<Member>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    const { rows } = await sql<MemberRow>`
      SELECT m.user_id, u.email, u.name, m.role, u.totp_confirmed_at IS NOT NULL AS two_factor, m.created_at
      FROM memberships m JOIN users u ON u.id = m.user_id
      WHERE m.account_id = ${accountId}
        AND (${after === null} OR (m.created_at, m.user_id) < (${new Date(after?.atMs ?? 0)}, ${after?.id ?? ''}))
      ORDER BY m.created_at DESC, m.user_id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(rows, limit, (row) => ({ atMs: row.created_at.getTime(), id: row.user_id }), memberOf);
  }

  async member(accountId: string, userId: string): Promise<Member | null> {
    const { rows } = await sql<MemberRow>`
      SELECT m.user_id, u.email, u.name, m.role, u.totp_confirmed_at IS NOT NULL AS two_factor, m.created_at
      FROM memberships m JOIN users u ON u.id = m.user_id
      WHERE m.account_id = ${accountId} AND m.user_id = ${userId}`.execute(this.#db);
    return rows[0] ? memberOf(rows[0]) : null;
  }

  /** Adds a member; one who is there already keeps the mightier place: nothing changes. */
  async add(accountId: string, userId: string, role: MemberRole, atMs: number): Promise<void> {
    await sql`INSERT INTO memberships (account_id, user_id, role, created_at)
      VALUES (${accountId}, ${userId}, ${role}, ${new Date(atMs)}) ON CONFLICT DO NOTHING`.execute(this.#db);
  }

  /** Locks the organisation's members, so that "the last owner stays" is decided by one at a time. */
  async lockOwners(trx: Tx, accountId: string): Promise<string[]> {
    const { rows } = await sql<{ user_id: string; role: MemberRole }>`
      SELECT user_id, role FROM memberships WHERE account_id = ${accountId} ORDER BY user_id FOR UPDATE`.execute(trx);
    return rows.filter(({ role }) => role === 'owner').map((row) => row.user_id);
  }

  async setRole(accountId: string, userId: string, role: MemberRole): Promise<void> {
    await sql`UPDATE memberships SET role = ${role}
      WHERE account_id = ${accountId} AND user_id = ${userId}`.execute(this.#db);
  }

  async remove(accountId: string, userId: string): Promise<boolean> {
    const { numAffectedRows } = await sql`DELETE FROM memberships
      WHERE account_id = ${accountId} AND user_id = ${userId}`.execute(this.#db);
    return numAffectedRows === 1n;
  }

  async alerts(accountId: string): Promise<Alerts> {
    const { rows } = await sql<Alerts>`
      SELECT balance_low_nusd AS "balanceLowNusd", key_expiring_days AS "keyExpiringDays"
      FROM accounts WHERE id = ${accountId}`.execute(this.#db);
    return rows[0] ?? { balanceLowNusd: null, keyExpiringDays: null };
  }

  async setAlerts(accountId: string, alerts: Alerts): Promise<void> {
    await sql`UPDATE accounts SET balance_low_nusd = ${alerts.balanceLowNusd}, key_expiring_days = ${alerts.keyExpiringDays}
      WHERE id = ${accountId}`.execute(this.#db);
  }

  async invite(invitation: {
    id: string;
    accountId: string;
    email: string;
    role: MemberRole;
    digest: string;
    invitedBy: string;
    createdAtMs: number;
    expiresAtMs: number;
  }): Promise<void> {
    await sql`INSERT INTO invitations (id, account_id, email, role, digest, invited_by, created_at, expires_at)
      VALUES (${invitation.id}, ${invitation.accountId}, ${invitation.email}, ${invitation.role}, ${invitation.digest},
              ${invitation.invitedBy}, ${new Date(invitation.createdAtMs)}, ${new Date(invitation.expiresAtMs)})`.execute(
      this.#db,
    );
  }

  async invitations(accountId: string, page: PageRequest): Promise<Page<Invitation>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    const { rows } = await sql<InvitationRow>`
      SELECT i.*, a.name AS organisation FROM invitations i JOIN accounts a ON a.id = i.account_id
      WHERE i.account_id = ${accountId}
        AND (${after === null} OR (i.created_at, i.id) < (${new Date(after?.atMs ?? 0)}, ${after?.id ?? ''}))
      ORDER BY i.created_at DESC, i.id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(rows, limit, newestFirst, invitationOf);
  }

  /** The invitation of a token's digest; `lock` holds its row until the end of the transaction. */
  async invitationOf(digest: string, lock = false): Promise<Invitation | null> {
    const { rows } = await sql<InvitationRow>`
      SELECT i.*, a.name AS organisation FROM invitations i JOIN accounts a ON a.id = i.account_id
      WHERE i.digest = ${digest} ${lock ? sql`FOR UPDATE OF i` : sql``}`.execute(this.#db);
    return rows[0] ? invitationOf(rows[0]) : null;
  }

  async acceptInvitation(id: string, atMs: number): Promise<void> {
    await sql`UPDATE invitations SET accepted_at = ${new Date(atMs)} WHERE id = ${id}`.execute(this.#db);
  }

  async revokeInvitation(accountId: string, id: string, atMs: number): Promise<boolean> {
    const { numAffectedRows } = await sql`UPDATE invitations
      SET revoked_at = coalesce(revoked_at, ${new Date(atMs)}::timestamptz)
      WHERE id = ${id} AND account_id = ${accountId}`.execute(this.#db);
    return numAffectedRows === 1n;
  }

  async projects(accountId: string, page: PageRequest): Promise<Page<Project>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    const { rows } = await sql<ProjectRow>`
      SELECT id, name, created_at, archived_at FROM projects WHERE account_id = ${accountId}
        AND ${olderThan(after)}
      ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(rows, limit, newestFirst, projectOf);
  }

  async createProject(accountId: string, id: string, name: string, atMs: number): Promise<Project> {
    const { rows } = await sql<ProjectRow>`
      INSERT INTO projects (id, account_id, name, created_at) VALUES (${id}, ${accountId}, ${name}, ${new Date(atMs)})
      RETURNING id, name, created_at, archived_at`.execute(this.#db);
    return projectOf(rows[0]!);
  }

  /** Null when the organisation has no such project. */
  async patchProject(
    accountId: string,
    id: string,
    patch: { name?: string; archived?: boolean },
    atMs: number,
  ): Promise<Project | null> {
    const { rows } = await sql<ProjectRow>`
      UPDATE projects SET name = coalesce(${patch.name ?? null}, name),
        archived_at = CASE WHEN ${patch.archived ?? null}::boolean IS NULL THEN archived_at
                           WHEN ${patch.archived ?? null}::boolean THEN coalesce(archived_at, ${new Date(atMs)}::timestamptz)
                           ELSE NULL END
      WHERE id = ${id} AND account_id = ${accountId}
      RETURNING id, name, created_at, archived_at`.execute(this.#db);
    return rows[0] ? projectOf(rows[0]) : null;
  }

  /** Accounts one of whose members' e-mail holds the text; newest first, at most 20. */
  async accountsOfMembers(like: string): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      SELECT DISTINCT m.account_id AS id FROM memberships m JOIN users u ON u.id = m.user_id
      WHERE u.email LIKE ${like} LIMIT 20`.execute(this.#db);
    return rows.map(({ id }) => id);
  }
}
