import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { PageBody } from '../../ui/parts.tsx';
import { WebhookList } from './list.tsx';

export default function WebhooksPage() {
  const { accountId, may } = useSession();
  return (
    <PageBody
      title="Webhooks"
      lead="Your server is told when the balance is low, a key is about to end, a cap is reached or credit arrives. Each message is signed."
    >
      <WebhookList
        base={`${account(accountId)}/webhooks`}
        events={['balance.low', 'key.expiring', 'spend_cap.reached', 'topup.succeeded']}
        writer={may('webhooks:write')}
      />
    </PageBody>
  );
}
