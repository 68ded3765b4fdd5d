/**
 * What a system of actors does, as simply as it can be said: one turn of one actor at a time, on plain
 * arrays, with everything that follows from it at once. The reference that the runtime is compared with.
 */
import { Log } from "./Log.ts"
import { INTENSITY, MOST_ACTORS, PATIENCE, type Act, type How, type Job, type Op } from "./Program.ts"

class Actor {
  readonly name: string
  readonly how: How
  readonly parent: Actor | null
  children: Array<Actor> = []
  status: "new" | "ready" | "suspended" | "stopping" | "stopped" = "new"
  /** Counts what does not outlive a restart: what belongs to an older one is nothing any more. */
  life = 1
  starts = 0
  /** Whether its behavior is made. */
  made = false
  /** Whether what it acquired at this start is still to be released. */
  acquired = false
  mode = 0
  n = 0
  become: number | null = null
  mailbox: Array<Message> = []
  /** Messages that wait for room, and who waits with them. */
  offers: Array<{ readonly message: Message; readonly taken: (refusal: string | null) => void }> = []
  stashed: Array<Message> = []
  /** What the runtime has to tell it, before messages. */
  tasks: Array<() => void> = []
  current: Message | null = null
  /** The job whose gate is still closed. */
  held: Job | null = null
  stopRequested = false
  reason = "stopped"
  /** In the order they were taken over; those at the front may be answered already. */
  owed: Array<Message> = []
  unsettled = new Map<Message, Ask>()
  watches = new Map<Actor, object>()
  watchers: Array<{ readonly tell: (reason: string) => void }> = []
  timers = new Map<number, Timer>()
  /** Asks of its own that it waits for. */
  pipes = new Set<Ask>()
  restarts: Array<number> = []

  constructor(name: string, how: How, parent: Actor | null) {
    this.name = name
    this.how = how
    this.parent = parent
  }
}

interface Message {
  readonly name: "do" | "ask" | "got"
  readonly job: Job | null
  readonly text: string
  readonly from: Actor | null
  readonly deadline: number
  /** The life of its receiver that it ends with. */
  life: number | null
  /** Waits for its answer; nobody does, or no longer. */
  ask: Ask | null
  state: "waiting" | "taken" | "cancelled"
}

interface Deadline {
  readonly at: number
  readonly fire: () => void
}

interface Timer {
  readonly deadline: Deadline
  message: Message | null
}

interface Ask {
  readonly message: Message
  holder: Actor
  deadline: Deadline | null
  ended: boolean
  readonly end: (outcome: string) => void
}

export class Model {
  readonly log = new Log()
  readonly #actors: Array<Actor> = []
  #roots: Array<Actor> = []
  readonly #asks: Array<Ask | null> = []
  readonly #attempts = new Map<number, number>()
  #deadlines: Array<Deadline> = []
  #now = 0
  /** What is told a moment later, when the turn is over: not in the middle of a handler. */
  #soon: Array<() => void> = []

  // -- from outside

  perform(op: Exclude<Op, { op: "turns" }>): void {
    const to = "to" in op ? this.#target(op.to) : undefined
    switch (op.op) {
      case "spawn":
        this.#spawn(null, op.how)
        break
      case "tell":
        this.#tell(null, to!, op.job, op.ttl === null ? Infinity : this.#now + op.ttl)
        break
      case "ask":
        this.#asks.push(
          this.#ask(null, to!, op.job, op.timeout, (end) => this.log.add("ends", `j${op.job.id} ${end}`)),
        )
        break
      case "offer":
        this.#offer(to!, op.job)
        break
      case "stop":
        this.#stop(to!, "stopped")
        break
      case "watch": {
        const told = (reason: string) => this.log.add("ends", `watched ${to!.name} ${reason}`)
        if (to!.status === "stopped") told("unknown")
        else to!.watchers.push({ tell: told })
        break
      }
      case "open":
        this.#open(to!)
        break
      case "giveUp": {
        const ask = this.#asks[op.to % this.#asks.length]
        if (ask != null && !ask.ended) {
          this.#end(ask, "interrupted")
          this.#cancel(ask)
        }
        break
      }
      case "wait":
        this.#wait(op.millis)
    }
    this.#settle()
  }

  shutdown(): void {
    while (this.#roots.length > 0) this.#stop(this.#roots[0]!, "stopped")
    this.#settle()
  }

  /** The actors that have something to do. */
  ready(): ReadonlyArray<string> {
    return this.#actors
      .filter(
        (actor) =>
          actor.status === "new" ||
          (actor.status === "ready" && actor.held === null && actor.mailbox.length + actor.tasks.length > 0),
      )
      .map(({ name }) => name)
  }

  /** Whether the actor is at a message whose end somebody else decides. */
  waiting(): ReadonlyArray<number> {
    return this.#actors.flatMap(({ held }, who) => (held === null ? [] : [who]))
  }

  /** One turn: whatever the runtime has to say, and one message. */
  turn(name: string): void {
    const actor = this.#actors.find((one) => one.name === name)!
    if (actor.status === "new") {
      actor.status = "ready"
      this.#make(actor)
    }
    while (actor.status === "ready" && actor.held === null) {
      const task = actor.tasks.shift()
      if (task === undefined) {
        const message = this.#take(actor)
        if (message !== undefined) this.#handle(actor, message)
        break
      }
      task()
    }
    this.#settle()
  }

  #target(to: number): Actor {
    return this.#actors[to % this.#actors.length]!
  }

  #settle(): void {
    for (let task = this.#soon.shift(); task !== undefined; task = this.#soon.shift()) task()
  }

  #wait(millis: number): void {
    const until = this.#now + millis
    for (;;) {
      const due = this.#deadlines.filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#now = Math.max(this.#now, due.at)
      this.#clear(due)
      due.fire()
    }
    this.#now = until
  }

  #at(at: number, fire: () => void): Deadline {
    const deadline = { at, fire }
    this.#deadlines.push(deadline)
    return deadline
  }

  #clear(deadline: Deadline | null): void {
    this.#deadlines = this.#deadlines.filter((one) => one !== deadline)
  }

  #dead(reason: string, { name, text }: Message): void {
    this.log.add("dead", `${reason} ${name} ${text}`)
  }

  #say({ name }: Actor, line: string): void {
    this.log.add(name, line)
  }

  #event({ name }: Actor, what: string): void {
    this.log.add("events", `${name} ${what}`)
  }

  // -- messages

  #spawn(parent: Actor | null, how: How): void {
    if (this.#actors.length >= MOST_ACTORS) return
    const actor = new Actor(`a${this.#actors.length}`, how, parent)
    this.#actors.push(actor)
    this.#family(actor).push(actor)
  }

  #family({ parent }: Actor): Array<Actor> {
    return parent === null ? this.#roots : parent.children
  }

  #tell(from: Actor | null, to: Actor, job: Job, deadline: number): void {
    const message = makeMessage("do", job, from, { deadline })
    if (to.status === "stopped") this.#dead("undeliverable", message)
    else this.#deliver(to, message)
  }

  #ask(from: Actor | null, to: Actor, job: Job, timeout: number, end: (outcome: string) => void): Ask | null {
    if (to.status === "stopped") {
      end("UnknownActor")
      return null
    }
    const message = makeMessage("ask", job, from, { deadline: this.#now + timeout })
    const ask: Ask = { message, holder: to, deadline: null, ended: false, end }
    message.ask = ask
    ask.deadline = this.#at(this.#now + timeout, () => {
      this.#cancel(ask)
      this.#end(ask, "AskTimeout")
    })
    this.#deliver(to, message)
    return ask
  }

  /** An ask ends once. */
  #end(ask: Ask | null, outcome: string): void {
    if (ask === null || ask.ended) return
    ask.ended = true
    this.#clear(ask.deadline)
    ask.end(outcome)
  }

  /** Nobody waits for the answer any more. */
  #cancel({ holder, message }: Ask): void {
    message.state = "cancelled"
    message.ask = null
    holder.offers = holder.offers.filter((offer) => offer.message !== message)
    holder.unsettled.delete(message)
    if (holder.current === message && holder.held !== null) {
      this.#say(holder, `interrupted j${holder.held.id}`)
      this.#endTurn(holder)
    }
  }

  #deliver(to: Actor, message: Message): void {
    const { capacity, overflow } = to.how
    if (to.status === "stopping") return this.#drop("terminated", message)
    if (capacity === null || to.mailbox.length < capacity) return void to.mailbox.push(message)
    if (overflow === "backpressure" && message.ask !== null) {
      const taken = (refusal: string | null) => {
        if (refusal !== null) this.#drop(refusal, message)
      }
      to.offers.push({ message, taken })
    } else if (overflow === "drop-oldest") {
      const oldest = to.mailbox.shift()!
      to.mailbox.push(message)
      if (oldest.state === "waiting") this.#drop("mailbox_full", oldest)
    } else this.#drop("mailbox_full", message)
  }

  #offer(to: Actor, job: Job): void {
    const message = makeMessage("do", job, null, {})
    const taken = (refusal: string | null): void => this.log.add("ends", `j${job.id} ${refusal ?? "taken"}`)
    if (to.status === "stopped") {
      this.#dead("undeliverable", message)
      return taken("undeliverable")
    }
    const { capacity, overflow } = to.how
    if (capacity === null || to.mailbox.length < capacity || overflow.startsWith("drop")) {
      this.#deliver(to, message)
      taken(null)
    } else if (overflow === "fail") taken("mailbox_full")
    else to.offers.push({ message, taken })
  }

  #take(actor: Actor): Message | undefined {
    const message = actor.mailbox.shift()
    if (message === undefined || actor.mailbox.length >= (actor.how.capacity ?? Infinity)) return message
    const offer = actor.offers.shift()
    if (offer !== undefined) {
      actor.mailbox.push(offer.message)
      offer.taken(null)
    }
    return message
  }

  /** It is not handled: who asked hears why, what was told is a dead letter. */
  #drop(reason: string, message: Message): void {
    const { ask } = message
    message.state = "taken"
    message.ask = null
    if (ask === null) this.#dead(reason, message)
    else this.#end(ask, reason === "terminated" ? "ActorTerminated" : `ActorFailed ${reason}`)
  }

  // -- a turn

  #handle(actor: Actor, message: Message): void {
    if (message.state === "cancelled") return
    if (message.life !== null && message.life !== actor.life) return
    if (this.#now >= message.deadline) return this.#drop("expired", message)
    message.state = "taken"
    actor.current = message
    const { job, name } = message
    if (job === null) {
      this.#say(actor, `got ${message.text} n=${++actor.n} mode=${actor.mode}`)
      return this.#endTurn(actor)
    }
    const attempt = (this.#attempts.get(job.id) ?? 0) + 1
    this.#attempts.set(job.id, attempt)
    this.#say(actor, `${name} j${job.id} n=${++actor.n} mode=${actor.mode} from=${message.from?.name ?? "-"}`)
    for (const act of job.acts) if (!this.#act(actor, act, attempt)) return this.#failed(actor, false)
    if (job.held) actor.held = job
    else this.#conclude(actor, job)
  }

  /** How the job ends. */
  #conclude(actor: Actor, job: Job): void {
    if (job.end !== "return") return this.#failed(actor, job.end === "refuse")
    const { current } = actor
    const ask = takeAnswer(current)
    if (current?.state === "cancelled") this.#dead("late_answer", current)
    this.#endTurn(actor)
    this.#end(ask, `= v${job.id}`)
  }

  #open(actor: Actor): void {
    const job = actor.held
    if (job === null) return
    actor.held = null
    this.#conclude(actor, job)
  }

  /** Whether it went well. */
  #act(actor: Actor, act: Act, attempt: number): boolean {
    const to = "to" in act ? this.#target(act.to) : actor
    const { current } = actor
    switch (act.do) {
      case "tell":
        this.#tell(actor, to, act.job, Infinity)
        return true
      case "ask":
        this.#pipe(actor, to, act.job)
        return true
      case "timer":
        this.#setTimer(actor, act)
        return true
      case "cancelTimer":
        this.#cancelTimer(actor, 0)
        return true
      case "spawn":
        this.#spawn(actor, act.how)
        return true
      case "watch":
        this.#watch(actor, to)
        return true
      case "unwatch":
        actor.watches.delete(to)
        return true
      case "stopChild":
        if (to === actor) actor.stopRequested = true
        else if (to.parent === actor) this.#stop(to, "stopped")
        return true
      case "forward":
        return attempt > 1 || (current !== null && this.#forward(actor, current, to))
      case "stopSelf":
        actor.stopRequested = true
        return true
      case "stash":
        if (attempt > PATIENCE) return true
        if (current === null || actor.stashed.length >= actor.how.stash) return false
        actor.stashed.push(current)
        actor.current = null
        return true
      case "unstash":
        this.#unstash(actor)
        return true
      case "become":
        actor.become = actor.mode + 1
        return true
      case "reply": {
        if (current === null) return false
        const ask = takeAnswer(current)
        if (ask === null) this.#dead("late_answer", current)
        this.#soon.push(() => this.#end(ask, "= reply"))
        return true
      }
      case "replyLater":
        if (current === null) return false
        actor.owed.push(current)
        if (current.ask !== null) actor.unsettled.set(current, current.ask)
        current.ask = null
        return true
      case "settle":
        this.#answerTwice(actor, actor.owed.shift())
        return true
    }
  }

  #answerTwice(actor: Actor, message: Message | undefined): void {
    if (message === undefined) return
    const ask = actor.unsettled.get(message) ?? null
    actor.unsettled.delete(message)
    if (ask === null) this.#dead("late_answer", message)
    this.#soon.push(() => this.#end(ask, "= settled"))
    this.#dead("late_answer", message)
  }

  #forward(actor: Actor, message: Message, to: Actor): boolean {
    actor.current = null
    const { ask } = message
    if (message.name === "ask" && ask === null) {
      this.#dead("late_answer", message)
    } else if (to.status === "stopped") {
      message.ask = null
      if (ask === null) this.#dead("undeliverable", message)
      else this.#end(ask, "UnknownActor")
    } else {
      message.state = "waiting"
      message.life = null
      if (ask !== null) ask.holder = to
      this.#deliver(to, message)
    }
    return true
  }

  #pipe(actor: Actor, to: Actor, job: Job): void {
    const { life } = actor
    let asked: Ask | null = null
    const end = (outcome: string): void => {
      if (asked !== null) actor.pipes.delete(asked)
      if (actor.life !== life || actor.status === "stopped" || actor.status === "stopping") return
      this.#deliver(actor, { ...makeMessage("got", null, actor, { life }), text: `j${job.id} ${outcome}` })
    }
    asked = this.#ask(actor, to, job, 20, end)
    if (asked !== null && !asked.ended) actor.pipes.add(asked)
  }

  #watch(actor: Actor, to: Actor): void {
    if (to === actor || actor.watches.has(to)) return
    const entry = {}
    actor.watches.set(to, entry)
    const tell = (reason: string): void => {
      if (actor.watches.get(to) !== entry) return
      actor.tasks.push(() => {
        if (actor.watches.get(to) !== entry) return
        actor.watches.delete(to)
        if (actor.how.pact) this.#failed(actor, false)
        else {
          this.#say(actor, `terminated ${to.name} ${reason}`)
          this.#endTurn(actor)
        }
      })
    }
    if (to.status === "stopped") this.#soon.push(() => tell("unknown"))
    else to.watchers.push({ tell })
  }

  #setTimer(actor: Actor, { delay, job, key }: Extract<Act, { do: "timer" }>): void {
    this.#cancelTimer(actor, key)
    const timer: Timer = {
      message: null,
      deadline: this.#at(this.#now + delay, () => {
        timer.message = makeMessage("do", job, actor, { life: actor.life })
        this.#deliver(actor, timer.message)
      }),
    }
    actor.timers.set(key, timer)
  }

  #cancelTimer(actor: Actor, key: number): void {
    const timer = actor.timers.get(key)
    if (timer === undefined) return
    actor.timers.delete(key)
    this.#clear(timer.deadline)
    if (timer.message?.state === "waiting") timer.message.state = "cancelled"
  }

  #unstash(actor: Actor): void {
    const back = actor.stashed.splice(0).filter(({ state }) => state !== "cancelled")
    for (const message of back) message.state = "waiting"
    actor.mailbox.unshift(...back)
  }

  #endTurn(actor: Actor): void {
    actor.current = null
    actor.held = null
    if (actor.stopRequested) return this.#stop(actor, "stopped")
    if (actor.become === null || actor.status !== "ready") return
    actor.mode = actor.become
    actor.become = null
    actor.n = 0
    this.#say(actor, `become ${actor.mode}`)
  }

  /** The behavior, anew. */
  #make(actor: Actor, then = () => {}): void {
    actor.owed = []
    this.#say(actor, `start ${++actor.starts}`)
    actor.acquired = true
    if (actor.starts === actor.how.badStart) return this.#failed(actor, false)
    actor.made = true
    actor.mode = 0
    actor.n = 0
    this.#endTurn(actor)
    then()
  }

  // -- failures

  #failed(actor: Actor, typed: boolean): void {
    const message = actor.current
    const ask = takeAnswer(message)
    if (ask !== null && typed) {
      this.#endTurn(actor)
      return this.#end(ask, "Bad")
    }
    this.#event(actor, "failed")
    if (message !== null) this.#dead("failed", message)
    this.#fail(actor)
    this.#end(ask, "ActorFailed actor_failed")
  }

  #fail(actor: Actor): void {
    actor.current = null
    actor.held = null
    if (actor.stopRequested) return this.#stop(actor, "stopped")
    switch (actor.how.supervision) {
      case "resume":
        if (!actor.made) return this.#stop(actor, "failed")
        return this.#endTurn(actor)
      case "stop":
        return this.#stop(actor, "failed")
      case "escalate":
        return this.#escalate(actor)
      default:
        return this.#restart(actor)
    }
  }

  #escalate(actor: Actor): void {
    const { parent } = actor
    if (parent === null) return this.#stop(actor, "failed")
    actor.status = "suspended"
    parent.tasks.push(() => {
      if (actor.status !== "suspended") return
      this.#fail(parent)
      // The parent went on as it was, and so does the child.
      if (parent.status !== "ready" || actor.status !== "suspended") return
      actor.status = "ready"
      if (actor.made) this.#endTurn(actor)
      else this.#stop(actor, "failed")
    })
  }

  #restart(actor: Actor): void {
    actor.status = "suspended"
    actor.restarts = actor.restarts.filter((at) => at > this.#now - INTENSITY.within)
    if (actor.restarts.length >= INTENSITY.restarts) {
      if (actor.how.exhausted === "stop") this.#stop(actor, "failed")
      else this.#escalate(actor)
      return
    }
    actor.restarts.push(this.#now)
    const family = this.#family(actor)
    const { supervision } = actor.how
    const group = family.filter(
      (one, index) =>
        one === actor ||
        ((one.status === "ready" || one.status === "new") &&
          (supervision === "one-for-all" ||
            (supervision === "rest-for-one" && index > family.indexOf(actor)))),
    )
    for (const one of group) one.status = "suspended"
    // One may stop as what it was at ends with another's life.
    for (const one of group.toReversed()) if (one.status === "suspended") this.#endLife(one, "preRestart")
    for (const one of group) {
      if (one.status !== "suspended") continue
      one.status = "ready"
      one.become = null
      this.#unstash(one)
      this.#event(one, "restarted")
      this.#make(one, () => {
        const { life } = one
        one.tasks.push(() => {
          if (one.life !== life) return
          this.#say(one, `postRestart n=${one.n}`)
          this.#endTurn(one)
        })
      })
    }
  }

  // -- ends

  /** What does not outlive a restart ends. */
  #endLife(actor: Actor, hook: "preRestart" | "postStop"): void {
    this.#end(takeAnswer(actor.current), "ActorTerminated")
    const { held } = actor
    actor.current = null
    actor.held = null
    for (const key of actor.timers.keys()) this.#cancelTimer(actor, key)
    actor.watches.clear()
    const pipes = [...actor.pipes]
    const unsettled = [...actor.unsettled.values()]
    actor.pipes.clear()
    actor.unsettled.clear()
    actor.life++
    for (const ask of pipes) {
      this.#end(ask, "interrupted")
      this.#cancel(ask)
    }
    for (const ask of unsettled) this.#end(ask, "ActorTerminated")
    if (held !== null) this.#say(actor, `interrupted j${held.id}`)
    for (const child of actor.children.toReversed()) this.#stop(child, "stopped")
    if (actor.made) this.#say(actor, `${hook} n=${actor.n}`)
    if (actor.acquired) this.#say(actor, `released ${actor.starts}`)
    actor.made = false
    actor.acquired = false
  }

  #stop(actor: Actor, reason: string): void {
    if (actor.status === "stopping" || actor.status === "stopped") return
    actor.status = "stopping"
    actor.tasks = []
    for (const message of [...actor.stashed.splice(0), ...actor.mailbox.splice(0)]) {
      if (message.state !== "cancelled" && message.life === null) this.#drop("terminated", message)
    }
    for (const { taken } of actor.offers.splice(0)) taken("terminated")
    this.#endLife(actor, "postStop")
    actor.status = "stopped"
    const family = this.#family(actor)
    family.splice(family.indexOf(actor), 1)
    this.#event(actor, `stopped ${reason}`)
    for (const { tell } of actor.watchers.splice(0)) tell(reason)
  }
}

const makeMessage = (
  name: Message["name"],
  job: Job | null,
  from: Actor | null,
  { deadline = Infinity, life }: { readonly deadline?: number; readonly life?: number },
): Message => ({
  name,
  job,
  text: `j${job?.id}`,
  from,
  deadline,
  life: life ?? null,
  ask: null,
  state: "waiting",
})

/** The answer, for who gives it: nobody gives it after. */
const takeAnswer = (message: Message | null): Ask | null => {
  const ask = message?.ask ?? null
  if (message !== null) message.ask = null
  return ask
}
