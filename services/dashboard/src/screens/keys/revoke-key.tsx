import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { KeyView, RevokedKey } from '@tollgate/shared/contracts/console/keys';
import { post } from '../../api/client.ts';
import { Confirm } from '../../ui/dialog.tsx';
import { messageOf } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

/** Revocation is at once and for good, so the name is typed. */
export function RevokeKey({ target, onClose }: { target: KeyView; onClose(): void }) {
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => post<RevokedKey>(`/api/keys/${target.keyId}/revoke`),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['keys'] });
      toast(`“${target.name}” is revoked`);
      onClose();
    },
  });
  return (
    <Confirm
      open
      onClose={onClose}
      title={`Revoke “${target.name}”`}
      description="Every router refuses it within a second. This cannot be undone; what it spent stays in your usage."
      typed={target.name}
      action="Revoke key"
      pending={revoke.isPending}
      error={revoke.error ? messageOf(revoke.error) : null}
      onConfirm={() => revoke.mutate()}
    />
  );
}
