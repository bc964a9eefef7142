/**
 * Requests of this router at all workers of each model that is sold: with the queue, what the model's engines are scaled
 * by. A model without a worker is told as 0 for as long as it is sold. What workers serve beside is not told: they may
 * name that as they like.
 */
export interface ModelLoadMetrics {
  modelRunning(model: string, running: number): void;
  /** It is not sold any more. */
  modelLeft(model: string): void;
}

export class ModelLoad {
  private readonly counted = new Map<string, number>();
  private readonly isSold: (model: string) => boolean;
  private readonly metrics: ModelLoadMetrics;

  constructor(isSold: (model: string) => boolean, metrics: ModelLoadMetrics) {
    this.isSold = isSold;
    this.metrics = metrics;
  }

  tell(workers: Iterable<{ models: readonly string[]; running: number }>): void {
    for (const model of this.counted.keys()) {
      if (this.isSold(model)) this.counted.set(model, 0);
      else {
        this.counted.delete(model);
        this.metrics.modelLeft(model);
      }
    }
    for (const { models, running } of workers) {
      // Where a worker serves several (a base and its adapters), they share it.
      for (const model of models)
        if (this.isSold(model)) this.counted.set(model, (this.counted.get(model) ?? 0) + running);
    }
    for (const [model, running] of this.counted) this.metrics.modelRunning(model, running);
  }
}
