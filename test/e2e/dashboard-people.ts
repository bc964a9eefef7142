/** Part of the dashboard's story: an owner and the people beside her; signing in in every way; paying; being told. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Secret, TOTP } from 'otpauth';
import type { Page } from 'playwright-core';
import { eventually } from '../../services/shared/src/testkit/eventually.ts';
import { atHome, PASSWORD, saveSecret, signUp, tryPassword, type Visit, visit } from './dashboard-kit.ts';
import { faults } from './dashboard-walks.ts';
import { STEP_LIMIT_MS, type StoryWorld } from './dashboard-world.ts';
import { eventsOf, signed } from './stripe-stand-in.ts';

const OWNER = 'grace@example.com';
const GUEST = 'bob@example.com';
const CHECKOUT = 'https://checkout.example';

export function peopleStory(given: () => StoryWorld): void {
  let world: StoryWorld;
  let owner: Visit;
  let page: Page;
  let guest: Visit;
  let codes: string[] = [];

  beforeAll(async () => {
    world = given();
    owner = await visit(world.app.browser, world.app.url, {}, [CHECKOUT]);
    page = owner.page;
    await signUp(page, 'Grace Hopper', OWNER, 'Compilers');
  }, STEP_LIMIT_MS);
  afterAll(async () => {
    await owner?.context.close();
    await guest?.context.close();
  });
  /** Somebody at another computer. */
  const another = (others: string[] = []) => visit(world.app.browser, world.app.url, {}, others);

  test(
    'an invited person joins by the link in the mail, with the role of the invitation and no more',
    async () => {
      await page.goto('/team');
      await page.getByRole('button', { name: 'Invite' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('E-mail').fill(GUEST);
      await dialog.getByLabel('Role').selectOption('viewer');
      await dialog.getByRole('button', { name: 'Invite' }).click();
      await dialog.getByText(`A mail is on its way to ${GUEST}`).waitFor();
      await dialog.getByRole('button', { name: 'Done' }).click();

      guest = await another();
      await guest.page.goto(await world.linkMailedTo(GUEST, '/invite'));
      await guest.page.getByText('Join Compilers as viewer').waitFor();
      expect(await faults(guest.page)).toEqual([]);
      await guest.page.getByLabel('Your name').fill('Bob');
      await guest.page.getByLabel('Password').fill(PASSWORD);
      await guest.page.getByRole('button', { name: 'Join Compilers' }).click();
      await atHome(guest.page);
      await guest.page.goto('/keys');
      await guest.page.getByText('No keys yet').waitFor();
      expect(await guest.page.getByRole('main').getByRole('button', { name: 'Create key' }).count()).toBe(0);

      await page.reload();
      await page.getByRole('table', { name: 'Members' }).getByText(GUEST).waitFor();
      expect(await page.getByText('Open invitations').count()).toBe(0);
      // Who did it stands in the organisation's audit log, for those whose role may read it.
      await page.getByRole('main').getByRole('link', { name: 'Audit log' }).click();
      const lines = page.getByRole('table', { name: 'Audit log, newest first' }).getByRole('row');
      await lines.filter({ hasText: 'invitations.create' }).getByText('Grace Hopper').waitFor();
      await guest.page.goto('/audit');
      await guest.page.getByText('Your role may not read the audit log').waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'who forgot the password chooses a new one by a mailed link, once; what was open before is over',
    async () => {
      const phone = await another();
      const { page: lost } = phone;
      await lost.goto('/sign-in');
      await lost.getByRole('link', { name: 'Forgot your password?' }).click();
      for (const email of ['nobody@example.com', GUEST]) {
        await lost.goto('/forgot-password');
        await lost.getByLabel('E-mail').fill(email);
        await lost.getByRole('button', { name: 'Send the link' }).click();
        // The same words for everybody.
        await lost.getByText(`If ${email} belongs to somebody here`).waitFor();
      }
      const link = await world.linkMailedTo(GUEST, '/reset-password');
      await lost.goto(link);
      await lost.getByLabel('New password').fill('another long password');
      await lost.getByRole('button', { name: 'Save' }).click();
      await lost.getByRole('link', { name: 'Sign in' }).waitFor();
      expect(new URL(lost.url()).hash).toBe('');
      await guest.page.goto('/usage');
      await guest.page.getByRole('heading', { name: 'Sign in' }).waitFor();
      await tryPassword(lost, GUEST, PASSWORD);
      await lost.getByRole('alert').waitFor();
      await tryPassword(lost, GUEST, 'another long password');
      await atHome(lost);
      await lost.goto(link);
      await lost.getByLabel('New password').fill('a third long password');
      await lost.getByRole('button', { name: 'Save' }).click();
      await lost.getByText('The link is not right').waitFor();
      expect(phone.complaints).toEqual([]);
      await phone.context.close();
    },
    STEP_LIMIT_MS,
  );

  test(
    'with two-factor on, the password alone opens nothing: a code does, and a recovery code once',
    async () => {
      await page.goto('/security');
      await page.getByRole('button', { name: 'Turn on' }).click();
      const dialog = page.getByRole('dialog');
      const secret = await dialog.getByLabel('Or type this in').inputValue();
      const app = new TOTP({ secret: Secret.fromBase32(secret), digits: 6, period: 30 });
      await dialog.getByLabel('Six digits').fill('000000');
      await dialog.getByRole('button', { name: 'Turn on' }).click();
      await dialog.getByRole('alert').waitFor();
      await dialog.getByLabel('Six digits').fill(app.generate());
      await dialog.getByRole('button', { name: 'Turn on' }).click();
      codes = (await saveSecret(page, 'Codes')).split('\n');
      expect(codes).toHaveLength(10);
      await page.getByRole('button', { name: 'New recovery codes' }).waitFor();

      const laptop = await another();
      const { page: desk } = laptop;
      const signInWith = async (code: string) => {
        await laptop.context.clearCookies();
        await tryPassword(desk, OWNER, PASSWORD);
        await desk.getByRole('heading', { name: 'One more step' }).waitFor();
        await desk.getByLabel('Code').fill(code);
        await desk.getByRole('button', { name: 'Continue' }).click();
      };
      // The next code: the one before it was used up by turning it on.
      await signInWith(app.generate({ timestamp: Date.now() + 30_000 }));
      await atHome(desk);
      await signInWith(codes[0]!);
      await atHome(desk);
      await signInWith(codes[0]!);
      await desk.getByRole('alert').waitFor();
      expect(await faults(desk)).toEqual([]);
      await laptop.context.close();
    },
    STEP_LIMIT_MS,
  );

  test(
    'a provider signs in whom it vouches for; the page says why it does not sign in another',
    async () => {
      const olga = await another([world.oidc.issuer]);
      await olga.page.goto('/sign-in?next=%2Fusage');
      await olga.page.getByRole('link', { name: 'Continue with the test provider' }).click();
      await olga.page.getByRole('heading', { name: 'Usage', level: 1 }).waitFor();
      await olga.page.getByText('olga@example.com').first().waitFor();
      expect(olga.complaints).toEqual([]);
      await olga.context.clearCookies();
      world.oidc.person = { sub: 'p2', email: OWNER, verified: false };
      await olga.page.goto('/sign-in');
      await olga.page.getByRole('link', { name: 'Continue with the test provider' }).click();
      await olga.page.getByText('does not vouch for your e-mail').waitFor();
      await olga.context.close();
    },
    STEP_LIMIT_MS,
  );

  test(
    'paying by card: the credit is there when the provider says so, not when the browser comes back',
    async () => {
      await page.route(`${CHECKOUT}/**`, (route) => route.fulfill({ body: 'a page to pay on' }));
      await page.goto('/credits');
      await page.getByLabel('Amount, USD').fill('25');
      await page.getByRole('button', { name: 'Pay by card' }).click();
      await page.waitForURL(`${CHECKOUT}/**`);
      const session = page.url().split('/').at(-1)!;
      const { successUrl } = world.stripe;
      expect(successUrl.startsWith(`${world.app.url}/credits?payment=`)).toBe(true);
      const paymentId = new URL(successUrl).searchParams.get('payment')!;
      await page.goto(successUrl);
      await page.getByText('Waiting for the payment to be confirmed').waitFor();
      const accountId = await page.evaluate<string>(
        `fetch('/api/me').then((r) => r.json()).then((me) => me.organisations[0].accountId)`,
      );
      const { body, header } = signed(eventsOf({ paymentId, accountId, session, cents: 2_500 }).completed);
      const told = await fetch(`${world.app.url}/api/stripe/webhook`, {
        method: 'POST',
        headers: { 'stripe-signature': header, 'content-type': 'application/json' },
        body,
      });
      expect(told.status).toBe(200);
      await page.getByText('Paid. The credit is there.').waitFor();
      await page.reload();
      await page.getByRole('table', { name: 'Payments, newest first' }).getByText('paid').waitFor();
      await page.getByRole('table', { name: 'Ledger, newest first' }).getByText('+$25.00').waitFor();
      await page.getByText('Charges visa ending 4242.').waitFor();
    },
    STEP_LIMIT_MS,
  );

  test(
    'a webhook of one’s own is told, signed with the secret that was shown once, and its answer is on the page',
    async () => {
      await page.goto('/webhooks');
      // As ten minutes after signing in: who wants a secret shows again who they are, and what was asked for goes on.
      const stale = { error: { message: 'Show again who you are.', code: 'reauthentication_required' } };
      await page.route('**/api/accounts/*/webhooks', (route) => route.fulfill({ status: 403, json: stale }), {
        times: 1,
      });
      await page.getByRole('button', { name: 'Add webhook' }).click();
      await page.getByRole('dialog').getByLabel('Address').fill(world.hooks.url);
      await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
      const proof = page.getByRole('dialog', { name: 'Is it still you?' });
      await proof.getByLabel('Password').fill(PASSWORD);
      await proof.getByLabel('Code of your authenticator app').fill(codes[1]!);
      await proof.getByRole('button', { name: 'Continue' }).click();
      await proof.waitFor({ state: 'detached' });
      const secret = await saveSecret(page, 'Secret');
      await page.getByRole('button', { name: `Actions for ${world.hooks.url}` }).click();
      await page.getByRole('menuitem', { name: 'Send a test event' }).click();
      const { headers, text } = await eventually('the delivery', () => world.hooks.posted.at(-1));
      const [id, at] = [headers['webhook-id'], headers['webhook-timestamp']];
      const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
      const signature = createHmac('sha256', key).update(`${id}.${at}.${text}`).digest('base64');
      expect(headers['webhook-signature']).toBe(`v1,${signature}`);
      const sent = page.getByRole('table', { name: 'Deliveries, newest first' });
      await sent.getByText('delivered').waitFor();
      await sent.getByText(/^200 in/).waitFor();
      expect(await faults(page)).toEqual([]);
    },
    STEP_LIMIT_MS,
  );

  test('their browsers had nothing to complain about', () => {
    expect([...owner.complaints, ...guest.complaints]).toEqual([]);
  });
}
