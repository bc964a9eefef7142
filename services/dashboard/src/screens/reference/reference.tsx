/**
 * Both APIs with a Try-it: the models' one runs with a key of this very session (or one that is pasted), the console's with
 * the session itself. The viewer is served from here and loaded when asked for; nothing is asked of another host.
 */
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { get } from '../../api/client.ts';
import { useSession } from '../../app/session.tsx';
import { compactSearch } from '../../lib/search.ts';
import { ErrorNote, PageBody, Skeleton } from '../../ui/parts.tsx';
import { Segments } from '../../ui/tabs.tsx';
import { asHostCall, type SwaggerRequest } from './host-call.ts';

const APIS = [
  { value: 'models', label: 'Models' },
  { value: 'console', label: 'Console' },
] as const;
type Api = (typeof APIS)[number]['value'];

export default function ReferencePage() {
  const { api = 'models' } = useSearch({ from: '/signed-in/reference' });
  const navigate = useNavigate();
  const { routerUrl } = useSession();
  return (
    <PageBody
      title="API reference"
      lead={
        api === 'models' ? (
          <>
            What applications call at <code>{routerUrl}/v1</code> with a key. “Try it out” runs with a key of your
            session, at its limits and price; “Authorize” takes another key of this organisation.
          </>
        ) : (
          'Everything on these screens, for scripts. “Try it out” acts with your session, for real.'
        )
      }
      actions={
        <Segments
          label="Which API"
          options={APIS}
          value={api}
          onChange={(next) =>
            void navigate({
              to: '/reference',
              search: compactSearch({ api: next === 'console' ? next : undefined }),
              replace: true,
            })
          }
        />
      }
    >
      <Viewer key={api} api={api} />
    </PageBody>
  );
}

function Viewer({ api }: { api: Api }) {
  const { me, routerUrl, accountId } = useSession();
  const host = useRef<HTMLDivElement>(null);
  const spec = useQuery({
    queryKey: ['openapi', api],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => get<object>(api === 'models' ? '/v1/openapi.json' : '/openapi.json', undefined, signal),
  });
  const viewer = useQuery({
    queryKey: ['swagger-ui'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => {
      const [{ default: SwaggerUI }] = await Promise.all([
        import('swagger-ui-dist/swagger-ui-es-bundle.js'),
        import('swagger-ui-dist/swagger-ui.css'),
      ]);
      return SwaggerUI;
    },
  });
  const csrfToken = me.session?.csrfToken;
  useEffect(() => {
    if (!viewer.data || !spec.data || !host.current) return;
    const node = host.current;
    viewer.data({
      domNode: node,
      spec: api === 'models' ? { ...spec.data, servers: [{ url: routerUrl }] } : spec.data,
      docExpansion: api === 'models' ? 'list' : 'none',
      defaultModelsExpandDepth: 0,
      // No validator service, no other host: whatever is asked stays on this console.
      validatorUrl: null,
      persistAuthorization: false,
      // The curl line shows what an application would send, not the way through this console.
      showMutatedRequest: api === 'console',
      requestInterceptor: (request: SwaggerRequest) => {
        const sent = api === 'models' ? asHostCall(request, routerUrl, accountId) : request;
        if (csrfToken && sent.method !== 'GET') sent.headers['x-csrf-token'] = csrfToken;
        return sent;
      },
    });
    return () => {
      node.replaceChildren();
    };
  }, [viewer.data, spec.data, csrfToken, api, routerUrl, accountId]);
  const error = spec.error ?? viewer.error;
  return (
    <>
      {error ? <ErrorNote error={error} /> : null}
      {spec.data && viewer.data ? null : error ? null : <Skeleton className="h-96" />}
      <div ref={host} className="api-reference" />
    </>
  );
}
