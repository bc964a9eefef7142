/** The one time a secret is on screen: a real modal that only "I saved it" closes. */
import { useState } from 'react';
import { useSession } from '../../app/session.tsx';
import { envLine, shellQuote } from '../../lib/snippets.ts';
import { Button } from '../../ui/button.tsx';
import { CopyLine } from '../../ui/copy.tsx';
import { Modal } from '../../ui/dialog.tsx';
import { Checkbox } from '../../ui/field.tsx';

interface RevealProps {
  title: string;
  /** What the person should know besides that this is the only time. */
  note?: string;
  lines: readonly { label: string; text: string }[];
  onSaved(): void;
}

/** Shows secrets once. Reused for recovery codes, webhook secrets and tokens. */
export function Reveal({ title, note, lines, onSaved }: RevealProps) {
  const [saved, setSaved] = useState(false);
  return (
    <Modal
      open
      locked
      wide
      onClose={() => undefined}
      title={title}
      description="This is the only time it is shown: it is stored nowhere. Save it now."
      footer={
        <Button look="primary" disabled={!saved} onClick={onSaved}>
          Done
        </Button>
      }
    >
      <div className="flex flex-col gap-4">
        {note ? <p className="text-muted">{note}</p> : null}
        {lines.map(({ label, text }) => (
          <CopyLine key={label} label={label} text={text} secret />
        ))}
        <Checkbox label="I saved it" checked={saved} onChange={(event) => setSaved(event.target.checked)} />
      </div>
    </Modal>
  );
}

interface KeyProps {
  secret: string;
  title: string;
  note?: string;
  onSaved(): void;
}

export function RevealKey({ secret, title, note, onSaved }: KeyProps) {
  const { routerUrl } = useSession();
  const curl = `curl -s ${routerUrl}/v1/models -H ${shellQuote(`Authorization: Bearer ${secret}`)}`;
  return (
    <Reveal
      title={title}
      {...(note ? { note } : {})}
      onSaved={onSaved}
      lines={[
        { label: 'Key', text: secret },
        { label: 'Line for a .env file', text: envLine(secret) },
        { label: 'Try it', text: curl },
      ]}
    />
  );
}
