/** How bad the platform is, by chances, until it is calm. */
export interface Faults {
  /** Of an upgrade: it fails. */
  readonly upgrade: number
  /** Of a call between objects: it is lost on the way there, or what came of it is on the way back. */
  readonly call: number
  /** Of a call: the object says that it is overloaded. */
  readonly overload: number
  /** Of an alarm: it comes late, up to a minute. */
  readonly alarmLate: number
  /** Of an alarm: it comes again. */
  readonly alarmTwice: number
  /** Of a commit: it takes long. */
  readonly slowCommit: number
  /** Of an object that could sleep, when asked: it does. */
  readonly sleep: number
}

export const CALM: Faults = {
  upgrade: 0,
  call: 0,
  overload: 0,
  alarmLate: 0,
  alarmTwice: 0,
  slowCommit: 0,
  sleep: 0,
}
