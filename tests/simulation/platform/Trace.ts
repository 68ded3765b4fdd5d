/** What happened, in order: always as a hash, by which two runs are compared; as lines where they are wanted. */
export class Trace {
  readonly lines: Array<string> | undefined
  #high = 0x811c9dc5
  #low = 0x1b873593

  constructor(keepsLines: boolean) {
    this.lines = keepsLines ? [] : undefined
  }

  /** `detail` is hashed whole and shown cut. */
  note(now: number, what: string, detail = ""): void {
    this.#add(what)
    this.#add(detail)
    this.#high = Math.imul(this.#high ^ Math.round(now * 1_000), 0x01000193)
    this.lines?.push(
      `${now.toFixed(2).padStart(11)}  ${what}${detail === "" ? "" : `  ${detail.slice(0, 400)}`}`,
    )
  }

  get hash(): string {
    return [this.#high, this.#low].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("")
  }

  #add(text: string): void {
    let high = this.#high
    let low = this.#low
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      high = Math.imul(high ^ code, 0x01000193)
      low = Math.imul(low ^ code, 0x85ebca6b) + (low >>> 13)
    }
    this.#high = high
    this.#low = low
  }
}
