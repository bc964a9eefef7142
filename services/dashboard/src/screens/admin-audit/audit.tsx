import { useMutation } from '@tanstack/react-query';
import type { AuditVerified } from '@tollgate/shared/contracts/console/platform';
import { get } from '../../api/client.ts';
import { count } from '../../lib/numbers.ts';
import { Button } from '../../ui/button.tsx';
import { ErrorNote, PageBody } from '../../ui/parts.tsx';
import { AuditTable } from '../audit/audit-table.tsx';

export default function AuditPage() {
  const verify = useMutation({ mutationFn: () => get<AuditVerified>('/api/audit/verify') });
  return (
    <PageBody
      title="Audit log"
      lead="Who changed what. Lines are only ever added, and each holds the hash of the one before."
      actions={
        <Button pending={verify.isPending} onClick={() => verify.mutate()}>
          Check the chain
        </Button>
      }
    >
      <p
        role="status"
        className={`rounded-xl border p-4 empty:hidden ${verify.data?.ok ? 'border-ok/40 bg-ok-soft text-ok' : 'border-bad/40 bg-bad-soft text-bad'}`}
      >
        {verify.data
          ? verify.data.ok
            ? `The chain holds: ${count(verify.data.lines)} lines.`
            : `The chain is broken at line ${verify.data.brokenAt}: somebody changed the table.`
          : ''}
      </p>
      {verify.error ? <ErrorNote error={verify.error} /> : null}
      <AuditTable path="/api/audit" />
    </PageBody>
  );
}
