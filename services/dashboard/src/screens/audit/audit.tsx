import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { ButtonLink } from '../../ui/button.tsx';
import { Empty, PageBody } from '../../ui/parts.tsx';
import { AuditTable } from './audit-table.tsx';

/** What members and operators did in one organisation. */
export default function OrganisationAuditPage() {
  const { accountId, organisation, may } = useSession();
  return (
    <PageBody
      title="Audit log"
      lead={`Who changed what in ${organisation.name}. Lines are only ever added.`}
      actions={<ButtonLink to="/team">Team</ButtonLink>}
    >
      {may('audit:read') ? (
        <AuditTable key={accountId} path={`${account(accountId)}/audit`} />
      ) : (
        <div className="card">
          <Empty title="Your role may not read the audit log">Owners and admins of the organisation may.</Empty>
        </div>
      )}
    </PageBody>
  );
}
