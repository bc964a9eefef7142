import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { Role } from '@tollgate/shared/contracts/console/auth';
import type { CreatedInvitationView } from '@tollgate/shared/contracts/console/organisations';
import { UserPlus } from 'lucide-react';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { Button } from '../../ui/button.tsx';
import { CopyLine } from '../../ui/copy.tsx';
import { Modal } from '../../ui/dialog.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { ErrorNote } from '../../ui/parts.tsx';

export const ROLE_TEXT: Record<Role, string> = {
  owner: 'Everything, and makes other owners',
  admin: 'Everything but owners',
  developer: 'Keys, projects and the playground',
  billing: 'Sees everything, pays in',
  viewer: 'Sees everything, changes nothing',
};

export function Invite() {
  const { accountId, organisation, me } = useSession();
  const client = useQueryClient();
  const path = `${account(accountId)}/invitations`;
  const [open, setOpen] = useState(false);
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('developer');
  const invite = useMutation({
    mutationFn: () => post<CreatedInvitationView>(path, { email: email.trim(), role }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['list', path] }),
  });
  const close = () => {
    setOpen(false);
    setEmail('');
    invite.reset();
  };
  const made = invite.data;
  return (
    <>
      <Button look="primary" icon={<UserPlus size={15} aria-hidden="true" />} onClick={() => setOpen(true)}>
        Invite
      </Button>
      <Modal
        open={open}
        onClose={close}
        title={made ? 'Invitation made' : 'Invite somebody'}
        footer={
          made ? (
            <Button look="primary" onClick={close}>
              Done
            </Button>
          ) : (
            <>
              <Button onClick={close}>Cancel</Button>
              <Button look="primary" type="submit" form="invite" pending={invite.isPending}>
                Invite
              </Button>
            </>
          )
        }
      >
        {made ? (
          <div className="flex flex-col gap-3">
            <p>
              {made.mailed
                ? `A mail is on its way to ${made.email}.`
                : 'No mail is set up here: hand this link over yourself.'}
            </p>
            <CopyLine label="Link, shown this once" text={`${location.origin}${made.link}`} secret />
          </div>
        ) : (
          <form
            id="invite"
            className="flex flex-col gap-4"
            onSubmit={(event) => {
              event.preventDefault();
              invite.mutate();
            }}
          >
            <TextField
              label="E-mail"
              type="email"
              required
              value={email}
              onChange={(event) => setEmail(event.target.value)}
            />
            <SelectField
              label="Role"
              hint={ROLE_TEXT[role]}
              value={role}
              onChange={(event) => setRole(event.target.value as Role)}
            >
              {(Object.keys(ROLE_TEXT) as Role[])
                .filter((name) => name !== 'owner' || organisation.role === 'owner' || me.user.operator)
                .map((name) => (
                  <option key={name}>{name}</option>
                ))}
            </SelectField>
            {invite.error ? <ErrorNote error={invite.error} /> : null}
          </form>
        )}
      </Modal>
    </>
  );
}
