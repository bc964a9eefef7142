/** Redemption codes: credit for whoever types them, once per organisation, as often as the code allows. */
import type { Page } from '@tollgate/shared/contracts/console/common';
import type {
  CreateCode,
  CreatedCodeView,
  Redeemed,
  RedemptionCodeView,
} from '@tollgate/shared/contracts/console/topup';
import type { Db } from '@tollgate/shared/db/client';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { type RedemptionCode, RedemptionStore } from '@tollgate/shared/db/payment-store';
import { tx } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import { type AccountId, newId } from '@tollgate/shared/domain/ids';
import type { Throttle } from '@tollgate/shared/redis/throttle';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Sealer } from '@tollgate/shared/runtime/seal';
import type { Actor } from '../auth/actor.ts';
import type { CreditService } from '../credits/service.ts';
import { isoTime, isoTimeOrNull, type PageInput, pageRequest } from '../http/values.ts';

/** Wrong codes per organisation: a code has 75 bits, nobody finds one by trying. */
const GUESSES = { limit: 20, windowMs: 3_600_000 };
/** No letters that look like others. */
const ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';

export interface CodeParts {
  db: Db;
  clock: Clock;
  random: Random;
  sealer: Sealer;
  throttle: Throttle;
  credits: CreditService;
}

export class CodeService {
  readonly #parts: CodeParts;

  constructor(parts: CodeParts) {
    this.#parts = parts;
  }

  async create(actor: Actor, input: CreateCode): Promise<CreatedCodeView> {
    const { db, clock, random, sealer } = this.#parts;
    if (input.usd === 0n) throw new AppError('invalid_request', { message: 'usd: must not be 0', param: 'usd' });
    const letters = [...random.bytes(15)].map((byte) => ALPHABET[byte % 32]).join('');
    const code = `TG-${letters.slice(0, 5)}-${letters.slice(5, 10)}-${letters.slice(10)}`;
    const made = await new RedemptionStore(db).create({
      id: newId('code', random.bytes),
      digest: sealer.digest('redemption', plain(code)),
      last4: letters.slice(-4),
      amountNusd: input.usd,
      uses: input.uses ?? 1,
      note: input.note ?? null,
      createdBy: actor.id,
      expiresAtMs: input.expiresAt ?? null,
      atMs: clock.nowMs(),
    });
    return { ...codeView(made), code };
  }

  async page(query: PageInput): Promise<Page<RedemptionCodeView>> {
    const page = await new RedemptionStore(this.#parts.db).page(pageRequest(query));
    return { data: page.data.map(codeView), next: page.next };
  }

  async disable(id: string): Promise<RedemptionCodeView> {
    const code = await new RedemptionStore(this.#parts.db).disable(id, this.#parts.clock.nowMs());
    if (!code) throw new AppError('not_found', { message: 'There is no such code.' });
    return codeView(code);
  }

  /** A repeat by the same organisation changes nothing and answers as the first time. */
  async redeem(actor: Actor, accountId: AccountId, text: string): Promise<Redeemed> {
    const { db, clock, sealer, throttle, credits } = this.#parts;
    const name = `redeem:${accountId}`;
    const waitMs = await throttle.blocked(name, GUESSES);
    if (waitMs !== null)
      throw new AppError('rate_limit_exceeded', { message: 'Too many attempts.', retryAfterMs: waitMs });
    const digest = sealer.digest('redemption', plain(text));
    const result = await tx(db, async (trx): Promise<Redeemed | null> => {
      const ledger = new LedgerStore(trx);
      await ledger.lockBalance(trx, accountId);
      const store = new RedemptionStore(trx);
      const code = await store.lock(trx, digest);
      if (!code) return null;
      const earlier = await store.earlier(trx, code.id, accountId);
      if (earlier) return { amountNusd: String(code.amountNusd), transactionId: earlier, repeated: true };
      const nowMs = clock.nowMs();
      const usable =
        code.disabledAtMs === null && (code.expiresAtMs === null || code.expiresAtMs > nowMs) && code.used < code.uses;
      if (!usable) throw new AppError('conflict', { message: 'The code was used up, has expired or was withdrawn.' });
      const granted = await ledger.credit({
        accountId,
        amountNusd: code.amountNusd,
        idemKey: `code:${code.id}:${accountId}`,
        reason: `redemption code …${code.last4}`,
        actor: actor.id,
      });
      await store.use(trx, code.id, accountId, granted.transactionId, nowMs);
      return { amountNusd: String(code.amountNusd), transactionId: granted.transactionId, repeated: false };
    });
    if (!result) {
      await throttle.count(name, GUESSES);
      throw new AppError('not_found', { message: 'There is no such code.' });
    }
    await credits.forgetRefusal(accountId);
    return result;
  }
}

const plain = (code: string) => code.toUpperCase().replace(/[^0-9A-Z]/g, '');

function codeView(code: RedemptionCode): RedemptionCodeView {
  return {
    codeId: code.id,
    last4: code.last4,
    amountNusd: String(code.amountNusd),
    uses: code.uses,
    used: code.used,
    note: code.note,
    createdAt: isoTime(code.createdAtMs),
    expiresAt: isoTimeOrNull(code.expiresAtMs),
    disabledAt: isoTimeOrNull(code.disabledAtMs),
  };
}
