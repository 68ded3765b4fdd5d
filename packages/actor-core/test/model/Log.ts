/** What can be seen of a system of actors, in streams: each in order, one beside the other. */
export class Log {
  #streams = new Map<string, Array<string>>()

  add(stream: string, line: string): void {
    const lines = this.#streams.get(stream)
    if (lines === undefined) this.#streams.set(stream, [line])
    else lines.push(line)
  }

  /** What came since the last time. Ends of asks and offers come in no order among themselves. */
  take(): { readonly [stream: string]: ReadonlyArray<string> } {
    const streams = [...this.#streams].toSorted(([a], [b]) => (a < b ? -1 : 1))
    this.#streams = new Map()
    return Object.fromEntries(
      streams.map(([stream, lines]) => [stream, stream === "ends" ? lines.toSorted() : lines]),
    )
  }
}
