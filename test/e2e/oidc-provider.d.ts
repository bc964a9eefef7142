/** The part of oidc-provider's API that the sign-in test uses; the package brings no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export class Provider {
    constructor(
      issuer: string,
      settings: {
        interactions: { url(context: unknown, interaction: { uid: string }): string };
        findAccount(context: unknown, sub: string): Promise<{ accountId: string; claims(): Promise<object> }>;
      } & Record<string, unknown>,
    );
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    interactionDetails(
      request: IncomingMessage,
      response: ServerResponse,
    ): Promise<{ prompt: { name: string }; params: Record<string, unknown> }>;
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: object,
      options: object,
    ): Promise<void>;
    Grant: new (of: {
      accountId: string;
      clientId: string;
    }) => { addOIDCScope(scope: string): void; save(): Promise<string> };
  }
}
