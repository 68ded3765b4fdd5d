/** The work. A page with more to do than this would leave it to a Web Worker. */

/** How many primes there are from `from` up to, and not including, `to`. */
export const primesIn = (from: number, to: number): number => {
  let primes = 0
  for (let n = from; n < to; n++) if (isPrime(n)) primes++
  return primes
}

const isPrime = (n: number): boolean => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
  return n > 1
}
