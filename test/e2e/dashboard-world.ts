/** A whole start for the dashboard's stories, with all that it talks to: mail, a sign-in provider, Stripe, a webhook. */
import OpenAI, { APIError } from 'openai';
import { eventually } from '../../services/shared/src/testkit/eventually.ts';
import { type DashboardStack, startDashboard } from './dashboard-kit.ts';
import { type Inbox, startInbox } from './inbox.ts';
import { cleanUp } from './local-start.ts';
import { OIDC_CLIENT, type OidcStandIn, startOidc } from './oidc-stand-in.ts';
import { STRIPE_KEY, STRIPE_WEBHOOK_SECRET, type StripeStandIn, startStripe } from './stripe-stand-in.ts';

export const MODEL = 'Qwen/Qwen3-30B-A3B-FP8';
/** One step of a story; on a busy machine each click may take long. */
export const STEP_LIMIT_MS = 240_000;

export interface StoryWorld {
  app: DashboardStack;
  oidc: OidcStandIn;
  stripe: StripeStandIn;
  /** Receives webhooks. */
  hooks: Inbox;
  /** A request with OpenAI's own SDK; `more` are further fields of its body, `base` another contract's path. */
  ask(key: string, more?: object, base?: string): Promise<OpenAI.Chat.ChatCompletion>;
  /** HTTP status of a request with a key. */
  statusOf(key: string): Promise<number>;
  /** The collections of a key, as its holder sees them. */
  stores(key: string): Promise<{ id: string; expires_after: unknown }[]>;
  /** Path and token of the newest link below `page` that was mailed to somebody. */
  linkMailedTo(email: string, page: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startStoryWorld(): Promise<StoryWorld> {
  const [mail, hooks, stripe, oidc] = await Promise.all([
    startInbox(),
    startInbox(),
    startStripe(),
    startOidc({ sub: 'p1', email: 'olga@example.com', verified: true }),
  ]);
  const app = await startDashboard({
    env: {
      TOLLGATE_MAIL_URL: mail.url,
      ...{ STRIPE_SECRET_KEY: STRIPE_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_API_URL: stripe.url },
      ...{ TOLLGATE_OIDC_ISSUER: oidc.issuer, TOLLGATE_OIDC_NAME: 'the test provider' },
      ...{ TOLLGATE_OIDC_CLIENT_ID: OIDC_CLIENT.id, TOLLGATE_OIDC_CLIENT_SECRET: OIDC_CLIENT.secret },
    },
  });
  oidc.serve(app.url);
  // Open to anybody, with nothing to spend at first.
  await app.operator('PATCH', '/api/settings', { signUp: 'open', signUpCreditUsd: '0' });
  const ask: StoryWorld['ask'] = (apiKey, more = {}, base = '/v1') => {
    const baseURL = new URL(base, app.stack.dev.routerUrl).href;
    const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'Say hello' }];
    return client.chat.completions.create({ model: MODEL, messages, max_tokens: 8, ...more });
  };
  return {
    ...{ app, oidc, stripe, hooks, ask },
    statusOf: (key) =>
      ask(key).then(
        () => 200,
        (error: unknown) => (error instanceof APIError ? (error.status ?? 0) : 0),
      ),
    async stores(key) {
      const answer = await fetch(new URL('/v1/vector_stores', app.stack.dev.routerUrl), {
        headers: { authorization: `Bearer ${key}` },
      });
      return ((await answer.json()) as { data: { id: string; expires_after: unknown }[] }).data;
    },
    linkMailedTo: (email, page) =>
      eventually(`a mail to ${email}`, () => {
        const start = `${app.url}${page}#`;
        const letters = mail.posted.map(({ text }) => JSON.parse(text) as { to: string; text: string });
        const text = letters.findLast((letter) => letter.to === email && letter.text.includes(start))?.text;
        return text === undefined ? null : text.slice(text.indexOf(start) + app.url.length).split(/\s/)[0];
      }),
    async stop() {
      await app.stop();
      await cleanUp();
      for (const standIn of [mail, hooks, oidc]) standIn.stop();
      await stripe.stop();
    },
  };
}
