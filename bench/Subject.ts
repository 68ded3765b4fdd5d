/**
 * What is measured: a server in a process of its own, and peers that send one another messages
 * through it. A suite knows no more of a subject than this, so all are driven alike.
 */

/** What a message carries. */
export interface Payload {
  readonly n: number
  readonly text: string
}

/** One connected client, addressable by the others. */
export interface Peer extends AsyncDisposable {
  readonly address: string
  readonly send: (to: string, payload: Payload) => void
  /** Who hears what arrives, sent or published. One listener at a time. */
  readonly onMessage: (listener: (payload: Payload) => void) => void
  /** Takes part in what is published. */
  readonly subscribe: () => Promise<void>
  /** To all who subscribed, but not to itself. */
  readonly publish: (payload: Payload) => void
}

/** A running server, ended by disposing of it. */
interface Server extends AsyncDisposable {
  readonly pid: number
  readonly port: number
  /** Resolves once others can reach the address. `port` leads through a proxy where it is another. */
  readonly connect: (address: string, port?: number) => Promise<Peer>
}

export interface Subject {
  /** Ours begin with `signal-hub`. */
  readonly name: string
  readonly start: () => Promise<Server>
}
