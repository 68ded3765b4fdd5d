/**
 * Randomness from a seed, in streams by name: what one part draws changes nothing for another, so that a
 * life with a step less goes on much as it did.
 */
export class Random {
  readonly #name: string
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(name: string) {
    this.#name = name
    const words = hashed(name)
    this.#a = words[0]
    this.#b = words[1]
    this.#c = words[2]
    this.#d = words[3]
    for (let i = 0; i < 12; i++) this.word()
  }

  /** A stream of its own, the same for the same name. */
  fork(name: string): Random {
    return new Random(`${this.#name}/${name}`)
  }

  /** 32 bits: sfc32. */
  word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + sum) | 0
    return sum >>> 0
  }

  /** From 0 to below 1. */
  next(): number {
    return this.word() / 2 ** 32
  }

  /** A whole number from 0 to below `below`. */
  below(below: number): number {
    return Math.floor(this.next() * below)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<A>(list: ReadonlyArray<A>): A {
    return list[this.below(list.length)]!
  }

  /** One of these, as often as its weight says. */
  weighted<A extends string>(weights: { readonly [name in A]: number }): A {
    const entries = Object.entries<number>(weights)
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      left -= weight
      if (left < 0) return name as A
    }
    return entries[0]![0] as A
  }

  /** Milliseconds as networks and disks take them: mostly about `usual`, now and then far more. */
  delay(usual: number, rarely: number): number {
    const spread = this.next()
    return this.chance(0.03) ? spread * rarely : spread * usual
  }

  bytes(array: Uint8Array): void {
    for (let i = 0; i < array.length; i++) array[i] = this.word() & 0xff
  }

  uuid(): string {
    const hex = Array.from({ length: 4 }, () => this.word().toString(16).padStart(8, "0")).join("")
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`
  }
}

/** Four words that each depend on the whole text: cyrb128. */
const hashed = (text: string): readonly [number, number, number, number] => {
  let a = 1_779_033_703
  let b = 3_144_134_277
  let c = 1_013_904_242
  let d = 2_773_480_762
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = b ^ Math.imul(a ^ code, 597_399_067)
    b = c ^ Math.imul(b ^ code, 2_869_860_233)
    c = d ^ Math.imul(c ^ code, 951_274_213)
    d = a ^ Math.imul(d ^ code, 2_716_044_179)
  }
  return [a ^ b, b ^ c, c ^ d, d ^ a]
}
