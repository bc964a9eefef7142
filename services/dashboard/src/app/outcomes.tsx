/** Pages for what should not happen: each says what is known and where to go on. */
import { Link, useRouter } from '@tanstack/react-router';
import { Button, ButtonLink } from '../ui/button.tsx';
import { ErrorNote, PageBody } from '../ui/parts.tsx';

export function NotFoundPage() {
  return (
    <PageBody title="There is no such page" lead="The address may be old, or belong to another organisation.">
      <div>
        <ButtonLink look="primary" to="/">
          Go home
        </ButtonLink>
      </div>
    </PageBody>
  );
}

export function CrashPage({ error }: { error: unknown }) {
  const router = useRouter();
  // After an upgrade the files that an open page would load are gone: the new page has its own.
  const stale = error instanceof Error && /dynamically imported module|Importing a module/i.test(error.message);
  return (
    <PageBody
      title={stale ? 'Tollgate was updated' : 'This page failed'}
      lead={stale ? 'Load the page again to get the present version.' : 'Nothing was lost; what you saved is saved.'}
    >
      {stale ? null : <ErrorNote error={error} />}
      <div className="flex gap-2">
        <Button look="primary" onClick={() => (stale ? location.reload() : void router.invalidate())}>
          {stale ? 'Load again' : 'Try again'}
        </Button>
        <Link to="/" className="tap inline-flex items-center px-3 text-sm">
          Go home
        </Link>
      </div>
    </PageBody>
  );
}
