/**
 * Blocks with their tokens, in the order of their last use. A Map keeps an order too, but moving an entry to its end means
 * to delete and insert it (measured: most of what the books of a request cost); here it is a few pointers.
 */
export class BlockList {
  private readonly nodes = new Map<number, Node>();
  /** Its `newer` is the block that was used longest ago, its `older` the newest. */
  private readonly ends: Node = newNode(-1, 0);
  /** Of all blocks together. */
  tokens = 0;

  has(hash: number): boolean {
    return this.nodes.has(hash);
  }

  /** Makes a block the newest; false: it is not here. */
  use(hash: number): boolean {
    const node = this.nodes.get(hash);
    if (node === undefined) return false;
    unlink(node);
    this.append(node);
    return true;
  }

  /** Adds one that is not here, as the newest. */
  add(hash: number, tokens: number): void {
    const node = newNode(hash, tokens);
    this.nodes.set(hash, node);
    this.append(node);
    this.tokens += tokens;
  }

  /** False: it was not here. */
  delete(hash: number): boolean {
    const node = this.nodes.get(hash);
    if (node === undefined) return false;
    this.nodes.delete(hash);
    unlink(node);
    this.tokens -= node.tokens;
    return true;
  }

  /** Takes the block out that was used longest ago; null: there is none. */
  shift(): number | null {
    const { hash } = this.ends.newer;
    return this.delete(hash) ? hash : null;
  }

  hashes(): Iterable<number> {
    return this.nodes.keys();
  }

  clear(): void {
    this.nodes.clear();
    this.ends.older = this.ends;
    this.ends.newer = this.ends;
    this.tokens = 0;
  }

  private append(node: Node): void {
    const { ends } = this;
    node.older = ends.older;
    node.newer = ends;
    ends.older.newer = node;
    ends.older = node;
  }
}

interface Node {
  readonly hash: number;
  readonly tokens: number;
  older: Node;
  newer: Node;
}

function newNode(hash: number, tokens: number): Node {
  const node = { hash, tokens } as Node;
  node.older = node;
  node.newer = node;
  return node;
}

function unlink(node: Node): void {
  node.older.newer = node.newer;
  node.newer.older = node.older;
}
