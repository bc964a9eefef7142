/** A request to the models' API as this console passes it on: browsers may ask no other host than this page's own. */

export interface SwaggerRequest {
  headers: Record<string, string>;
  method: string;
  url: string;
}

/** What is for the host goes through the console; a pasted key goes beside it, never as the page's own credential. */
export function asHostCall<R extends SwaggerRequest>(request: R, routerUrl: string, accountId: string): R {
  if (!request.url.startsWith(`${routerUrl}/`)) return request;
  const { authorization, Authorization, 'x-api-key': apiKey, ...headers } = request.headers;
  const key = (authorization ?? Authorization)?.replace(/^Bearer /i, '') ?? apiKey;
  const asked = new URLSearchParams({ method: request.method, path: request.url.slice(routerUrl.length) });
  return {
    ...request,
    method: 'POST',
    url: `/api/accounts/${accountId}/playground/call?${asked}`,
    headers: { ...headers, ...(key ? { 'x-playground-key': key } : {}) },
  };
}
