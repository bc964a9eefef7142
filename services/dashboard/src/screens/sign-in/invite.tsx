import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { InvitationFace, SignedIn } from '@tollgate/shared/contracts/console/auth';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { ApiError } from '../../api/error.ts';
import { meQuery } from '../../api/queries.ts';
import { Front } from '../../app/front.tsx';
import { Button } from '../../ui/button.tsx';
import { ErrorNote, Loaded } from '../../ui/parts.tsx';
import { useSignedIn } from './flow.ts';
import { NewPersonFields, useNewPerson } from './new-person.tsx';

const KEPT = 'tollgate.invitation';
/** The token after `#` never reaches a log. It outlives the detour over the sign-in page, in this tab alone. */
function readToken(): string {
  const here = decodeURIComponent(location.hash.slice(1));
  try {
    if (here !== '') sessionStorage.setItem(KEPT, here);
    return here || (sessionStorage.getItem(KEPT) ?? '');
  } catch {
    return here;
  }
}

export default function InvitePage() {
  const [token] = useState(readToken);
  const { data: me } = useQuery(meQuery);
  const look = useQuery({
    queryKey: ['invitation', token],
    retry: false,
    queryFn: () => post<InvitationFace>('/api/auth/invitations/look', { token: token || 'none' }),
  });
  if (look.error instanceof ApiError && look.error.status === 404) {
    return (
      <Front
        title="This invitation is over"
        lead="It was accepted, withdrawn or has expired, or the link is not whole. Ask who invited you for another."
      >
        <Link to="/sign-in" className="link">
          Sign in
        </Link>
      </Front>
    );
  }
  return (
    <Front title="You are invited">
      <Loaded query={look}>
        {(face) => (
          <div className="flex flex-col gap-4">
            <p>
              Join <strong>{face.organisation}</strong> as {face.role}, with the e-mail {face.email}.
            </p>
            <Accept token={token} face={face} signedInAs={me?.user.email ?? null} />
          </div>
        )}
      </Loaded>
    </Front>
  );
}

function Accept({ token, face, signedInAs }: { token: string; face: InvitationFace; signedInAs: string | null }) {
  const { person, set } = useNewPerson();
  const done = useSignedIn();
  const isThem = signedInAs?.toLowerCase() === face.email.toLowerCase();
  const accept = useMutation({
    mutationFn: () =>
      post<SignedIn>('/api/auth/invitations/accept', {
        token,
        ...(isThem ? {} : { name: person.name, password: person.password }),
      }),
    onSuccess: async (result) => {
      if (result.status === 'signed_in') await done(result.me);
    },
  });
  if (face.userExists && !isThem) {
    return (
      <Link to="/sign-in" search={{ next: '/invite' }} className="link">
        Sign in as {face.email}, then accept
      </Link>
    );
  }
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        accept.mutate();
      }}
    >
      {isThem ? null : <NewPersonFields person={person} set={set} error={accept.error} askEmail={false} />}
      {accept.error ? <ErrorNote error={accept.error} /> : null}
      <Button look="primary" type="submit" pending={accept.isPending}>
        Join {face.organisation}
      </Button>
    </form>
  );
}
