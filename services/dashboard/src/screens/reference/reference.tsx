/** The console's API with a Try-it that uses this very session. The viewer is served from here and loaded when asked for. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { get } from '../../api/client.ts';
import { useSession } from '../../app/session.tsx';
import { ErrorNote, PageBody, Skeleton } from '../../ui/parts.tsx';

interface SwaggerRequest {
  headers: Record<string, string>;
  method: string;
  url: string;
}

export default function ReferencePage() {
  const { routerUrl, me } = useSession();
  const host = useRef<HTMLDivElement>(null);
  const spec = useQuery({
    queryKey: ['openapi'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => get<object>('/openapi.json', undefined, signal),
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
      spec: spec.data,
      docExpansion: 'none',
      defaultModelsExpandDepth: 0,
      // No validator service, no other host: whatever is asked stays on this console.
      validatorUrl: null,
      persistAuthorization: false,
      requestInterceptor: (request: SwaggerRequest) => {
        if (csrfToken && request.method !== 'GET') request.headers['x-csrf-token'] = csrfToken;
        return request;
      },
    });
    return () => {
      node.replaceChildren();
    };
  }, [viewer.data, spec.data, csrfToken]);
  const error = spec.error ?? viewer.error;
  return (
    <PageBody
      title="API reference"
      lead={
        <>
          Everything on these screens, for scripts. “Try it out” acts with your session, for real. Models themselves
          speak OpenAI's API at <code>{routerUrl}/v1</code>.
        </>
      }
    >
      {error ? <ErrorNote error={error} /> : null}
      {spec.data && viewer.data ? null : error ? null : <Skeleton className="h-96" />}
      <div ref={host} className="api-reference" />
    </PageBody>
  );
}
