/** Seeded randomness for simulations: mulberry32 and the few distributions that workloads need. */
export interface RandomSource {
  uniform(): number;
  exponential(mean: number): number;
  /** Log-normal with the given median and sigma of the logarithm. */
  logNormal(median: number, sigma: number): number;
  integer(below: number): number;
}

export function seededSource(seed: number): RandomSource {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return {
    uniform,
    exponential: (mean) => -Math.log(1 - uniform()) * mean,
    logNormal: (median, sigma) => median * Math.exp(sigma * normal()),
    integer: (below) => Math.floor(uniform() * below),
  };
}
