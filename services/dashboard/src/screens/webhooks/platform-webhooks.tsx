import { PageBody } from '../../ui/parts.tsx';
import { WebhookList } from './list.tsx';

export default function PlatformWebhooksPage() {
  return (
    <PageBody
      title="Platform webhooks"
      lead="For those who run this installation: workers that go away, and the events of every organisation."
    >
      <WebhookList
        base="/api/webhooks"
        events={['worker.down', 'balance.low', 'key.expiring', 'spend_cap.reached', 'topup.succeeded']}
        writer
      />
    </PageBody>
  );
}
