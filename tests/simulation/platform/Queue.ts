/** What is to happen, by time; at the same time, in the order in which it was planned. A binary heap. */
import type { Host } from "./Host.ts"

export class Scheduled {
  readonly at: number
  readonly order: number
  readonly task: () => void
  readonly host: Host | undefined
  isCancelled = false

  constructor(at: number, order: number, task: () => void, host: Host | undefined) {
    this.at = at
    this.order = order
    this.task = task
    this.host = host
  }

  cancel(): void {
    this.isCancelled = true
  }
}

export class Queue {
  readonly #heap: Array<Scheduled> = []
  #count = 0

  add(at: number, task: () => void, host: Host | undefined): Scheduled {
    const event = new Scheduled(at, this.#count++, task, host)
    const heap = this.#heap
    let index = heap.push(event) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = event
    return event
  }

  /** The next that is to happen until then, of hosts that live. */
  take(until: number): Scheduled | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined) return undefined
      const isOver = first.isCancelled || first.host?.isAlive === false
      if (!isOver && first.at > until) return undefined
      this.#remove()
      if (!isOver) return first
    }
  }

  #remove(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

const isBefore = (a: Scheduled, b: Scheduled): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
