/**
 * What was promised and what came of it: every message of a run, from its sending to its end, and every rule
 * that is broken on the way. Knows clients by their names only. A process is one run of a client: what is said
 * of "each process" is said of these.
 */

/** How a message was sent: what its sender is told of it. */
export type Kind =
  /** Reliable; its sender hears of it only where it fails. */
  | "tell"
  /** Reliable; its sender hears that the hub has it. */
  | "acknowledged"
  /** Reliable; its sender hears its answer. */
  | "ask"

/** What a message carries. */
export interface Mark {
  /** The process that sent it. */
  readonly by: string
  readonly to: string
  /** From 1, without gaps, for each sender and receiver; volatile messages are counted apart. */
  readonly n: number
  readonly volatile: boolean
}

export interface Message extends Mark {
  readonly kind: Kind
  /** The latest epoch of the receiver that anybody knew of when it was sent. */
  readonly epochThen: number
  /** The sessions that it was delivered to: a process that takes its identity back has another than before. */
  readonly deliveredTo: Array<string>
  /** What its sender was told at last; `undefined`: nothing yet. */
  outcome: "acknowledged" | "answered" | "reported" | undefined
  readonly history: Array<Moment>
}

export interface Moment {
  readonly at: number
  readonly what: string
}

export interface Violation {
  readonly rule: string
  readonly message: Message | undefined
  readonly detail: string
}

export interface ProcessRecord {
  readonly name: string
  readonly identity: string
  /** Crashed: what it knew is gone. */
  died: boolean
  epoch: number
  session: number
  /** The last number delivered to it in this session, by sender and class. */
  readonly last: Map<string, number>
  /** Failures that it was told of tells, which name no message that it knows. */
  refusals: number
}

const MOST_VIOLATIONS = 20

export class Ledger {
  readonly violations: Array<Violation> = []
  readonly #messages = new Map<string, Message>()
  readonly #processes = new Map<string, ProcessRecord>()
  /** Of each identity: the epochs that its processes were given, by whom. */
  readonly #epochs = new Map<string, Map<number, string>>()
  /** The next number, by sender, receiver and class. */
  readonly #next = new Map<string, number>()
  /** What happened to identities, and to all (`""`). */
  readonly timelines = new Map<string, Array<Moment>>()
  readonly #began = performance.now()
  #volatiles = 0
  #volatilesDelivered = 0
  #deliveries = 0
  #resumes = 0

  /** A process begins to speak for an identity. */
  began(process: string, identity: string): void {
    this.#processes.set(process, {
      name: process,
      identity,
      died: false,
      epoch: 0,
      session: 0,
      last: new Map(),
      refusals: 0,
    })
    this.note(identity, `${process} begins`)
  }

  /** It crashed: nobody is left who could be told anything. */
  died(process: string): void {
    const record = this.process(process)
    record.died = true
    this.note(record.identity, `${process} crashes`)
  }

  /** Something happened, to this identity or, `""`, to all. */
  note(identity: string, what: string): void {
    let timeline = this.timelines.get(identity)
    if (timeline === undefined) this.timelines.set(identity, (timeline = []))
    timeline.push({ at: this.#now(), what })
  }

  /** The hub accepted a connection of the process, in this epoch. */
  connected(process: string, epoch: number, how: string): void {
    const record = this.process(process)
    if (record.died) return
    if (how === "resumed") this.#resumes++
    else {
      record.session++
      // Who takes its identity back may be handed what it had, and had not acknowledged, before it lost it.
      record.last.clear()
    }
    this.note(record.identity, `${process} ${how} in epoch ${epoch}`)
    let epochs = this.#epochs.get(record.identity)
    if (epochs === undefined) this.#epochs.set(record.identity, (epochs = new Map()))
    const other = epochs.get(epoch)
    if (other !== undefined)
      this.violated(
        "one connection an epoch",
        undefined,
        `${other} and ${process} have epoch ${epoch} of ${record.identity}`,
      )
    if (epoch <= record.epoch)
      this.violated("epochs go up", undefined, `${process} has epoch ${epoch} after ${record.epoch}`)
    epochs.set(epoch, process)
    record.epoch = epoch
  }

  /** The last epoch of the identity that anybody knows of. */
  epochOf(identity: string): number {
    let last = 0
    for (const epoch of this.#epochs.get(identity)?.keys() ?? []) last = Math.max(last, epoch)
    return last
  }

  /** A volatile message leaves. */
  sendsVolatile(by: string, to: string): Mark {
    this.#volatiles++
    return { by, to, n: this.#number(by, to, true), volatile: true }
  }

  /** A reliable message leaves. */
  sends(by: string, to: string, kind: Kind): Message {
    const message: Message = {
      by,
      to,
      n: this.#number(by, to, false),
      volatile: false,
      kind,
      epochThen: this.epochOf(to),
      deliveredTo: [],
      outcome: undefined,
      history: [],
    }
    this.#messages.set(keyOf(message), message)
    this.#moment(message, `${by} sends it: ${kind}, to ${to}`)
    return message
  }

  /** Its sender was told how it ended. */
  ended(message: Message, outcome: "acknowledged" | "answered" | "reported", how: string): void {
    if (this.process(message.by).died) return
    this.#moment(message, `${message.by} is told: ${how}`)
    if (outcome === "answered" && message.deliveredTo.length === 0) {
      this.violated("who answers was asked", message, "it was answered, but delivered to nobody")
    }
    if (message.outcome !== "reported") message.outcome = outcome
  }

  /** An ask ran out of its time, though every fault ends long before. */
  timedOut(message: Message): void {
    this.violated("an ask is answered or fails in time", message, "it ran out of its time")
  }

  /** Its sender was told, by what it carries, that it may not have been delivered. */
  reported(mark: Mark, how: string): void {
    const message = this.#messages.get(keyOf(mark))
    if (message === undefined) return
    if (this.process(message.by).died) return
    message.outcome = "reported"
    this.#moment(message, `${message.by} is told: ${how}`)
  }

  /** The process was told of a failure of some tell that it can't name. */
  refused(process: string, why: string): void {
    const record = this.process(process)
    record.refusals++
    this.note(record.identity, `${process} is told of a failure: ${why}`)
  }

  /** A message came to the process. */
  delivered(process: string, mark: Mark): void {
    const record = this.process(process)
    if (record.died) return
    const lane = `${mark.by} ${mark.volatile}`
    const receiver = `${process}, session ${record.session}`
    const last = record.last.get(lane) ?? 0
    const message = mark.volatile ? undefined : this.#messages.get(keyOf(mark))
    if (!mark.volatile && message === undefined) {
      return this.violated("nothing comes that was not sent", undefined, JSON.stringify(mark))
    }
    if (mark.to !== record.identity) {
      this.violated(
        "a message goes to whom it is for",
        message,
        `${mark.to}: it came to ${process} of ${record.identity}`,
      )
    }
    if (message !== undefined) this.#moment(message, `it comes to ${process} in epoch ${record.epoch}`)
    if (mark.n <= last) {
      const again = message?.deliveredTo.includes(receiver) === true
      const name = mark.volatile ? " (volatile)" : ""
      this.violated(
        again ? "once to each process" : "in order",
        message,
        `number ${mark.n} of ${mark.by}${name} came to ${process} after ${last}`,
      )
    }
    record.last.set(lane, Math.max(last, mark.n))
    if (message === undefined) {
      this.#volatilesDelivered++
      return
    }
    this.#deliveries++
    if (record.epoch < message.epochThen) {
      this.violated(
        "an old epoch gets nothing new",
        message,
        `it came to ${process} in epoch ${record.epoch}; when it was sent, epoch ${message.epochThen} was known`,
      )
    }
    message.deliveredTo.push(receiver)
  }

  violated(rule: string, message: Message | undefined, detail: string): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push({ rule, message, detail })
  }

  /** Reliable messages so far, in the order in which they were sent. */
  get messages(): Iterable<Message> {
    return this.#messages.values()
  }

  get count(): number {
    return this.#messages.size
  }

  get deliveries(): number {
    return this.#deliveries
  }

  get resumes(): number {
    return this.#resumes
  }

  /** Messages of which the sender was told that they may not have been delivered. */
  get reports(): number {
    return [...this.#messages.values()].filter(({ outcome }) => outcome === "reported").length
  }

  get volatile(): { readonly sent: number; readonly delivered: number } {
    return { sent: this.#volatiles, delivered: this.#volatilesDelivered }
  }

  /** What is known of a process. */
  process(name: string): ProcessRecord {
    const record = this.#processes.get(name)
    if (record === undefined) throw new Error(`there is no process "${name}"`)
    return record
  }

  /** Those of which something is still to come. */
  unsettled(): ReadonlyArray<Message> {
    return [...this.#messages.values()].filter((message) => this.#isUnsettled(message))
  }

  #isUnsettled({ by, kind, outcome, deliveredTo }: Message): boolean {
    const sender = this.process(by)
    if (sender.died) return outcome === "acknowledged" && deliveredTo.length === 0
    if (kind !== "tell" && outcome === undefined) return true
    return outcome !== "reported" && kind !== "ask" && deliveredTo.length === 0
  }

  #moment(message: Message, what: string): void {
    message.history.push({ at: this.#now(), what })
  }

  #number(by: string, to: string, volatile: boolean): number {
    const lane = `${by} ${to} ${volatile}`
    const n = (this.#next.get(lane) ?? 0) + 1
    this.#next.set(lane, n)
    return n
  }

  #now(): number {
    return performance.now() - this.#began
  }
}

const keyOf = ({ by, to, n }: Mark): string => `${by} ${to} ${n}`
