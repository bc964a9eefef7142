import type { PriceId } from './ids.ts';
import type { UnitPrices } from './money.ts';

/** A model as sold: what a router needs to validate, price and bound a request. Published by the console as one document. */
export interface CatalogModel {
  id: string;
  /** Seconds since 1970, for `GET /v1/models`. */
  createdAt: number;
  ownedBy: string;
  /** Context length that workers of this model are started with. */
  maxModelLen: number;
  /** Output limit used and sent when the client asks for none; null = the rest of the context. */
  defaultMaxTokens: number | null;
  /** Tokens that the chat template adds: per request and per message; part of the hold's bound. */
  templateTokens: number;
  templateTokensPerMessage: number;
  priceId: PriceId;
  prices: UnitPrices;
  enabled: boolean;
}

export interface Catalog {
  version: number;
  models: readonly CatalogModel[];
}
