/** A sign-in provider on this machine: a real OpenID Connect server on whose pages the person always agrees. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Provider } from 'oidc-provider';
import { freePort } from '../../services/shared/src/testkit/ports.ts';

export const OIDC_CLIENT = { id: 'tollgate', secret: 'client-secret-of-the-test' } as const;

export interface OidcPerson {
  sub: string;
  email: string;
  /** Whether the provider vouches for the e-mail. */
  verified: boolean;
}

export interface OidcStandIn {
  issuer: string;
  /** Who it says that the person is. */
  person: OidcPerson;
  /** From now on it sends people back to this console. */
  serve(consoleUrl: string): void;
  stop(): void;
}

/** It answers 503 until it is told for whom: its address must be known before the console's is. */
export async function startOidc(person: OidcPerson): Promise<OidcStandIn> {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  let answer: Handler = (_request, response) => response.writeHead(503).end();
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const standIn: OidcStandIn = {
    issuer,
    person,
    serve(consoleUrl) {
      answer = handler(issuer, consoleUrl, () => standIn.person);
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return standIn;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

function handler(issuer: string, consoleUrl: string, who: () => OidcPerson): Handler {
  const oidc = new Provider(issuer, {
    clients: [
      {
        client_id: OIDC_CLIENT.id,
        client_secret: OIDC_CLIENT.secret,
        redirect_uris: [`${consoleUrl}/api/auth/oidc/sso/callback`],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: async (_context, sub) => ({
      accountId: sub,
      claims: async () => ({ sub, email: who().email, email_verified: who().verified, name: 'Olga Oidc' }),
    }),
    cookies: { keys: ['a-cookie-key-of-the-test'] },
  });
  const pages = oidc.callback();
  return async (request, response) => {
    // The page on which a person would sign in and agree: here they always do.
    if (!request.url?.startsWith('/interaction/')) return pages(request, response);
    const { prompt, params } = await oidc.interactionDetails(request, response);
    const { sub } = who();
    if (prompt.name === 'login') {
      const login = { login: { accountId: sub } };
      return oidc.interactionFinished(request, response, login, { mergeWithLastSubmission: false });
    }
    const grant = new oidc.Grant({ accountId: sub, clientId: String(params.client_id) });
    grant.addOIDCScope('openid email profile');
    const consent = { consent: { grantId: await grant.save() } };
    return oidc.interactionFinished(request, response, consent, { mergeWithLastSubmission: true });
  };
}
