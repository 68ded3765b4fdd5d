/** What has arrived and not been looked at yet. Waiting is for a thing, and bounded. */

/** Generous, as machines that run tests are slow; nothing waits this long unless a test fails. */
export const PATIENCE = 10_000

interface Waiter<A> {
  readonly matches: (item: A) => boolean
  readonly resolve: (item: A) => void
  readonly reject: (error: Error) => void
}

export class Inbox<A> {
  private items: Array<A> = []
  private readonly waiters = new Set<Waiter<A>>()
  private ended: string | undefined

  put(item: A): void {
    for (const waiter of this.waiters) {
      if (!waiter.matches(item)) continue
      this.waiters.delete(waiter)
      waiter.resolve(item)
      return
    }
    this.items.push(item)
  }

  /** Nothing more will come: whoever waits is told why. */
  end(reason: string): void {
    this.ended = reason
    for (const waiter of this.waiters) waiter.reject(new Error(reason))
    this.waiters.clear()
  }

  /** Takes the first item that matches, waiting for it where it isn't there yet. */
  take(what: string, matches: (item: A) => boolean, patience: number = PATIENCE): Promise<A> {
    const index = this.items.findIndex(matches)
    if (index >= 0) return Promise.resolve(this.items.splice(index, 1)[0]!)
    if (this.ended !== undefined)
      return Promise.reject(new Error(`${what} did not come: ${this.ended}; ${this.seen()}`))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(waiter)
        reject(new Error(`${what} did not come within ${patience} ms; ${this.seen()}`))
      }, patience)
      const waiter: Waiter<A> = {
        matches,
        resolve: (item) => {
          clearTimeout(timer)
          resolve(item)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(new Error(`${what} did not come: ${error.message}; ${this.seen()}`))
        },
      }
      this.waiters.add(waiter)
    })
  }

  /** Takes everything that is there. */
  takeAll(): Array<A> {
    const all = this.items
    this.items = []
    return all
  }

  private seen(): string {
    const text = JSON.stringify(this.items)
    return `the inbox holds ${text.length > 1_500 ? `${text.slice(0, 1_500)}…` : text}`
  }
}
