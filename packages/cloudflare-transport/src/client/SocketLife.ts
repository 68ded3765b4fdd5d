/**
 * The life of one socket, from its opening to its end: `hub:connect`, the heartbeat, what it says as it
 * goes. Once ended, nothing that the socket does counts any more.
 */
import { AskError, type Envelope } from "@signal-hub/actor-core/vocabulary"
import { CLOSE_CODES, CloseCode, verdictOf, type Verdict } from "../protocol/CloseCode.ts"
import { PING, PONG, SUBPROTOCOL_JSON } from "../protocol/Frame.ts"
import type { Connected, ResumableSession, TokenRefreshed } from "../protocol/HubMessage.ts"
import { DEFAULT_HEARTBEAT_INTERVAL, DEFAULT_MAX_MESSAGE_SIZE } from "../protocol/Limits.ts"
import { PROTOCOL_VERSION } from "../protocol/Version.ts"
import type { Channel } from "./Channel.ts"
import type { ConnectTurn } from "./ConnectTurn.ts"
import { LoginRequired } from "./ClientError.ts"
import type { Emitter } from "./Emitter.ts"
import { Heartbeat, PONG_TIMEOUT } from "./Heartbeat.ts"
import { given } from "./Message.ts"
import type { ClientOptions } from "./Options.ts"
import type { SocketEvent, SocketLike } from "./Socket.ts"
import type { HubSession } from "./State.ts"
import { momentOf, passedSince, type Timers } from "./Timers.ts"
import { presentToken, type FetchToken } from "./Token.ts"

/** Milliseconds from opening the socket to `hub:connected`. */
const CONNECT_TIMEOUT = 5_000

/** A token is replaced when three quarters of its time are over, at most so many milliseconds before its end. */
const EARLIEST_REFRESH = 60_000
/** A token that ends within so many milliseconds is not replaced any more. */
const LATEST_REFRESH = 1_000

/** How an attempt ended. */
export interface Ended {
  readonly code: number
  readonly cause: string
  readonly verdict: Verdict
  /** When the hub accepted, monotonic milliseconds; `undefined` where it did not. */
  readonly connectedAt: number | undefined
  /** Milliseconds that the hub asked to wait. */
  readonly retryAfterMs: number | undefined
  /** With what the token provider ended all attempts. */
  readonly error?: LoginRequired
}

export interface AttemptOptions {
  readonly client: ClientOptions
  readonly channel: Channel
  readonly timers: Timers
  /** The token, or how one is fetched. */
  readonly token: string | FetchToken | undefined
  /** Says when it may be the one of its identity that connects. */
  readonly turn: ConnectTurn
  /** The hub accepted; the channel is live. */
  readonly onConnected: (session: HubSession, heartbeat: Heartbeat) => void
  /** A frame came. */
  readonly onHeard: () => void
  /** What the heartbeat says may have changed. */
  readonly onBeat: () => void
  /** Emits now and then: true where the machine slept before. */
  readonly looks: Emitter<boolean>
}

/** What a refusal of `hub:connect`, or the reason of a `hub:disconnect`, is as a close. */
const CODE_OF: { readonly [reason: string]: number } = {
  duplicate_connection: CloseCode.Superseded,
  unauthorized: CloseCode.Unauthorized,
  token_expired: CloseCode.Unauthorized,
  forbidden: CloseCode.Forbidden,
  address_in_use: CloseCode.Forbidden,
  version_mismatch: CloseCode.VersionMismatch,
  rate_limited: CloseCode.RateLimited,
  invalid_message: CloseCode.ProtocolViolation,
  invalid_address: CloseCode.ProtocolViolation,
}

const meaningOf = (code: number): string =>
  (CLOSE_CODES as { readonly [code: number]: { readonly meaning: string } })[code]?.meaning ??
  `the connection was closed with ${code}`

/** The cause of the end of a socket that never opened: a browser tells no more of it than its code. */
const unopened = (error: string): string =>
  `the socket closed before it was open${error && ` (${error})`}: the path may be none of a hub's, or an error page, a ` +
  "captive portal or a proxy answers, which may drop Sec-WebSocket-Protocol, the header of the subprotocol"

const positive = (value: number): number | undefined => (value > 0 ? value : undefined)

const withoutToken = (session: ResumableSession): HubSession["session"] => {
  const { resumeToken: _, ...told } = session
  return told
}

export class SocketLife {
  readonly #options: AttemptOptions
  readonly #socket: SocketLike
  readonly #token: string | undefined
  readonly #reclaim: boolean
  readonly #heartbeat: Heartbeat
  readonly #stops: ReadonlyArray<() => void>
  /** Cancels the wait for `hub:connected`. */
  readonly #disarm: () => void
  #disarmRefresh: () => void = () => {}
  /** Brings a new token where it is time, by either clock. */
  #refreshIfDue: () => void = () => {}
  #connectedAt: number | undefined
  #isOpen = false
  /** The words of the last error event, where the platform has some. */
  #error = ""
  /** The hub's own words before it closes. */
  #goodbye: { readonly code: number | undefined; readonly cause: string } | undefined
  #ended: Ended | undefined
  readonly #onEnd: (ended: Ended) => void

  constructor(
    options: AttemptOptions,
    socket: SocketLike,
    token: string | undefined,
    reclaim: boolean,
    onEnd: (ended: Ended) => void,
  ) {
    const { channel, timers } = options
    this.#onEnd = onEnd
    this.#options = options
    this.#token = token
    this.#reclaim = reclaim
    this.#socket = socket
    // A blob takes a promise to read. What gives bytes already, as `ws`, is left to give them uncopied.
    if (socket.binaryType === "blob") socket.binaryType = "arraybuffer"
    this.#heartbeat = new Heartbeat(
      timers,
      () => {
        if (socket.readyState === 1) socket.send(PING)
      },
      options.onBeat,
    )
    // A close follows every error and says more. The listener stays for ever, as some sockets throw an
    // error that nobody hears, even one after their end.
    socket.addEventListener("error", ({ message = "" }) => (this.#error = message))
    const on = (type: "open" | "message" | "close", listener: (event: SocketEvent) => void) => {
      socket.addEventListener(type, listener)
      return () => socket.removeEventListener(type, listener)
    }
    this.#stops = [
      on("open", () => {
        this.#isOpen = true
        const { protocol } = socket
        const isOffered = protocol === undefined || protocol === channel.subprotocol
        // Without one the hub speaks JSON, in text.
        if (!isOffered && !(protocol === "" && channel.subprotocol === SUBPROTOCOL_JSON)) {
          const offered = `the subprotocol ${channel.subprotocol} was offered, and "${protocol}" chosen`
          return this.end(CloseCode.Abnormal, `${offered}: a proxy may drop Sec-WebSocket-Protocol`)
        }
        channel.attach(socket)
        this.#hello()
      }),
      on("message", ({ data }) => {
        options.onHeard()
        if (data === PONG) this.#heartbeat.pong()
        else if (!channel.receive(data)) this.end(CloseCode.SequenceGap, "messages are missing")
      }),
      on("close", ({ code = CloseCode.NoStatus, reason }) => {
        const cause = reason || (this.#isOpen ? meaningOf(code) : unopened(this.#error))
        this.end(this.#goodbye?.code ?? code, this.#goodbye?.cause ?? cause)
      }),
      options.looks.on((hasSlept) => {
        if (hasSlept) this.#heartbeat.probe()
        this.#refreshIfDue()
      }),
      channel.inbox.events.on((event) => {
        // One without a reason is the answer to the client's own.
        if (event.type !== "hub:disconnect" || event.payload.reason === undefined) return
        const { reason, message } = event.payload
        this.#goodbye = { code: CODE_OF[reason], cause: `${reason}: ${message}` }
      }),
    ]
    if (channel.journal !== undefined) {
      channel.journal.onTaken = () => this.end(CloseCode.Superseded, "another process took the session")
    }
    this.#disarm = timers.after(CONNECT_TIMEOUT, () =>
      this.end(CloseCode.Abnormal, `no hub:connected within ${CONNECT_TIMEOUT} ms`),
    )
  }

  /** Ends it, once: the channel is let go and the socket closed. */
  end(code: number, cause: string): void {
    if (this.#ended !== undefined) return
    const { channel } = this.#options
    const { retryAfterMs, saidGoodbye } = channel.inbox
    const verdict = verdictOf(code, saidGoodbye)
    this.#ended = { code, cause, verdict, connectedAt: this.#connectedAt, retryAfterMs }
    for (const stop of this.#stops) stop()
    this.#disarm()
    this.#disarmRefresh()
    this.#heartbeat.stop()
    channel.detach(code, cause)
    try {
      this.#socket.close(code === CloseCode.SequenceGap ? code : CloseCode.Normal)
    } catch {
      // A socket that cannot be closed is closed.
    }
    this.#onEnd(this.#ended)
  }

  #hello(): void {
    const { channel, client } = this.#options
    const { identity, capabilities, metadata, sessionExpirySeconds } = client
    const hello = given({
      protocolVersion: PROTOCOL_VERSION,
      actorIdentity: identity,
      capabilities,
      clientMetadata: metadata,
      sessionExpirySeconds,
      authToken: presentToken(this.#token).authToken,
      reclaim: this.#reclaim || undefined,
      resume: channel.session.request,
    })
    const error = channel.hello(hello, (answer) => this.#onAnswer(answer))
    // Only what the token adds can be wrong: all else was judged before there was a socket.
    if (error !== undefined)
      this.end(CloseCode.ProtocolViolation, `hub:connect can't be sent: ${error.message}`)
  }

  #onAnswer(answer: Envelope.Envelope): void {
    const { session } = this.#options.channel
    const failure = AskError.fromEnvelope(answer)
    if (failure !== undefined) {
      const reason = failure instanceof AskError.AskRefused ? failure.code : failure._tag
      if (reason === "forbidden" && session.request !== undefined) {
        // Not the client, but its session: it may have another one.
        session.lose("forbidden")
        return this.#hello()
      }
      return this.end(
        CODE_OF[reason] ?? CloseCode.Unavailable,
        `hub:connect was refused: ${reason}: ${failure.message}`,
      )
    }
    const { actorIdentity, tokenExpiresAt } = answer.metadata as Partial<HubSession>
    const payload = (answer.payload ?? {}) as Connected
    const connected = {
      ...payload,
      heartbeatInterval: positive(payload.heartbeatInterval) ?? DEFAULT_HEARTBEAT_INTERVAL,
      maxMessageSize: positive(payload.maxMessageSize) ?? DEFAULT_MAX_MESSAGE_SIZE,
    }
    const hubSession: HubSession = {
      ...connected,
      session: payload.session === undefined ? null : withoutToken(payload.session),
      actorIdentity: actorIdentity ?? null,
      tokenExpiresAt: tokenExpiresAt ?? null,
    }
    const { channel, onConnected, timers } = this.#options
    this.#connectedAt = timers.now()
    const resumed = channel.establish(connected)
    onConnected(hubSession, this.#heartbeat)
    channel.session.events.emit(
      typeof resumed === "string"
        ? { type: "notResumed", reason: resumed, session: hubSession }
        : { type: resumed ? "resumed" : "connected", session: hubSession },
    )
    // Its end may have been what was done on hearing of it.
    if (this.#ended !== undefined) return
    this.#disarm()
    this.#keepToken(hubSession.tokenExpiresAt, answer.timestamp)
    this.#heartbeat.start(hubSession.heartbeatInterval, () =>
      this.end(CloseCode.Abnormal, `a ping was not answered within ${PONG_TIMEOUT} ms`),
    )
  }

  /**
   * Brings a new token before the one in use expires; by the hub's clock. Where that fails, again before
   * the end, which is then for the hub to say.
   */
  #keepToken(expiresAt: number | null, now: number): void {
    const { channel, timers, token: fetchToken } = this.#options
    if (expiresAt === null || typeof fetchToken !== "function") return
    const left = expiresAt - now
    const due = left - Math.min(left / 4, EARLIEST_REFRESH)
    if (left < LATEST_REFRESH || this.#ended !== undefined) return
    const since = momentOf(timers)
    const again = (): void => this.#keepToken(expiresAt, now + passedSince(timers, since))
    const refresh = async (): Promise<void> => {
      this.#refreshIfDue = () => {}
      const token = await fetchToken(true).catch((error: unknown) =>
        error instanceof LoginRequired ? null : undefined,
      )
      // Before a login there is none: the one in use is good until the hub says otherwise.
      if (this.#ended !== undefined || token === null) return
      if (token === undefined) return again()
      channel.request("hub:refresh_token", { token }, (outcome) => {
        if ("_tag" in outcome || outcome.type !== "hub:token_refreshed") again()
        else this.#keepToken((outcome.payload as TokenRefreshed).expiresAt, outcome.timestamp)
      })
    }
    this.#disarmRefresh = timers.after(due, refresh)
    this.#refreshIfDue = () => {
      if (passedSince(timers, since) < due) return
      this.#disarmRefresh()
      void refresh()
    }
  }
}
