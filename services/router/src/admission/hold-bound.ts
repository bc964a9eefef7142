/** The most that a request can cost, before anything is known of its tokens (MONEY.md 2.3). Pure. */
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { costNusd, type Nusd } from '@tollgate/shared/domain/money';

export interface RequestSize {
  /** UTF-8 bytes of the messages as JSON: never fewer than the tokens that a byte-pair vocabulary makes of them. */
  messageBytes: number;
  messages: number;
  /** Bytes of the tools as JSON. Templates print them with spaces, so they count twice. */
  toolBytes: number;
  choices: number;
  /** Prompts that each have a context of their own; 1 when absent. */
  contexts?: number;
}

/** Upper bound of prompt tokens. */
export function promptBound(size: RequestSize, model: CatalogModel): number {
  const template = model.templateTokens + model.templateTokensPerMessage * size.messages;
  return Math.min(size.messageBytes + 2 * size.toolBytes + template, model.maxModelLen * (size.contexts ?? 1));
}

/**
 * Price of the worst case: prompt bound and `outputLimit` per choice, where both together never pass the context.
 * The cost is linear in how the context is shared out, so the worst is at one of the two ends.
 */
export function holdAmount(size: RequestSize, model: CatalogModel, outputLimit: number): Nusd {
  const prompt = promptBound(size, model);
  const output = Math.min(outputLimit, model.maxModelLen);
  // How several contexts share what is bounded here in sum is not known: every answer at its longest.
  if ((size.contexts ?? 1) > 1) return price(model, prompt, output * size.choices);
  const longPrompt = price(model, prompt, Math.min(output, model.maxModelLen - prompt) * size.choices);
  const shortPrompt = Math.max(0, Math.min(prompt, model.maxModelLen - output));
  const longOutput = price(model, shortPrompt, output * size.choices);
  // Amounts are bigint, which Math.max does not take.
  if (longPrompt > longOutput) return longPrompt;
  return longOutput;
}

function price(model: CatalogModel, promptTokens: number, completionTokens: number): Nusd {
  return costNusd({ promptTokens, cachedTokens: 0, completionTokens }, model.prices);
}

export interface OutputLimit {
  tokens: number;
  /** Ours, and perhaps more than the context has left: lowered once if the worker says so. */
  isGuess: boolean;
}

const BYTES_PER_TOKEN = 3;

/** The output limit that the worker is told: the client's, else the model's default, else the rest of the context. */
export function outputLimit(asked: number | null, size: RequestSize, model: CatalogModel): OutputLimit {
  if (asked !== null) return { tokens: asked, isGuess: false };
  const surelyFree = model.maxModelLen - promptBound(size, model);
  const wanted = model.defaultMaxTokens ?? model.maxModelLen;
  if (wanted <= surelyFree) return { tokens: wanted, isGuess: false };
  if (surelyFree >= model.maxModelLen / 2) return { tokens: surelyFree, isGuess: false };
  const template = model.templateTokens + model.templateTokensPerMessage * size.messages;
  const likely = Math.ceil((size.messageBytes + size.toolBytes) / BYTES_PER_TOKEN) + template;
  return { tokens: Math.max(1, Math.min(wanted, model.maxModelLen - likely)), isGuess: true };
}
