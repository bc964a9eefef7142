/** The published catalogue in this process: renewed on a push, and every few seconds in case the push was lost. */
import type { Catalog, CatalogModel } from '@tollgate/shared/domain/catalog';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';

const REREAD_MS = 3_000;
const FIRST_TRY_MS = 200;

export class CatalogView {
  private byId = new Map<string, CatalogModel>();
  private list: readonly CatalogModel[] = [];
  private loaded = false;
  private timer: Timer | null = null;
  private readonly read: () => Promise<Catalog | null>;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor(read: () => Promise<Catalog | null>, clock: Clock, logger: Logger) {
    this.read = read;
    this.clock = clock;
    this.logger = logger;
  }

  async start(): Promise<void> {
    await this.refresh();
    this.schedule();
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  /** Whether a catalogue was ever seen; without one nothing can be sold. */
  get isLoaded(): boolean {
    return this.loaded;
  }

  get models(): readonly CatalogModel[] {
    return this.list;
  }

  get(id: string): CatalogModel | undefined {
    return this.byId.get(id);
  }

  async refresh(): Promise<void> {
    try {
      const catalog = await this.read();
      // A Redis that was emptied has none for a moment: what we know is still true.
      if (catalog === null) return;
      this.list = catalog.models;
      this.byId = new Map(catalog.models.map((model) => [model.id, model]));
      this.loaded = true;
    } catch (error) {
      this.logger.debug({ err: error }, 'the catalogue could not be read');
    }
  }

  private schedule(): void {
    this.timer = this.clock
      .setTimeout(
        () => {
          if (this.timer === null) return;
          void this.refresh().then(() => {
            if (this.timer !== null) this.schedule();
          });
        },
        this.loaded ? REREAD_MS : FIRST_TRY_MS,
      )
      .unref();
  }
}
