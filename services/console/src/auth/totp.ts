/** The second factor: time-based codes of an app, and recovery codes for the day the phone is lost. */
import type { Db } from '@tollgate/shared/db/client';
import { tx } from '@tollgate/shared/db/tx';
import { type User, UserStore } from '@tollgate/shared/db/user-store';
import { AppError } from '@tollgate/shared/domain/errors';
import { base62 } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Sealer } from '@tollgate/shared/runtime/seal';
import { Secret, TOTP } from 'otpauth';
import { toString as qrText } from 'qrcode';

const PERIOD_S = 30;
const RECOVERY_CODES = 10;

export interface TotpOptions {
  db: Db;
  clock: Clock;
  random: Random;
  sealer: Sealer;
}

export class SecondFactor {
  readonly #options: TotpOptions;

  constructor(options: TotpOptions) {
    this.#options = options;
  }

  /** A new secret, which counts once a code of it was shown. */
  async begin(user: User): Promise<{ secret: string; uri: string; qr: string }> {
    const { db, random, sealer } = this.#options;
    const bytes = random.bytes(20);
    const secret = new Secret({ buffer: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) });
    const stored = await new UserStore(db).beginTotp(user.id, sealer.close(secret.base32, `totp ${user.id}`));
    if (!stored) throw new AppError('conflict', { message: 'Two-factor is on already; turn it off first.' });
    const uri = totpOf(secret, user.email).toString();
    const svg = await qrText(uri, { type: 'svg', margin: 1 });
    return { secret: secret.base32, uri, qr: `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}` };
  }

  /** Turns it on; returns the recovery codes. */
  async confirm(user: User, code: string): Promise<string[]> {
    if (user.twoFactor) throw new AppError('conflict', { message: 'Two-factor is on already.' });
    if (!(await this.#checkCode(user, code))) throw new AppError('invalid_credentials');
    await new UserStore(this.#options.db).confirmTotp(user.id, this.#options.clock.nowMs());
    return this.newRecoveryCodes(user);
  }

  async newRecoveryCodes(user: Pick<User, 'id'>): Promise<string[]> {
    const { db, random, sealer } = this.#options;
    const codes = Array.from({ length: RECOVERY_CODES }, () => {
      const text = base62(10, random.bytes).toLowerCase();
      return `${text.slice(0, 5)}-${text.slice(5)}`;
    });
    await tx(db, (trx) =>
      new UserStore(trx).replaceRecoveryCodes(
        trx,
        user.id,
        codes.map((code) => sealer.digest('recovery', plain(code))),
      ),
    );
    return codes;
  }

  /** True for the present code (or a neighbour's, for clocks that drift), once; or for a recovery code, once. */
  async check(user: User, code: string): Promise<boolean> {
    if (!user.twoFactor) return false;
    if (/^\d{6}$/.test(code)) return this.#checkCode(user, code);
    const { db, sealer, clock } = this.#options;
    return new UserStore(db).takeRecoveryCode(user.id, sealer.digest('recovery', plain(code)), clock.nowMs());
  }

  async #checkCode(user: User, code: string): Promise<boolean> {
    const { db, clock, sealer } = this.#options;
    if (user.totpSecret === null || !/^\d{6}$/.test(code)) return false;
    const secret = Secret.fromBase32(sealer.open(user.totpSecret, `totp ${user.id}`));
    const nowMs = clock.nowMs();
    const delta = totpOf(secret, user.email).validate({ token: code, timestamp: nowMs, window: 1 });
    if (delta === null) return false;
    return new UserStore(db).takeTotpStep(user.id, Math.floor(nowMs / 1000 / PERIOD_S) + delta);
  }
}

const totpOf = (secret: Secret, label: string) =>
  new TOTP({ issuer: 'Tollgate', label, secret, digits: 6, period: PERIOD_S, algorithm: 'SHA1' });

const plain = (code: string) => code.toLowerCase().replace(/[^0-9a-z]/g, '');
